/** mremap (mm/mremap.c). */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { isFree, keep, lockWait, release, underLock } from "../sync/spinlock.ts"
import { flushBatchedPending, flushed } from "./batchedFlush.ts"
import { gatherTables, tlbFinishMmu, tlbGather } from "./gather.ts"
import { clearHuge } from "./hugeMemory.ts"
import { hugePmdOf, splitHugePmd } from "./hugeSplit.ts"
import {
  changeVmas,
  findVma,
  type Mm,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  spanOf,
  tableOf,
  vmaStartWrite,
  writeLockVmas,
} from "./mm.ts"
import { freePgtables, tlbRemoveTables } from "./pageTable.ts"
import { isPresent } from "./pte.ts"
import { at, isWithin, overlaps, pagesOf, type Range } from "./range.ts"
import { canChangeTrees, dropRmapLocks, takeRmapLocks, treesWait } from "./rmap.ts"
import { dropTranslations } from "./tlb.ts"
import { detachVmas, doVmiMunmapUnlock, unmapVmas } from "./unmap.ts"
import { areasIn } from "./vma.ts"
import { areaOf, vmaMerge } from "./vmaMerge.ts"

/** Unmaps a range with `mmap_lock` held for write, as `do_munmap` does for others. */
export const doMunmap = procedure(function* (mm: Mm, range: Range) {
  const areas = yield* detachVmas(mm, range)
  if (areas.length === 0) return
  const gather = tlbGather(mm)
  yield* unmapVmas(gather, range, areas)
  const tables = yield* freePgtables(mm, range)
  gatherTables(gather, tables)
  yield* tlbFinishMmu(gather, range)
  yield* tlbRemoveTables(mm, tables)
})

/**
 * `mremap`: shrinks or grows where it is, or, given a place (MREMAP_MAYMOVE | MREMAP_FIXED), moves there, over whatever
 * is mapped. A range of shared memory without pages is mapped there once more.
 *
 * @param dontUnmap whether the old range, of the same size, stays mapped, and is empty (MREMAP_DONTUNMAP)
 * @throws Errno EINVAL for ranges that cannot be or overlap; EFAULT where the old range is not within one area, unless
 * it only moves; ENOMEM where there is no room to grow
 */
export const mremap = procedure(function* (mm: Mm, old: Range, pages: number, to?: number, dontUnmap: boolean = false) {
  const fail = (errno: MremapError) => new Errno({ call: "mremap", errno })
  const isRange = Number.isInteger(old.start) && Number.isInteger(old.end) && 0 <= old.start && old.start <= old.end
  if (!isRange || !Number.isInteger(pages) || pages < 1) return yield* fail("EINVAL")
  if (dontUnmap && (to === undefined || pages !== old.end - old.start)) return yield* fail("EINVAL")
  if (to !== undefined) {
    const target = { start: to, end: to + pages }
    if (!isWithin(mm.pages, target) || overlaps(old, target)) return yield* fail("EINVAL")
  }
  yield* mmapWriteLock(mm)
  const result =
    to === undefined
      ? yield* mremapAt(mm, old, pages)
      : pages === old.end - old.start
        ? yield* remapMove(mm, old, to, dontUnmap)
        : yield* mremapTo(mm, old, pages, to)
  if (result === "unlocked") return
  yield* mmapWriteUnlock(mm)
  if (result !== null) return yield* fail(result)
})

type MremapError = "EINVAL" | "EFAULT" | "ENOMEM"

/** `remap_move`: every area in the range moves, each over what is mapped at its place; what is at the place of a hole stays. */
const remapMove = procedure(function* (mm: Mm, old: Range, to: number, dontUnmap: boolean) {
  const areas = yield* step("remap_move", [mm.name, old.start, old.end, to], () => {
    const range = { start: old.start, end: Math.min(old.end, mm.pages) }
    return findVma(mm, old.start) === null ? [] : areasIn((va) => findVma(mm, va), range)
  })
  if (areas.length === 0) return "EFAULT" as const
  for (const { start, end } of areas) {
    const target = { start: to + start - old.start, end: to + end - old.start }
    yield* doMunmap(mm, target)
    yield* moveVma(mm, { start, end }, target, dontUnmap)
  }
  return null
})

