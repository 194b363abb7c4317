/**
 * khugepaged (mm/khugepaged.c): the small pages under one page table become a huge page.
 *
 * What is simplified: entries are told page by page everywhere in this model, so a huge page is as many fresh folios as
 * the page table has entries, and the huge entry that maps it is a fresh generation of the page table. What the huge
 * entry replaces is therefore "deposited" in the same place: whoever still is inside the old generation reads memory
 * that is a page table's no longer. Pages in swap end the collapse (max_ptes_swap is 0); which ranges are worth it is
 * not asked. Of files, only the last part is told: the page cache has the huge page already (it is each folio of the
 * range together), and the page table that maps it in small pieces is taken away; the next fault maps the huge page.
 */
import type * as Effect from "effect/Effect"
import { assert, guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { inodeOf } from "../file/inode.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { type Folio, type Frame, folioAlloc, folioOf, folioPut, folioTrylock } from "./folio.ts"
import {
  findVma,
  hasTable,
  type Mm,
  mmapReadLock,
  mmapReadUnlock,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
  tableOf,
  vmaStartWrite,
} from "./mm.ts"
import { present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addNewAnonRmap, isAnon, removeRmap } from "./rmap.ts"
import { folioFreeSwap } from "./swap.ts"
import { dropTranslations } from "./tlb.ts"
import { mostAccess, sameVma } from "./vma.ts"

/** `hpage_collapse_scan_pmd`, and what follows from it, for the page table of an address. */
export const khugepagedScan = procedure(function* (mm: Mm, va: number) {
  const span = mm.system.pagesPerTable
  const start = va - (va % span)
  const range = { start, end: Math.min(start + span, mm.pages) }
  yield* mmapReadLock(mm)
  const kind = yield* step("hpage_collapse_scan_pmd", [mm.name, va], () => kindOf(mm, range))
  yield* mmapReadUnlock(mm)
  if (kind === "anonymous") yield* collapseHugePage(mm, range)
  if (kind === "file") yield* collapsePteMappedThp(mm, range)
})

/**
 * `hugepage_vma_revalidate` and `check_pmd_still_valid`: whether one area covers all of the page table, and which kind of
 * huge page it may have; `null` for none. Of files it is those of which nothing is stored to (file_thp_enabled, or shmem).
 * Within a step.
 */
const kindOf = (mm: Mm, { start, end }: Range): "anonymous" | "file" | null => {
  const vma = findVma(mm, start)
  if (vma === null || mm.state.users === 0 || !hasTable(mm, start)) return null
  const covered = pagesOf({ start: start + 1, end }).every((va) => {
    const before = findVma(mm, va - 1)
    const here = findVma(mm, va)
    return before !== null && here !== null && sameVma(before, here)
  })
  if (!covered) return null
  if (vma.file === null) return vma.anonVmas.length > 0 && !vma.shared ? "anonymous" : null
  return vma.anonVmas.length === 0 && (!vma.shared || !inodeOf(mm.system, vma.file).tracksDirty) ? "file" : null
}

/**
 * `collapse_huge_page`: nobody can reach the page table while its pages are looked at and copied. Faults and system
 * calls are kept out by `mmap_lock`, the hardware by the flush, reverse mapping by the anon_vma's lock, and those who
 * walk without locks have been waited for.
 */
const collapseHugePage = procedure(function* (mm: Mm, range: Range) {
  const { system } = mm
  const { folios } = system
  const { start, end } = range
  const fresh = yield* step("alloc_charge_folio", [mm.name, start], () => allocAll(mm, range))
  if (fresh === null) return
  yield* mmapWriteLock(mm)
  const valid = yield* step("hugepage_vma_revalidate", [mm.name, start], () => kindOf(mm, range) === "anonymous")
  if (valid) {
    yield* vmaStartWrite(mm, range)
    yield* downWrite(system.anonVmaLock, "anon_vma_lock_write", [mm.name])
    const window = notifierRange("CLEAR", "collapse_huge_page", range)
    yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
    yield* pmdpCollapseFlush(mm, range)
    yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
    yield* tlbRemoveTableSyncOne(mm)
    const isolated = yield* underLock(pageTableLock(mm, start), "__collapse_huge_page_isolate", [mm.name, start], () =>
      isolateAll(mm, range),
    )
    if (!isolated) {
      yield* step("collapse_huge_page: pmd_populate", [mm.name, start], () => {
        tableOf(mm, start).state.linked = true
      })
    }
    yield* upWrite(system.anonVmaLock, "anon_vma_unlock_write", [mm.name])
    if (isolated) {
      yield* collapseCopy(mm, range, fresh)
      yield* mmapWriteUnlock(mm)
      return
    }
  }
  yield* mmapWriteUnlock(mm)
  yield* step("collapse_huge_page: folio_put", [mm.name, start, end], () => {
    for (const frame of fresh) folioPut(folios, frame)
  })
})

/** A fresh folio for each page of a range, or none. Within a step. */
const allocAll = (mm: Mm, range: Range): ReadonlyArray<Frame> | null => {
  const { folios } = mm.system
  const fresh: Array<Frame> = []
  for (const _ of pagesOf(range)) {
    const frame = folioAlloc(folios, mm.name)
    if (frame === null) {
      for (const one of fresh) folioPut(folios, one)
      return null
    }
    fresh.push(frame)
  }
  return fresh
}

/**
 * `pmdp_collapse_flush`: the upper level points to the page table no longer, and no TLB has what it maps. Who walks
 * without locks may be inside.
 */
const pmdpCollapseFlush = (mm: Mm, { start, end }: Range): Effect.Effect<void> =>
  underLock(pageTableLock(mm, start), "pmdp_collapse_flush", [mm.name, start, end], () => {
    tableOf(mm, start).state.linked = false
    dropTranslations(mm, { start, end })
  })

/**
 * `tlb_remove_table_sync_one`: an interrupt to all CPUs, which those who walk without locks do not take before they are
 * done.
 */
const tlbRemoveTableSyncOne = (mm: Mm): Effect.Effect<void> =>
  guardedStep(
    "tlb_remove_table_sync_one",
    [mm.name],
    () => mm.state.walkers.length === 0,
    () => undefined,
  )

/**
 * `__collapse_huge_page_isolate`: locks all pages and takes them off the LRU, if nobody but the entries and the swap
 * cache refers to them; else none. Within a step.
 */
const isolateAll = (mm: Mm, range: Range): boolean => {
  const { folios } = mm.system
  const ptes = pagesOf(range).map((va) => at(mm.pte, va).value)
  const pages = ptes.flatMap((pte) => (pte?.kind === "present" ? [pte] : []))
  const suits = ptes.every((pte) => pte === null || pte.kind === "zero" || pte.kind === "present")
  if (!suits || pages.length === 0) return false
  const free = pages.every(({ page, access }) => {
    const folio = folioOf(folios, page)
    return (
      access !== "none" && isAnon(folio) && folio.lru && folio.lock === "" && folio.refcount === expectedRefs(folio)
    )
  })
  if (!free) return false
  for (const { page } of pages) {
    const folio = folioOf(folios, page)
    folioTrylock(folios, page)
    folio.lru = false
    folio.refcount++
  }
  return true
}

/** `folio_expected_ref_count`, of an anonymous folio. */
const expectedRefs = (folio: Folio): number => folio.mapcount + (folio.swap === null ? 0 : 1)

/**
 * `__collapse_huge_page_copy`, and the rest: the pages are copied and given up one by one, then the huge page is mapped.
 * The lock of the page table's entries is held throughout, which says no more than that nobody can reach them.
 */
const collapseCopy = procedure(function* (mm: Mm, range: Range, fresh: ReadonlyArray<Frame>) {
  const { folios, swap } = mm.system
  const { start, end } = range
  const ptl = pageTableLock(mm, start)
  yield* underLock(ptl, "__collapse_huge_page_copy", [mm.name, start, end], () => {
    keep(ptl)
    for (const [position, frame] of fresh.entries()) {
      const pte = at(mm.pte, start + position).value
      if (pte?.kind === "present") folioOf(folios, frame).content = folioOf(folios, pte.page).content
    }
  })
  for (const va of pagesOf(range)) {
    yield* step("__collapse_huge_page_copy_succeeded", [mm.name, va], () => {
      const cell = at(mm.pte, va)
      const pte = cell.value
      cell.value = null
      if (pte?.kind !== "present") {
        mm.rss.anon++
        return
      }
      const folio = folioOf(folios, pte.page)
      folio.lock = ""
      folio.lru = true
      folioPut(folios, pte.page)
      removeRmap(folio)
      if (folio.mapcount === 0) folioFreeSwap(swap, folios, pte.page)
      folioPut(folios, pte.page)
    })
  }
  yield* step("collapse_huge_page: set_pmd_at", [mm.name, start, end], () => {
    const { state } = tableOf(mm, start)
    state.generation++
    state.linked = true
    for (const [position, frame] of fresh.entries()) {
      const va = start + position
      const vma = findVma(mm, va)
      assert(vma !== null, `page ${va} of ${mm.name} has lost its area under mmap_lock`)
      addNewAnonRmap(folioOf(folios, frame), vma)
      at(mm.pte, va).value = present(frame, mostAccess(vma), { dirty: true })
    }
    release(ptl)
  })
})

/**
 * `collapse_pte_mapped_thp`: takes away the page table that maps a huge page of a file in small pieces. It has
 * `mmap_lock` for read only, and no VMA's lock (since commit 1043173eb5eb): faults, zaps and pins go on beside it, and
 * may find the page table gone whenever they take its lock.
 */
const collapsePteMappedThp = procedure(function* (mm: Mm, range: Range) {
  const { system } = mm
  const { start, end } = range
  yield* mmapReadLock(mm)
  const found = yield* step("collapse_pte_mapped_thp", [mm.name, start], () => {
    const vma = findVma(mm, start)
    if (kindOf(mm, range) !== "file" || vma?.file == null) return null
    mm.state.collapsers = [...mm.state.collapsers, self()].sort()
    return { file: vma.file, pgoff: vma.pgoff }
  })
  if (found === null) {
    yield* mmapReadUnlock(mm)
    return
  }
  const huge = yield* filemapLockFolios(mm, found.file, found.pgoff, range)
  const removed = huge === null ? null : yield* removeTable(mm, range, huge)
  yield* step("collapse_pte_mapped_thp: folio_unlock", [mm.name, start, end], () => {
    for (const frame of huge ?? []) {
      folioOf(system.folios, frame).lock = ""
      folioPut(system.folios, frame)
    }
    mm.state.collapsers = mm.state.collapsers.filter((name) => name !== self())
  })
  yield* mmapReadUnlock(mm)
  if (removed !== null) yield* pteFreeDefer(mm, start, removed)
})

/** `filemap_lock_folio`: the huge page, locked, with a reference; `null` when the file has none there. */
const filemapLockFolios = (
  { system }: Mm,
  fileName: string,
  pgoff: number,
  { start, end }: Range,
): Effect.Effect<ReadonlyArray<Frame> | null> => {
  const file = inodeOf(system, fileName)
  const cached = () =>
    pagesOf({ start: pgoff, end: pgoff + end - start }).map((index) => file.cache[index]?.value ?? null)
  return guardedStep(
    "filemap_lock_folio",
    [fileName, pgoff],
    () => cached().every((frame) => frame === null || folioOf(system.folios, frame).lock === ""),
    () => {
      const frames = cached()
      const whole = frames.flatMap((frame) => (frame === null ? [] : [frame]))
      if (whole.length < frames.length) return null
      for (const frame of whole) {
        const folio = folioOf(system.folios, frame)
        folio.lock = self()
        folio.refcount++
      }
      return whole
    },
  )
}

/**
 * The folio lock keeps new entries out; entries may still be copied on write, swapped or migrated until the window is
 * open and the lock held, so they are looked at twice. Between the last entry and the page table the lock is dropped
 * (that of the upper level is the outer one).
 *
 * @returns the life of the page table that is over, or `null`
 */
const removeTable = procedure(function* (mm: Mm, range: Range, huge: ReadonlyArray<Frame>) {
  const { start, end } = range
  const ptl = pageTableLock(mm, start)
  const fits = yield* underLock(ptl, "collapse_pte_mapped_thp: check entries", [mm.name, start, end], () =>
    mapsOnly(mm, range, huge),
  )
  if (!fits) return null
  const window = notifierRange("CLEAR", "collapse_pte_mapped_thp", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const cleared = yield* underLock(ptl, "collapse_pte_mapped_thp: ptep_clear", [mm.name, start, end], () => {
    if (!hasTable(mm, start) || !mapsOnly(mm, range, huge)) return false
    for (const va of pagesOf(range)) clearEntry(mm, va)
    return true
  })
  const removed = cleared ? yield* removeEmptyTable(mm, range) : null
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return removed
})

/** `pmdp_collapse_flush` of an empty page table, which stays one for those who walk without locks. */
const removeEmptyTable = (mm: Mm, range: Range): Effect.Effect<number> =>
  underLock(pageTableLock(mm, range.start), "pmdp_collapse_flush", [mm.name, range.start, range.end], () => {
    const { state } = tableOf(mm, range.start)
    assert(state.linked, `a page table of ${mm.name} is taken away a second time`)
    assert(
      pagesOf(range).every((va) => at(mm.pte, va).value === null),
      `a page table of ${mm.name} is taken away with entries in it`,
    )
    state.linked = false
    state.live = false
    state.deferred = [...state.deferred, state.generation]
    dropTranslations(mm, range)
    return state.generation
  })

/** Whether the entries map the huge page's pieces and nothing else. Within a step. */
const mapsOnly = (mm: Mm, range: Range, huge: ReadonlyArray<Frame>): boolean =>
  pagesOf(range).every((va, position) => {
    const pte = at(mm.pte, va).value
    const piece = huge[position]
    return (
      pte === null ||
      (pte.kind === "present" && pte.page.pfn === piece?.pfn && pte.page.generation === piece.generation)
    )
  })

/** `ptep_clear`, and what the mapping counted for. Within a step. */
const clearEntry = (mm: Mm, va: number): void => {
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (pte?.kind !== "present") return
  cell.value = null
  removeRmap(folioOf(mm.system.folios, pte.page))
  folioPut(mm.system.folios, pte.page)
  mm.rss.file--
}

/** `pte_free_defer`: frees the page table once nobody who walks without locks can still be inside (an RCU grace period). */
const pteFreeDefer = (mm: Mm, va: number, generation: number): Effect.Effect<void> =>
  guardedStep(
    "pte_free_defer",
    [mm.name, va, generation],
    () => mm.state.walkers.length === 0,
    () => {
      const { state } = tableOf(mm, va)
      state.deferred = state.deferred.filter((life) => life !== generation)
    },
  )
