/** mremap (mm/mremap.c). */
import * as Effect from "effect/Effect"
import { guardedStep, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/interval.ts"
import { isFree, keep, release, underLock } from "../sync/spinlock.ts"
import { tlbFinishMmu, tlbGather } from "./gather.ts"
import { findVma, type Mm, mmapWriteLock, mmapWriteUnlock, pageTableLock, tableOf, vmaStartWrite } from "./mm.ts"
import { freePgtables, tlbRemoveTables } from "./pageTable.ts"
import { at, isWithin, overlaps, pagesOf, type Range } from "./range.ts"
import { canChangeTrees } from "./rmap.ts"
import { dropTranslations } from "./tlb.ts"
import { detachVmas, unmapVmas } from "./unmap.ts"
import { areasIn } from "./vma.ts"

/** Unmaps a range with `mmap_lock` held for write, as `do_munmap` does for others. */
export const doMunmap = Effect.fnUntraced(function* (mm: Mm, range: Range) {
  const areas = yield* detachVmas(mm, range)
  if (areas.length === 0) return
  const gather = tlbGather(mm)
  yield* unmapVmas(gather, range, areas)
  const tables = yield* freePgtables(mm, range)
  gather.freedTables = tables.length > 0
  yield* tlbFinishMmu(gather, range)
  yield* tlbRemoveTables(mm, tables)
})

/**
 * `mremap`: shrinks or grows where it is, or, given a place (MREMAP_MAYMOVE | MREMAP_FIXED), moves there, over whatever
 * is mapped.
 *
 * @throws Errno EINVAL for ranges that cannot be or overlap; EFAULT where the old range is not one area; ENOMEM where
 * there is no room to grow
 */
export const mremap = Effect.fnUntraced(function* (mm: Mm, old: Range, pages: number, to?: number) {
  const fail = (errno: "EINVAL" | "EFAULT" | "ENOMEM") => new Errno({ call: "mremap", errno })
  const target = { start: to ?? old.start, end: (to ?? old.start) + pages }
  if (!isWithin(mm.pages, old) || !isWithin(mm.pages, target)) return yield* fail("EINVAL")
  if (to !== undefined && overlaps(old, target)) return yield* fail("EINVAL")
  yield* mmapWriteLock(mm)
  const kept = { start: old.start, end: Math.min(old.end, old.start + pages) }
  const grown = { start: old.end, end: old.start + pages }
  const error = yield* step("check_prep_vma", [mm.name, old.start, old.end], () => {
    const areas = areasIn((va) => findVma(mm, va), old)
    const whole = areas.length === 1 && areas[0]?.start === old.start && areas[0].end === old.end
    if (!whole) return "EFAULT" as const
    if (to !== undefined || grown.start >= grown.end) return null
    return pagesOf(grown).some((va) => findVma(mm, va) !== null) ? ("ENOMEM" as const) : null
  })
  if (error !== null) {
    yield* mmapWriteUnlock(mm)
    return yield* fail(error)
  }
  if (to !== undefined) yield* doMunmap(mm, target)
  if (kept.end < old.end) yield* doMunmap(mm, { start: kept.end, end: old.end })
  if (to === undefined) yield* expandVma(mm, old, grown)
  else yield* moveVma(mm, kept, target)
  yield* mmapWriteUnlock(mm)
})

/** `vma_expand`: the area reaches further. */
const expandVma = Effect.fnUntraced(function* (mm: Mm, old: Range, grown: Range) {
  if (grown.start >= grown.end) return
  yield* vmaStartWrite(mm, old)
  yield* step("expand_vma", [mm.name, old.start, grown.end], () => {
    const last = findVma(mm, old.end - 1)
    if (last === null) return
    for (const [further, va] of pagesOf(grown).entries()) {
      at(mm.vma, va).value = { ...last, pgoff: last.pgoff + 1 + further }
    }
  })
})

/** `move_vma`: a copy of the area at the new place, the entries moved over, the old area unmapped. */
const moveVma = Effect.fnUntraced(function* (mm: Mm, old: Range, target: Range) {
  yield* vmaStartWrite(mm, old)
  yield* guardedStep(
    "copy_vma",
    [mm.name, old.start, target.start],
    () => canChangeTrees(mm, old),
    () => {
      const first = findVma(mm, old.start)
      if (first === null) return
      // An area of which nothing was ever stored is told by where it is.
      const pgoff = first.file === null && first.anonVmas.length === 0 ? target.start : first.pgoff
      for (const [position, va] of pagesOf(target).entries()) {
        at(mm.vma, va).value = { ...first, pgoff: pgoff + position }
      }
    },
  )
  yield* movePageTables(mm, old, target.start)
  yield* doMunmap(mm, old)
})

/** `move_page_tables`: only the old range is announced, in the new one nothing was mapped. */
const movePageTables = Effect.fnUntraced(function* (mm: Mm, old: Range, to: number) {
  const window = notifierRange("UNMAP", "move_page_tables", old)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  for (const [position, va] of pagesOf(old).entries()) yield* movePte(mm, va, to + position)
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/** `move_ptes`, of one entry: whoever could free its page is kept out by the new table's lock until the old translation is flushed. */
const movePte = Effect.fnUntraced(function* (mm: Mm, from: number, to: number) {
  const oldLock = pageTableLock(mm, from)
  const newLock = pageTableLock(mm, to)
  const found = yield* underLock(oldLock, "pte_offset_map_lock", [mm.name, from], () => {
    if (at(mm.pte, from).value === null) return false
    keep(oldLock)
    return true
  })
  if (!found) return
  yield* guardedStep(
    "move_ptes",
    [mm.name, from, to],
    // Who walks the areas of a folio meets the old place first, then the new one; in the other direction it would miss
    // the entry between them, and is kept out (need_rmap_locks).
    () => (newLock === oldLock || isFree(newLock)) && (from < to || canChangeTrees(mm, { start: from, end: from + 1 })),
    () => {
      keep(newLock)
      const { state } = tableOf(mm, to)
      if (!state.linked) {
        state.linked = true
        state.live = true
        state.generation++
      }
      const pte = at(mm.pte, from)
      at(mm.pte, to).value = pte.value
      pte.value = null
    },
  )
  yield* step("move_ptes: flush_tlb_range", [mm.name, from, from + 1], () =>
    dropTranslations(mm, { start: from, end: from + 1 }),
  )
  yield* step("pte_unmap_unlock", [mm.name, from, to], () => {
    release(newLock)
    release(oldLock)
  })
})
