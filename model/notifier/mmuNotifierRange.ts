/**
 * What today's mmu notifiers are called for (mm/mmu_notifier.c): the start and the end of an invalidation, through the
 * interval tree and then the list, the question whether a page was used, and the flush of TLBs.
 */
import type * as Effect from "effect/Effect"
import { type Plain, procedure, step } from "../../checker/program/index.ts"
import type { Range } from "../mm/range.ts"
import { atomicCallback, rangeCallback } from "./callback.ts"
import type { NotifierRange } from "./events.ts"
import { mnItreeInvalidateEnd, mnItreeInvalidateStart } from "./interval.ts"
import { forEachListed, hlistEmpty, type MmuNotifier, underSrcu } from "./mmuNotifier.ts"
import type { NotifiedMm } from "./notifiedMm.ts"

const argsOf = (
  { name }: NotifiedMm,
  { start, end, event, by, blockable, owner }: NotifierRange,
): ReadonlyArray<Plain> => [
  name,
  start,
  end,
  event,
  by,
  ...(blockable ? [] : ["nonblock"]),
  ...(owner === undefined ? [] : [owner]),
]

/** `mm_has_notifiers` and `has_itree`, which change under all locks only, and so not inside a start or between it and its end. */
const subscribed = (mm: NotifiedMm, caller: string, range: NotifierRange) =>
  step(caller, argsOf(mm, range), () => ({
    published: mm.subs.state.published,
    hasItree: mm.subs.state.hasItree,
  }))

/**
 * `mmu_notifier_invalidate_range_start`: when it returns true no device maps the range or will, until the end. False
 * (-EAGAIN) when the range is not blockable and a callback would have to sleep; everything is then as before, and the
 * caller must not call the end.
 *
 * As published, a refusal by the list leaves the interval tree's side open for ever: `__mmu_notifier_invalidate_range_start`
 * returns what `mn_hlist_invalidate_range_start` does. Here that is put right.
 */
export const invalidateRangeStart = procedure(function* (mm: NotifiedMm, range: NotifierRange) {
  const { published, hasItree } = yield* subscribed(mm, "__mmu_notifier_invalidate_range_start", range)
  if (!published) return true
  if (hasItree && !(yield* mnItreeInvalidateStart(mm.subs.itree, range))) return false
  if (yield* hlistEmpty(mm)) return true
  if (yield* underSrcu(mm.subs, hlistInvalidateRangeStart(mm, range))) return true
  // Whose range is blockable does not look, and calls the end.
  if (hasItree && !range.blockable) yield* mnItreeInvalidateEnd(mm.subs.itree, range)
  return false
})

/**
 * `mn_hlist_invalidate_range_start`: all are called, even behind one that refuses; and then all that can are told of the
 * end. To refuse a blockable range is a driver's bug: the kernel warns, and its caller, who does not look, has the end
 * told a second time.
 */
const hlistInvalidateRangeStart = procedure(function* (mm: NotifiedMm, range: NotifierRange) {
  const answers = yield* forEachListed(mm.subs, "invalidate_range_start", ({ ops }) =>
    called((start) => rangeCallback("invalidate_range_start", range, start), ops.invalidateRangeStart?.(range)),
  )
  if (!answers.includes(false)) return true
  yield* hlistInvalidateEnd(mm, range)
  return false
})

/** `mn_hlist_invalidate_end` */
const hlistInvalidateEnd = ({ subs }: NotifiedMm, range: NotifierRange) =>
  forEachListed(subs, "invalidate_range_end", ({ ops }) =>
    called((end) => rangeCallback("invalidate_range_end", range, end), ops.invalidateRangeEnd?.(range)),
  )

/** A callback in the context that it is called in, if there is one. */
const called = <A>(
  context: (callback: Effect.Effect<A>) => Effect.Effect<A>,
  callback: Effect.Effect<A> | undefined,
): Effect.Effect<A> | undefined => (callback === undefined ? undefined : context(callback))

/** A callback under the lock of the page table. */
const underPtl = <A>(name: string, callback: Effect.Effect<A> | undefined) =>
  called((atomic) => atomicCallback(name, atomic), callback)

/** `mmu_notifier_invalidate_range_end`: the interval tree's side first, then the list. */
export const invalidateRangeEnd = procedure(function* (mm: NotifiedMm, range: NotifierRange) {
  const { published, hasItree } = yield* subscribed(mm, "__mmu_notifier_invalidate_range_end", range)
  if (!published) return
  if (hasItree) yield* mnItreeInvalidateEnd(mm.subs.itree, range)
  if (!(yield* hlistEmpty(mm))) yield* underSrcu(mm.subs, hlistInvalidateEnd(mm, range))
})

/** `mmu_notifier_clear_flush_young`: whether any device has used the page since it was asked last; all are asked. */
export const clearFlushYoung = procedure(function* (mm: NotifiedMm, va: number) {
  if (yield* hlistEmpty(mm)) return false
  const answers = yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "clear_flush_young", ({ ops }) => underPtl("clear_flush_young", ops.clearFlushYoung?.(va))),
  )
  return answers.includes(true)
})

/** `mmu_notifier_clear_young` */
export const clearYoung = procedure(function* (mm: NotifiedMm, va: number) {
  if (yield* hlistEmpty(mm)) return false
  const answers = yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "clear_young", ({ ops }) => underPtl("clear_young", ops.clearYoung?.(va))),
  )
  return answers.includes(true)
})

/** `mmu_notifier_test_young`: the first that has used the page is enough. */
export const testYoung = procedure(function* (mm: NotifiedMm, va: number) {
  if (yield* hlistEmpty(mm)) return false
  const asked = ({ ops }: MmuNotifier) => underPtl("test_young", ops.testYoung?.(va))
  const answers = yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "test_young", asked, (young) => young),
  )
  return answers.includes(true)
})

/** `mmu_notifier_arch_invalidate_secondary_tlbs`: with the flush of the CPUs' TLBs, before any page is freed. */
export const archInvalidateSecondaryTlbs = procedure(function* (mm: NotifiedMm, range: Range) {
  if (yield* hlistEmpty(mm)) return
  yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "arch_invalidate_secondary_tlbs", ({ ops }) =>
      underPtl("arch_invalidate_secondary_tlbs", ops.archInvalidateSecondaryTlbs?.(range)),
    ),
  )
})
