/**
 * What memory management calls (include/linux/mmu_notifier.h): the start and the end of an invalidation, the end of an
 * address space, the question whether a page was used. They go to the interval subscriptions and to the classic notifiers.
 *
 * The classic notifiers here are registered for the life of the address space, so that nobody sees how their list is
 * walked.
 */
import { procedure } from "../../checker/program/index.ts"
import type { Range } from "../mm/range.ts"
import { atomicCallback, rangeCallback } from "./callback.ts"
import type { NotifierRange } from "./events.ts"
import { mnItreeInvalidateEnd, mnItreeInvalidateStart, mnItreeRelease, type NotifierSubscriptions } from "./interval.ts"

/** `has_itree`. Where no subscription can come, ranges are not announced to the tree. */
const hasItree = (subs: NotifierSubscriptions): boolean => subs.byName.size > 0

/**
 * `mmu_notifier_invalidate_range_start`: when it returns true, no device maps the range or will, until the end. False
 * (-EAGAIN) when the range is not blockable and a callback would have to sleep: everything is then as before, and there
 * is no end.
 */
export const mmuNotifierInvalidateRangeStart = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  if (hasItree(subs) && !(yield* mnItreeInvalidateStart(subs, range))) return false
  if (yield* callStarts(subs, range)) return true
  if (hasItree(subs)) yield* mnItreeInvalidateEnd(subs, range)
  return false
})

/** `mn_hlist_invalidate_range_start`: all are called, even behind one that refuses; and then all that can are told of the end. */
const callStarts = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  let refused = false
  for (const { invalidateRangeStart } of subs.forLife) {
    if (
      invalidateRangeStart !== undefined &&
      !(yield* rangeCallback("invalidate_range_start", range, invalidateRangeStart(range)))
    )
      refused = true
  }
  // In a blockable range a refusal is a driver's bug, of which the kernel warns.
  if (range.blockable || !refused) return true
  yield* callEnds(subs, range)
  return false
})

/** `mn_hlist_invalidate_end` */
const callEnds = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  for (const { invalidateRangeEnd } of subs.forLife) {
    if (invalidateRangeEnd !== undefined) yield* rangeCallback("invalidate_range_end", range, invalidateRangeEnd(range))
  }
})

/** `mmu_notifier_invalidate_range_end`: the interval tree's side first, then the classic notifiers. */
export const mmuNotifierInvalidateRangeEnd = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  if (hasItree(subs)) yield* mnItreeInvalidateEnd(subs, range)
  yield* callEnds(subs, range)
})

/** `mmu_notifier_release`: at the end of an address space everybody hears that all of it goes. */
export const mmuNotifierRelease = procedure(function* (subs: NotifierSubscriptions, whole: Range) {
  if (hasItree(subs)) yield* mnItreeRelease(subs, whole)
  for (const { release } of subs.forLife) if (release !== undefined) yield* release()
})

/** Whether any classic notifier can tell whether a page was used. */
export const asksForYoung = (subs: NotifierSubscriptions): boolean =>
  subs.forLife.some(({ clearFlushYoung }) => clearFlushYoung !== undefined)

/**
 * `mmu_notifier_clear_flush_young`: whether any device has used the page since it was asked last; all are asked. Under
 * the lock of the page table: nobody may sleep.
 */
export const mmuNotifierClearFlushYoung = procedure(function* (subs: NotifierSubscriptions, va: number) {
  let young = false
  for (const { clearFlushYoung } of subs.forLife) {
    if (clearFlushYoung !== undefined && (yield* atomicCallback("clear_flush_young", clearFlushYoung(va)))) young = true
  }
  return young
})
