/** hmm_range_fault (mm/hmm.c) for anonymous memory, every page requested with HMM_PFN_REQ_FAULT. */
import * as Effect from "effect/Effect"
import { enterLoop, step } from "../../checker/program/index.ts"
import { handleMmFault } from "../mm/fault.ts"
import type { Frame } from "../mm/folio.ts"
import type { Mm } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"

/** What a range fault comes to: the frames, or the kernel's error. */
export type RangeFault = ReadonlyArray<Frame> | "-EBUSY" | "-EFAULT"

/**
 * Reads the page table of the range without its lock and faults in what is not present, `mmap_lock` held for read. No
 * reference is taken on any page: only `mmuIntervalReadRetry` makes the result trustworthy.
 *
 * On an internal restart the pages before `last` stay as they were read.
 */
export const hmmRangeFault = Effect.fnUntraced(function* (mm: Mm, iv: IntervalSubscription, seq: number, range: Range) {
  const frames: Array<Frame> = []
  const head = yield* enterLoop("hmm_range_fault")
  for (;;) {
    yield* head(frames)
    if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
    let missing: number | undefined
    for (const va of pagesOf(range).slice(frames.length)) {
      const found = yield* step("hmm_vma_handle_pte", [va], () =>
        at(mm.vma, va).value ? at(mm.pte, va).value : "-EFAULT",
      )
      if (found === "-EFAULT") return found
      if (found === null) {
        missing = va
        break
      }
      frames.push(found)
    }
    if (missing === undefined) return frames
    const needed = pagesOf({ start: missing, end: range.end })
    const faulted = yield* step("hmm_vma_fault", [missing], () => needed.filter((va) => at(mm.vma, va).value))
    // All of them are faulted in, then the walk begins again at the page that was missing.
    for (const va of faulted) {
      if (!(yield* handleMmFault(mm, va))) return "-EFAULT" as const
    }
  }
})