/** `mremap_at`: shrinks, over areas and holes, in which `mmap_lock` is given back as by munmap; or grows one area. */
const mremapAt = procedure(function* (mm: Mm, old: Range, pages: number) {
  const end = old.start + pages
  const error = yield* step("check_prep_vma", [mm.name, old.start, old.end], (): MremapError | null => {
    if (findVma(mm, old.start) === null) return "EFAULT"
    if (end <= old.end) return end < old.end && old.end > mm.pages ? "EINVAL" : null
    const misfit = checkResize(mm, old, old.end - old.start)
    if (misfit !== null) return misfit
    const isFree = pagesOf({ start: old.end, end: Math.min(end, mm.pages) }).every((va) => findVma(mm, va) === null)
    return areaOf(mm, old.start).end === old.end && end <= mm.pages && isFree ? null : "ENOMEM"
  })
  if (error !== null) return error
  if (end < old.end) {
    yield* doVmiMunmapUnlock(mm, { start: end, end: old.end })
    return "unlocked" as const
  }
  yield* expandVma(mm, old, { start: old.end, end })
  return null
})

/** `mremap_to`: to another place with another size. That the rest of the old range cannot be unmapped shows only then. */
const mremapTo = procedure(function* (mm: Mm, old: Range, pages: number, to: number) {
  const kept = { start: old.start, end: Math.min(old.end, old.start + pages) }
  const error = yield* step("check_prep_vma", [mm.name, old.start, old.end], () =>
    findVma(mm, old.start) === null ? "EFAULT" : checkResize(mm, old, kept.end - kept.start),
  )
  if (error !== null) return error
  yield* doMunmap(mm, { start: to, end: to + pages })
  if (kept.end < old.end) {
    if (old.end > mm.pages) return "EINVAL" as const
    yield* doMunmap(mm, { start: kept.end, end: old.end })
  }
  const moved = yield* moveVma(mm, kept, { start: to, end: to + pages })
  return moved ? null : ("EFAULT" as const)
})

/** What `check_prep_vma` has against changing the size of an area of which so many pages are to stay. Within a step. */
const checkResize = (mm: Mm, old: Range, pages: number): "EINVAL" | "EFAULT" | null => {
  if (old.start === old.end && findVma(mm, old.start)?.shared === false) return "EINVAL"
  return old.start + pages > areaOf(mm, old.start).end ? "EFAULT" : null
}

/** `vma_merge_extend`: the area reaches further. */
const expandVma = procedure(function* (mm: Mm, old: Range, grown: Range) {
  if (grown.start >= grown.end) return
  yield* vmaStartWrite(mm, old)
  yield* step("expand_vma", [mm.name, old.start, grown.end], () => {
    const last = findVma(mm, old.end - 1)
    if (last === null) return
    for (const [further, va] of pagesOf(grown).entries()) {
      at(mm.vma, va).value = { ...last, pgoff: last.pgoff + 1 + further }
    }
    writeLockVmas(mm, grown)
    vmaMerge(mm, grown)
  })
})

/**
 * `move_vma`: a copy of the area at the new place, the entries moved over, the old range unmapped.
 *
 * @returns false when the area is gone: it was at the new place itself
 */
const moveVma = procedure(function* (mm: Mm, old: Range, target: Range, dontUnmap: boolean = false) {
  yield* vmaStartWrite(mm, old)
  const copied = yield* guardedStep(
    "copy_vma",
    [mm.name, old.start, target.start],
    () => canChangeTrees(mm, old),
    () => {
      const first = findVma(mm, old.start)
      if (first === null) return false
      if (first.hugetlb) throw new RangeError("mremap of an area of hugetlbfs is not modelled")
      // An area of which nothing was ever stored is told by where it is.
      const pgoff = first.file === null && first.anonVmas.length === 0 ? target.start : first.pgoff
      for (const [position, va] of pagesOf(target).entries()) {
        at(mm.vma, va).value = { ...first, uffdMissing: false, pgoff: pgoff + position }
      }
      writeLockVmas(mm, target)
      vmaMerge(mm, target)
      return true
    },
    treesWait(mm, old),
  )
  if (copied && old.start < old.end) {
    yield* movePageTables(mm, old, target.start)
    yield* dontUnmap ? dontUnmapComplete(mm, old) : doMunmap(mm, old)
  }
  return copied
})

/**
 * `dontunmap_complete`: the old area stays, nothing locked in it; if all of it was moved it has no anonymous pages any
 * more.
 */
