/** madvise (mm/madvise.c). */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { isZoneDevice } from "../deviceMemory/pgmap.ts"
import { Errno } from "../errno.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { underFlushedLock } from "./batchedFlush.ts"
import { folioOf } from "./folio.ts"
import { gatherEntry, owesFlush, tlbFinishMmu, tlbGather } from "./gather.ts"
import { hugetlbVmOpSplit } from "./hugetlb.ts"
import { findVma, type Mm, mmapReadLock, mmapReadUnlock } from "./mm.ts"
import { at, isWithin, pagesOf, type Range } from "./range.ts"
import { pageoutPage } from "./reclaim.ts"
import { isAnon } from "./rmap.ts"
import { folioFreeSwap, swapFree } from "./swap.ts"
import { zapPageRange } from "./unmap.ts"
import { areasIn } from "./vma.ts"

/** What is known of the use that memory will have. */
export type Advice = "MADV_DONTNEED" | "MADV_FREE" | "MADV_COLD" | "MADV_PAGEOUT"

/**
 * `madvise`, of every area in the range; where there is none the rest is done all the same, and the call fails. Without
 * pages there is nothing to do.
 *
 * @throws Errno EINVAL for a range that is none, and at the first area that the advice does not fit; ENOMEM where
 * nothing is mapped
 */
export const madvise = procedure(function* (mm: Mm, range: Range, advice: Advice) {
  if (range.start === range.end) return
  if (range.start > range.end) return yield* new Errno({ call: "madvise", errno: "EINVAL" })
  const inside = { start: range.start, end: Math.min(range.end, mm.pages) }
  if (!isWithin(mm.pages, inside)) return yield* new Errno({ call: "madvise", errno: "ENOMEM" })
  yield* mmapReadLock(mm)
  if (!(yield* hugetlbVmOpSplit(mm, range))) {
    yield* mmapReadUnlock(mm)
    return yield* new Errno({ call: "madvise", errno: "EINVAL" })
  }
  const { areas, holes } = yield* step(advice, [mm.name, range.start, range.end], () => {
    const found = areasIn((va) => findVma(mm, va), inside)
    const isWhole = inside.end === range.end && pagesOf(inside).every((va) => findVma(mm, va) !== null)
    const fitting = found.findIndex(({ start }) => !fits(mm, start, advice))
    return {
      areas: fitting === -1 ? found : found.slice(0, fitting),
      holes: fitting !== -1 ? "EINVAL" : isWhole ? "" : "ENOMEM",
    } as const
  })
  for (const area of areas) yield* adviseArea(mm, area, advice)
  yield* mmapReadUnlock(mm)
  if (holes !== "") return yield* new Errno({ call: "madvise", errno: holes })
})

/** Whether the advice can be given for the area of a page (`can_madv_lru_vma`, `madvise_free_single_vma`). */
const fits = (mm: Mm, va: number, advice: Advice): boolean => {
  const vma = findVma(mm, va)
  if (vma === null) return true
  if (vma.hugetlb) return advice === "MADV_DONTNEED"
  if (advice === "MADV_FREE") return vma.file === null && !vma.shared
  return !vma.locked
}

const adviseArea = (mm: Mm, area: Range, advice: Advice): Effect.Effect<unknown> => {
  switch (advice) {
    case "MADV_DONTNEED":
      return zapPageRange(mm, notifierRange("CLEAR", "zap_page_range_single", area))
    case "MADV_FREE":
      return madviseFree(mm, area)
    case "MADV_COLD":
      return madviseCold(mm, area)
    case "MADV_PAGEOUT":
      return madvisePageout(mm, area)
  }
}

/** `madvise_free_single_vma`: pages that are not stored to again may be dropped when memory is short. */
const madviseFree = procedure(function* (mm: Mm, area: Range) {
  const gather = tlbGather(mm)
  const window = notifierRange("CLEAR", "madvise_free_single_vma", area)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  for (const va of pagesOf(area)) {
    const cleaned = yield* underFlushedLock(mm, va, "madvise_free_pte_range", [mm.name, va], () => freePte(mm, va))
    if (cleaned) gatherEntry(gather, va)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  yield* tlbFinishMmu(gather, area)
})

/** Makes one entry old and clean, and its page one that may be dropped; true when the entry changed. */
const freePte = (mm: Mm, va: number): boolean => {
  const { folios, swap } = mm.system
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (pte?.kind === "swap") {
    cell.value = null
    swapFree(swap, pte.slot)
    mm.rss.swap--
    return false
  }
  if (pte?.kind !== "present" || isZoneDevice(folios, pte.page)) return false
  const folio = folioOf(folios, pte.page)
  if (!isAnon(folio)) return false
  if (folio.swap !== null || folio.dirty) {
    if (folio.mapcount !== 1 || folio.lock !== "") return false
    if (folio.swap !== null && !folioFreeSwap(swap, folios, pte.page)) return false
    folio.dirty = false
  }
  folio.swapBacked = false
  if (!pte.young && !pte.dirty) return false
  owesFlush(mm)
  cell.value = { ...pte, young: false, dirty: false }
  return true
}

/** `madvise_cold_single_vma`: the entries look as if nobody had used them. */
const madviseCold = procedure(function* (mm: Mm, area: Range) {
  const gather = tlbGather(mm)
  for (const va of pagesOf(area)) {
    const aged = yield* underFlushedLock(mm, va, "madvise_cold_or_pageout_pte_range", [mm.name, va], () => {
      const cell = at(mm.pte, va)
      const pte = cell.value
      if (pte?.kind !== "present" || !pte.young || isZoneDevice(mm.system.folios, pte.page)) return false
      owesFlush(mm)
      cell.value = { ...pte, young: false }
      return true
    })
    if (aged) gatherEntry(gather, va)
  }
  yield* tlbFinishMmu(gather, area)
})

/** `madvise_pageout_single_vma`: pages that only this entry maps are isolated and reclaimed. */
const madvisePageout = procedure(function* (mm: Mm, area: Range) {
  for (const va of pagesOf(area)) yield* pageoutPage(mm, va)
})
