/**
 * hmm_range_fault (mm/hmm.c) whose faults may drop `mmap_lock` where they would have to wait: of 2019, with
 * FAULT_FLAG_ALLOW_RETRY unless told to block, where what it returns has to say whether the lock is still held; and of
 * 2026, for faults that only userspace can end, where nobody else has the lock.
 */
import * as Effect from "effect/Effect"
import { choose, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { handleMmFault } from "../mm/fault.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import type { Range } from "../mm/range.ts"
import { type IntervalSubscription, mmuIntervalReadBegin } from "../notifier/interval.ts"
import { askedFor, everyPage, type HmmError, type HmmPfn, walk } from "./rangeFault.ts"

/** What comes of it: -EAGAIN is that `mmap_lock` was dropped; with everything else it is held. */
export type Outcome = HmmPfn | HmmError | "-EAGAIN"

/**
 * Reads the entry of a page, and faults it in, `mmap_lock` held for read.
 *
 * @param block whether a fault waits, and keeps the lock; true when the page was tried before (FAULT_FLAG_TRIED)
 */
export const hmmRangeFaultUnlockable = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  va: number,
  { write, block }: { readonly write: boolean; readonly block: boolean },
) {
  const page = { start: va, end: va + 1 }
  const found = yield* walk(mm, iv, seq, page, everyPage(write), faultOrUnlock(mm, !block))
  const pfn = typeof found === "string" ? found : found[0]
  return yield* step("hmm_range_fault", [mm.name, va], (): Outcome => {
    // Of a page that was asked for there is nothing else to say.
    return pfn === undefined || pfn === "none" || pfn === "error" ? "-EFAULT" : pfn
  })
})

/** Faults a page in, or drops `mmap_lock` where that would have to wait (VM_FAULT_RETRY). */
const faultOrUnlock = (mm: Mm, mayDrop: boolean) =>
  procedure(function* (va: number, write: boolean) {
    if (mayDrop && (yield* choose("handle_mm_fault has to wait", [false, true]))) {
      yield* mmapReadUnlock(mm)
      return "-EAGAIN" as const
    }
    return (yield* handleMmFault(mm, va, { write })) === "done" ? ("done" as const) : ("-EFAULT" as const)
  })

/**
 * `hmm_range_fault_unlocked_timeout`: takes `mmap_lock` itself, and tries again while the range is being invalidated, until
 * its time is over. A fault that has waited without the lock has made progress, and time begins anew; what it waited for
 * is there then.
 *
 * @returns the pages, with the sequence to ask for under the driver's lock; -EBUSY when the time is over
 */
export const hmmRangeFaultUnlockedTimeout = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  range: Range,
  write: boolean,
) {
  let waited = false
  let busy = false
  const head = yield* enterLoop("hmm_range_fault_unlocked_timeout")
  for (;;) {
    yield* head(waited, busy)
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    // What the OOM reaper has taken is not to be had again.
    const unstable = yield* step("check_stable_address_space", [mm.name], () => mm.state.unstable)
    const late = busy && !unstable && (yield* choose("time_after(jiffies, deadline)", [false, true]))
    const found = unstable
      ? "-EFAULT"
      : late
        ? "-EBUSY"
        : yield* walk(mm, iv, seq, range, everyPage(write), faultOrUnlock(mm, !waited))
    if (found === "-EAGAIN") {
      waited = true
      busy = false
      continue
    }
    yield* mmapReadUnlock(mm)
    if (found === "-EBUSY" && !late) {
      busy = true
      continue
    }
    if (typeof found === "string") return found
    return { seq, pfns: askedFor(found) }
  }
})

/**
 * The same without a limit of time, of faults that may wait for userfaultfd: what they waited for need not be there then.
 *
 * @param owner whose private pages are told as they are
 */
export const hmmRangeFaultUnlocked = procedure(function* (
  mm: Mm,
  iv: IntervalSubscription,
  range: Range,
  write: boolean,
  owner: string = "",
) {
  const head = yield* enterLoop("hmm_range_fault_unlocked_timeout")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const found = yield* walk(mm, iv, seq, range, everyPage(write, owner), faultOrWait(mm))
    if (found === "-EAGAIN") continue
    yield* mmapReadUnlock(mm)
    if (found === "-EBUSY") continue
    if (typeof found === "string") return found
    return { seq, pfns: askedFor(found) }
  }
})

/** Faults a page in; -EAGAIN where that has waited without `mmap_lock`, which is dropped. */
const faultOrWait = (mm: Mm) => (va: number, write: boolean) =>
  Effect.map(handleMmFault(mm, va, { write, allowRetry: true }), (result): "done" | "-EAGAIN" | "-EFAULT" =>
    result === "done" ? "done" : result === "UNLOCKED" ? "-EAGAIN" : "-EFAULT",
  )
