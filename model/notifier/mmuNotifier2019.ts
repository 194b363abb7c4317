/**
 * The classic notifiers as Linux 5.3 had them (mm/mmu_notifier.c), where they differ from today's (mmuNotifier.ts,
 * mmuNotifierRange.ts): a start that is refused is not unwound, and a notifier may be unlinked without its release being
 * called, for its owner to free behind a grace period.
 */
import * as Effect from "effect/Effect"
import { step } from "../../checker/program/index.ts"
import { underLock } from "../sync/spinlock.ts"
import { callSrcu } from "../sync/srcu.ts"
import type { NotifierRange } from "./events.ts"
import { forEachListed, hlistEmpty, listDelete, type MmuNotifier, underSrcu } from "./mmuNotifier.ts"
import type { NotifiedMm } from "./notifiedMm.ts"

/**
 * `mmu_notifier_invalidate_range_start`: all on the list are called. False (-EAGAIN) when one of them refused; those
 * that did not are never told of an end, so who counts must not count a start that it refuses.
 */
export const invalidateRangeStart2019 = Effect.fnUntraced(function* (mm: NotifiedMm, range: NotifierRange) {
  if (yield* hlistEmpty(mm)) return true
  const answers = yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "invalidate_range_start", ({ ops }) => ops.invalidateRangeStart?.(range)),
  )
  return !answers.includes(false)
})

/** `mmu_notifier_invalidate_range_end` */
export const invalidateRangeEnd2019 = Effect.fnUntraced(function* (mm: NotifiedMm, range: NotifierRange) {
  if (yield* hlistEmpty(mm)) return
  yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, "invalidate_range_end", ({ ops }) => ops.invalidateRangeEnd?.(range)),
  )
})

/** `mmu_notifier_unregister_no_release`: off the list. Whoever found it there before may still be in a callback of it. */
export const mmuNotifierUnregisterNoRelease = Effect.fnUntraced(function* (mm: NotifiedMm, gone: MmuNotifier) {
  yield* underLock(mm.subs.itree.lock, "mmu_notifier_unregister_no_release", [gone.name], () => {
    listDelete(mm.subs, gone)
    mm.state.count--
  })
})

/** `mmu_notifier_call_srcu`: has a function run when all who could have found the notifier on the list have left. */
export const mmuNotifierCallSrcu = (mm: NotifiedMm, gone: MmuNotifier, free: () => void): Effect.Effect<void> =>
  callSrcu(mm.subs.srcu, gone.name, step("hmm_free_rcu", [gone.name], free))
