/** munmap, and what it shares with all that removes entries (mm/memory.c: zap_page_range; mm/vma.c). */
import * as Effect from "effect/Effect"
import { guardedStep, procedure, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { type NotifierRange, notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release } from "../sync/spinlock.ts"
import { underFlushedLock } from "./batchedFlush.ts"
import { folioOf, folioPut } from "./folio.ts"
import {
  type Gather,
  gatherEntry,
  gatherTables,
  owesFlush,
  tlbEndVma,
  tlbFinishMmu,
  tlbFlushMmu,
  tlbGather,
} from "./gather.ts"
import { zapPmd } from "./hugeMemory.ts"
import { hugetlbVmOpSplit, hugetlbZapBegin, hugetlbZapEnd, unmapHugepageRange } from "./hugetlb.ts"
import {
  canStartWrite,
  changeVmas,
  findVma,
  hasTable,
  isHuge,
  type Mm,
  mmapReadUnlock,
  mmapWriteDowngrade,
  mmapWriteLock,
  mmapWriteUnlock,
  pageTableLock,
} from "./mm.ts"
import { freePgtables, tlbRemoveTables } from "./pageTable.ts"
import type { Present, Pte } from "./pte.ts"
import { at, isWithin, pagesOf, type Range } from "./range.ts"
import { isAnon, removeRmap } from "./rmap.ts"
import { swapFree } from "./swap.ts"
import { dropTranslations } from "./tlb.ts"
import { areasIn } from "./vma.ts"

/** What a zap leaves alone. */
export interface ZapDetails {
  /** Private copies of a file's pages stay (`!even_cows`): a hole in a file does not touch them. */
  readonly keepCows?: boolean
}

/**
 * `unmap_page_range`: removes the entries of a range, inside the caller's window. The pages are gathered; a dirty page
 * of a file is flushed before the lock is given up, so that whoever writes it back finds no store behind.
 */
export const unmapPageRange = Effect.fnUntraced(function* (gather: Gather, range: Range, details: ZapDetails = {}) {
  const { mm } = gather
  let next = range.start
  for (const va of pagesOf(range)) {
    if (mm.system.thp && va === next) next = yield* zapPmd(gather, va, range, details)
    if (va < next) continue
    next = va + 1
    if (mm.system.looksAtPmds && !(yield* zapPmdRange(mm, va))) continue
    const found = yield* underFlushedLock(mm, va, "zap_pte_range", [mm.name, va], () => zapPte(mm, va, details))
    if (found === "nothing" || found === "not present") continue
    gatherEntry(gather, va)
    if (found === "special") gather.vmaPfn = true
    if (found === "entry" || found === "special") continue
    const { page, forceFlush } = found
    gather.pages.push(page)
    if (forceFlush) {
      const here = { start: va, end: va + 1 }
      yield* step("tlb_flush_mmu_tlbonly", [mm.name, here.start, here.end], () => dropTranslations(mm, here))
      yield* step("tlb_flush_rmaps", [mm.name, va], () => {
        removeRmap(folioOf(mm.system.folios, page))
        release(pageTableLock(mm, va))
      })
    }
    if (gather.pages.length >= mm.system.gatherBatch) yield* tlbFlushMmu(gather)
  }
  yield* tlbEndVma(gather)
})

/** `zap_pmd_range`: looks at the entry of the upper level, without its lock; false when there is no page table. */
const zapPmdRange = (mm: Mm, va: number): Effect.Effect<boolean> =>
  step("zap_pmd_range", [mm.name, va], () => hasTable(mm, va))

/** Clears one entry, under the page table's lock. */
export const zapPte = (mm: Mm, va: number, { keepCows }: ZapDetails) => {
  const cell = at(mm.pte, va)
  const pte = cell.value
  // A huge entry in the table's place is as young as one that is made when all is done.
  if (pte === null || isHuge(mm, va)) return "nothing"
  const { folios, swap } = mm.system
  if (pte.kind === "present") {
    const folio = folioOf(folios, pte.page)
    if (keepCows === true && isAnon(folio)) return "nothing"
    owesFlush(mm)
    cell.value = null
    if (isAnon(folio)) {
      mm.rss.anon--
      removeRmap(folio)
      return { page: pte.page, forceFlush: false }
    }
    mm.rss.file--
    if (!pte.dirty) {
      removeRmap(folio)
      return { page: pte.page, forceFlush: false }
    }
    folio.dirty = true
    keep(pageTableLock(mm, va))
    return { page: pte.page, forceFlush: true }
  }
  if (keepCows === true && isCowed(mm, pte)) return "nothing"
  owesFlush(mm)
  cell.value = null
  if (pte.kind === "swap") {
    mm.rss.swap--
    swapFree(swap, pte.slot)
  }
  if (pte.kind === "private" || pte.kind === "exclusive") {
    mm.rss.anon--
    removeRmap(folioOf(folios, pte.page))
    folioPut(folios, pte.page)
  }
  if (pte.kind === "migration") mm.rss[isAnon(folioOf(folios, pte.page)) ? "anon" : "file"]--
  // No TLB has what the hardware cannot use: nothing is gathered for it (zap_nonpresent_ptes).
  return pte.kind === "special" ? "special" : pte.kind === "zero" ? "entry" : "not present"
}

/** `should_zap_cows`, `should_zap_folio`: whether what is no page now was one of private memory, or may become one. */
const isCowed = (mm: Mm, pte: Exclude<Pte, Present | null>): boolean =>
  pte.kind === "swap" ||
  pte.kind === "marker" ||
  pte.kind === "private" ||
  pte.kind === "exclusive" ||
  (pte.kind === "migration" && isAnon(folioOf(mm.system.folios, pte.page)))

/** `unmap_single_vma`, inside the caller's window. */
const unmapSingleVma = (gather: Gather, range: Range, isHugetlb: boolean, details?: ZapDetails): Effect.Effect<void> =>
  isHugetlb ? unmapHugepageRange(gather, range) : unmapPageRange(gather, range, details)

/** `unmap_vmas`: one window over all of the range, what lies between the areas included. */
export const unmapVmas = Effect.fnUntraced(function* (gather: Gather, range: Range, areas: ReadonlyArray<Range>) {
  const { mm } = gather
  if (areas.length === 0) return
  const window = notifierRange("UNMAP", "unmap_vmas", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  for (const area of areas) {
    const isHugetlb = yield* hugetlbZapBegin(mm, area.start)
    yield* unmapSingleVma(gather, area, isHugetlb)
    yield* hugetlbZapEnd(mm, isHugetlb)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/**
 * `zap_page_range_single`: one window, a gather of its own. The window closes before the TLBs are flushed and the pages
 * freed; of hugetlbfs, the lock that keeps faults out is given back behind that.
 */
export const zapPageRange = procedure(function* (mm: Mm, window: NotifierRange, details: ZapDetails = {}) {
  const gather = tlbGather(mm)
  const isHugetlb = yield* hugetlbZapBegin(mm, window.start)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* unmapSingleVma(gather, window, isHugetlb, details)
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  yield* tlbFinishMmu(gather, window)
  yield* hugetlbZapEnd(mm, isHugetlb)
})

/** `munmap`: the VMAs go first, so that no fault brings a page back. @throws Errno EINVAL for a range that cannot be */
export const munmap = procedure(function* (mm: Mm, range: Range) {
  if (!isWithin(mm.pages, range)) return yield* new Errno({ call: "munmap", errno: "EINVAL" })
  yield* mmapWriteLock(mm)
  if (!(yield* hugetlbVmOpSplit(mm, range))) {
    yield* mmapWriteUnlock(mm)
    return yield* new Errno({ call: "munmap", errno: "EINVAL" })
  }
  yield* doVmiMunmapUnlock(mm, range)
})

/** `do_vmi_munmap`, which gives back `mmap_lock` (`unlock`): others may read under it while the pages go. */
export const doVmiMunmapUnlock = procedure(function* (mm: Mm, range: Range) {
  const areas = yield* detachVmas(mm, range)
  if (areas.length === 0) return yield* mmapWriteUnlock(mm)
  yield* mmapWriteDowngrade(mm)
  const gather = tlbGather(mm)
  yield* unmapVmas(gather, range, areas)
  const tables = yield* freePgtables(mm, range)
  gatherTables(gather, tables)
  yield* tlbFinishMmu(gather, range)
  yield* tlbRemoveTables(mm, tables)
  yield* mmapReadUnlock(mm)
})

/** `vms_gather_munmap_vmas`: takes the VMAs of a range out of the address space, once no fault is being handled there. */
export const detachVmas = (mm: Mm, range: Range): Effect.Effect<ReadonlyArray<Range>> =>
  guardedStep(
    "vms_gather_munmap_vmas",
    [mm.name, range.start, range.end],
    () => canStartWrite(mm, range),
    () => {
      const found = areasIn((va) => findVma(mm, va), range)
      changeVmas(mm, range, (vma) => ({ ...vma, detached: true }))
      return found
    },
  )
