/** munmap and MADV_DONTNEED (mm/mmap.c, mm/vma.c, mm/madvise.c, mm/memory.c, mm/mmu_gather.c). */
import * as Effect from "effect/Effect"
import { step } from "../../checker/program/index.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/interval.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Frame, folioPut } from "./folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock, mmapWriteDowngrade, mmapWriteLock } from "./mm.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { flushTlbRange } from "./tlb.ts"

/**
 * Removes what is present in the range and frees it: `zap_page_range_single` and the end of its mmu_gather. The
 * notifier's window closes before the CPU TLBs are flushed and the pages freed.
 */
const zapPageRange = Effect.fnUntraced(function* (mm: Mm, range: Range) {
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, range)
  const gathered: Array<Frame> = []
  for (const va of pagesOf(range)) {
    const frame = yield* underLock(mm.pageTableLock, "zap_pte_range", [va], () => {
      const pte = at(mm.pte, va)
      const present = pte.value
      pte.value = null
      return present
    })
    if (frame !== null) gathered.push(frame)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, range)
  if (gathered.length === 0) return
  yield* flushTlbRange(mm, range)
  yield* step("free_pages_and_swap_cache", [gathered.map(({ pfn }) => pfn)], () => {
    for (const frame of gathered) folioPut(mm.folios, frame)
  })
})

/** `madvise(MADV_DONTNEED)`: the pages go, the VMA stays. */
export const madviseDontneed = Effect.fnUntraced(function* (mm: Mm, range: Range) {
  yield* mmapReadLock(mm)
  yield* zapPageRange(mm, range)
  yield* mmapReadUnlock(mm)
})

/** `munmap`: the VMA goes first, so that no fault brings a page back. */
export const munmap = Effect.fnUntraced(function* (mm: Mm, range: Range) {
  yield* mmapWriteLock(mm)
  yield* step("vms_gather_munmap_vmas", [range.start, range.end], () => {
    for (const va of pagesOf(range)) at(mm.vma, va).value = false
  })
  yield* mmapWriteDowngrade(mm)
  yield* zapPageRange(mm, range)
  yield* mmapReadUnlock(mm)
})