const dontUnmapComplete = (mm: Mm, old: Range): Effect.Effect<void> =>
  guardedStep(
    "dontunmap_complete",
    [mm.name, old.start, old.end],
    () => canChangeTrees(mm, old),
    () => {
      const { start, end } = areaOf(mm, old.start)
      const isWhole = start === old.start && end === old.end
      changeVmas(mm, old, (vma) => ({ ...vma, locked: false, anonVmas: isWhole ? [] : vma.anonVmas }))
    },
    treesWait(mm, old),
  )

/** `move_page_tables`: only the old range is announced, in the new one nothing was mapped. */
const movePageTables = procedure(function* (mm: Mm, old: Range, to: number) {
  const window = notifierRange("UNMAP", "move_page_tables", old)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  let next = old.start
  for (const [position, va] of pagesOf(old).entries()) {
    if (mm.system.thp && va === next) next = yield* moveHugePmd(mm, va, to + position, old)
    if (va < next) continue
    next = va + 1
    yield* movePte(mm, va, to + position)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/**
 * `move_huge_pmd`: the huge entry that begins there, if all of it moves, to where one may begin; else it is split.
 *
 * @returns where to go on: behind it, or there
 */
const moveHugePmd = procedure(function* (mm: Mm, from: number, to: number, old: Range) {
  const span = spanOf(mm, from)
  const pmd = hugePmdOf(mm, from)
  if (!(yield* step("move_page_tables", [mm.name, from, to], () => pmd.huge.value))) return from
  if (span.start !== from || span.end > old.end || spanOf(mm, to).start !== to) {
    yield* splitHugePmd(pmd)
    return from
  }
  const needRmapLocks = to < from
  if (needRmapLocks) yield* takeRmapLocks(mm, from)
  const [oldLock, newLock] = [pageTableLock(mm, from), pageTableLock(mm, to)]
  const moved = yield* guardedStep(
    "move_huge_pmd",
    [mm.name, from, to],
    () => isFree(oldLock) && isFree(newLock),
    () => {
      if (!pmd.huge.value) return false
      for (const va of pagesOf(span)) moveEntry(mm, va, to + va - from)
      clearHuge(mm, from)
      hugePmdOf(mm, to).huge.value = true
      dropTranslations(mm, span)
      return true
    },
  )
  if (needRmapLocks) yield* dropRmapLocks(mm, from)
  return moved ? span.end : from
})

/**
 * `move_ptes`, of one entry. Who walks the areas of a folio meets the old place first, then the new one; in the other
 * direction it would miss the entry between them, and is kept out (`need_rmap_locks`), before any page table is locked.
 */
const movePte = procedure(function* (mm: Mm, from: number, to: number) {
  const needRmapLocks = to < from
  if (needRmapLocks) yield* takeRmapLocks(mm, from)
  yield* moveLocked(mm, from, to)
  if (needRmapLocks) yield* dropRmapLocks(mm, from)
})

/** Moves an entry: whoever could free its page is kept out by the new table's lock until the old translation is flushed. */
const moveLocked = procedure(function* (mm: Mm, from: number, to: number) {
  const oldLock = pageTableLock(mm, from)
  const newLock = pageTableLock(mm, to)
  const found = yield* underLock(oldLock, "pte_offset_map_lock", [mm.name, from], () => {
    if (at(mm.pte, from).value === null) return false
    keep(oldLock)
    return true
  })
  if (!found) return
  const ready = yield* guardedStep(
    "move_ptes",
    [mm.name, from, to],
    () => newLock === oldLock || isFree(newLock),
    () => {
      keep(newLock)
      if (flushBatchedPending(mm)) return flushed
      moveEntry(mm, from, to)
      return "moved"
    },
    lockWait(newLock, true),
  )
  if (ready === flushed) yield* step("move_ptes", [mm.name, from, to], () => moveEntry(mm, from, to))
  yield* step("move_ptes: flush_tlb_range", [mm.name, from, from + 1], () => {
    if (isPresent(at(mm.pte, to).value)) dropTranslations(mm, { start: from, end: from + 1 })
  })
  yield* step("pte_unmap_unlock", [mm.name, from, to], () => {
    if (newLock !== oldLock) release(newLock)
    release(oldLock)
  })
})

const moveEntry = (mm: Mm, from: number, to: number): void => {
  const { state } = tableOf(mm, to)
  if (!state.linked) {
    state.linked = true
    state.live = true
    state.generation++
  }
  const pte = at(mm.pte, from)
  at(mm.pte, to).value = pte.value
  pte.value = null
}
