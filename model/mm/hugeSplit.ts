/**
 * Splitting a huge entry, and clearing it (mm/huge_memory.c: __split_huge_pmd, zap_huge_pmd). Entries are told page by
 * page everywhere in this model (collapse.ts), so that a huge entry is all the entries of a page table together, and
 * one more thing that has to be known: that they are one. Who takes away or changes less than all of them splits it
 * first.
 *
 * That is said by the system where private anonymous memory gets huge pages (`hugePmdOf`; hugeMemory.ts has what
 * becomes of them), or from outside (`hugePmd`), of pages that are folios of their own: then nobody else knows of it.
 */
import { type Cell, cell, procedure } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Frame, folioOf } from "./folio.ts"
import { gatherEntry, owesFlush, tlbFinishMmu, tlbGather } from "./gather.ts"
import { hasTable, type Mm, mmapReadLock, mmapReadUnlock, pageTableLock, spanOf } from "./mm.ts"
import type { Present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { removeRmap } from "./rmap.ts"
import { unmapPageRange } from "./unmap.ts"

/** An entry of the upper level that maps a huge page, or no more. */
export interface HugePmd {
  readonly mm: Mm
  /** The pages that it maps. */
  readonly range: Range
  /** `pmd_trans_huge` */
  readonly huge: Cell<boolean>
}

/** The huge entry that the entry of a page is a piece of, or may be, in systems that have such. */
export const hugePmdOf = (mm: Mm, va: number): HugePmd => {
  const range = spanOf(mm, va)
  return { mm, range, huge: at(mm.huge, range.start / mm.system.pagesPerTable) }
}

/** Makes the entry of pages that are mapped, by frames that follow each other. */
export const hugePmd = (mm: Mm, range: Range): HugePmd => ({
  mm,
  range,
  huge: cell(`${mm.name}.pmd${range.start}`, true),
})

/** The pieces of the huge page, if it is mapped as one; read in one go. Within a step. */
export const hugeEntry = ({ mm, range, huge }: HugePmd): ReadonlyArray<Present> | null => {
  const pieces = pagesOf(range).flatMap((va) => {
    const pte = hasTable(mm, va) ? at(mm.pte, va).value : null
    return pte?.kind === "present" ? [pte] : []
  })
  return huge.value && pieces.length === range.end - range.start ? pieces : null
}

/**
 * `__split_huge_pmd`: the same pages are mapped by small entries. It is announced as if they were not to be mapped any
 * more: who maps the huge page in one piece has no other occasion to give that up.
 */
export const splitHugePmd = procedure(function* (pmd: HugePmd) {
  const { mm, range, huge } = pmd
  const window = notifierRange("CLEAR", "__split_huge_pmd", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* underLock(pageTableLock(mm, range.start), "__split_huge_pmd_locked", [mm.name, range.start, range.end], () => {
    huge.value = false
  })
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/** MADV_DONTNEED of all that the entry maps (`zap_huge_pmd`), or of what is left of it. */
export const zapHugePmd = procedure(function* (pmd: HugePmd) {
  const { mm, range } = pmd
  yield* mmapReadLock(mm)
  const gather = tlbGather(mm)
  const window = notifierRange("CLEAR", "zap_page_range_single", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const zapped = yield* underLock(
    pageTableLock(mm, range.start),
    "zap_huge_pmd",
    [mm.name, range.start, range.end],
    () => zapAll(pmd),
  )
  if (zapped === null) yield* unmapPageRange(gather, range)
  else {
    gather.pages.push(...zapped)
    for (const va of pagesOf(range)) gatherEntry(gather, va)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  yield* tlbFinishMmu(gather, range)
  yield* mmapReadUnlock(mm)
})

/** Clears the entry, and says which pages are to be given back; `null` where there is none. */
const zapAll = (pmd: HugePmd): ReadonlyArray<Frame> | null => {
  const { mm, range, huge } = pmd
  const pieces = hugeEntry(pmd)
  if (pieces === null) return null
  owesFlush(mm)
  huge.value = false
  for (const va of pagesOf(range)) at(mm.pte, va).value = null
  for (const { page } of pieces) {
    mm.rss.anon--
    removeRmap(folioOf(mm.system.folios, page))
  }
  return pieces.map(({ page }) => page)
}
