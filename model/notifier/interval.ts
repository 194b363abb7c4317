/**
 * The interval notifier (mm/mmu_notifier.c): subscriptions to the invalidations of an address range, with a sequence
 * count by which a device finds out that what it read from the page table may be stale.
 *
 * Writers are in one of three states: idle (`active` 0, `seq` even), partial (`active` > 0, `seq` even: no subscription
 * overlaps, the tree may still change) and full (`active` > 0, `seq` odd: the tree is frozen, so that it can be walked
 * without the lock; inserts and removes go to the deferred list).
 */
import type * as Effect from "effect/Effect"
import { assert, type Cell, type Plain, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { overlaps, type Range } from "../mm/range.ts"
import { isFree, keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { type WaitQueue, waitEvent, waitQueue, wakeUpAll } from "../sync/waitQueue.ts"
import { rangeCallback } from "./callback.ts"
import { type NotifierRange, notifierRange } from "./events.ts"
import type { MmuNotifierOps } from "./mmuNotifierOps.ts"
import { endSeq, firstSeq, forgetReader, hasEnded, isStale, noteReader, type SeqReader, setSeq } from "./sequence.ts"

/** `struct mmu_notifier_subscriptions`, the interval side of it. */
export interface NotifierSubscriptions {
  /** The address space, by name. */
  readonly mm: string
  readonly lock: SpinLock
  readonly wq: WaitQueue
  readonly state: Struct<{
    /** `invalidate_seq` */
    seq: number
    /** `active_invalidate_ranges` */
    active: number
    /** `itree`: the names of the subscriptions in it, in tree order. */
    tree: ReadonlyArray<string>
    /** `deferred_list`, newest first. */
    deferred: ReadonlyArray<string>
  }>
  /** The objects behind the names: they are static, only their membership changes. */
  readonly byName: Map<string, IntervalSubscription>
  /** The classic notifiers that are registered for the life of the address space, in the order of the list. */
  readonly forLife: Array<MmuNotifierOps>
  /** Where the numbers are forgotten (sequence.ts): who has read one. */
  readers: Cell<ReadonlyArray<SeqReader>> | null
}

/** `struct mmu_interval_notifier`. */
export interface IntervalSubscription {
  readonly name: string
  readonly subs: NotifierSubscriptions
  readonly range: Range
  /** `invalidate_seq`: written under the driver's lock. */
  readonly state: Struct<{ seq: number }>
  /**
   * `ops->invalidate`: with the sequence number to set; must drop what the device maps in the range. False when it
   * would have to sleep and the range is not blockable. With two passes this is `ops->invalidate_start`, and says what
   * the second one is; true where none is needed.
   */
  readonly invalidate: (range: NotifierRange, seq: number) => Effect.Effect<boolean | FinishPass>
}

/** `struct mmu_interval_notifier_finish`: what a callback leaves to do until all others have been called. */
export interface FinishPass {
  /** `ops->invalidate_finish`: waits for what the first pass has begun. */
  readonly invalidateFinish: () => Effect.Effect<void>
}

/** Makes the subscriptions of an address space: none, idle. */
export const notifierSubscriptions = (mm: string): NotifierSubscriptions => {
  const tree: ReadonlyArray<string> = []
  const deferred: ReadonlyArray<string> = []
  return {
    mm,
    lock: spinLock(`${mm}.subs.lock`),
    wq: waitQueue(`${mm}.subs.wq`),
    state: struct(`${mm}.subs`, { seq: firstSeq, active: 0, tree, deferred }),
    byName: new Map(),
    forLife: [],
    readers: null,
  }
}

/** Makes a subscription that is not inserted yet. */
export const intervalSubscription = (
  subs: NotifierSubscriptions,
  name: string,
  range: Range,
  invalidate: IntervalSubscription["invalidate"],
): IntervalSubscription => {
  const iv = { name, subs, range, state: struct(`${name}.iv`, { seq: 1 }), invalidate }
  subs.byName.set(name, iv)
  return iv
}

/** `mn_itree_is_invalidating` */
export const isInvalidating = (subs: NotifierSubscriptions): boolean => subs.state.seq % 2 === 1

/** `interval_tree_insert`: in tree order, which is by start address and here by name among equals. */
export const treeInsert = (subs: NotifierSubscriptions, name: string): void => {
  subs.state.tree = [...subs.state.tree, name].sort()
}

/** `interval_tree_remove` */
export const treeRemove = (subs: NotifierSubscriptions, name: string): void => {
  assert(subs.state.tree.includes(name), `${name} is taken out of the interval tree and is not in it`)
  subs.state.tree = subs.state.tree.filter((other) => other !== name)
}

/** The first subscription in tree order, behind `after` if given, that overlaps the range. */
const nextOverlapping = (subs: NotifierSubscriptions, range: Range, after?: string): string | null =>
  subs.state.tree.find((name) => {
    const iv = subs.byName.get(name)
    return iv !== undefined && overlaps(iv.range, range) && (after === undefined || name > after)
  }) ?? null

/** `mmu_interval_notifier_insert`: begins to watch. The first `mmuIntervalReadBegin` waits for invalidations under way. */
export const mmuIntervalNotifierInsert = (subs: NotifierSubscriptions, iv: IntervalSubscription): Effect.Effect<void> =>
  underLock(subs.lock, "mmu_interval_notifier_insert", [iv.name], () => {
    const { state } = subs
    if (state.active > 0) {
      if (isInvalidating(subs)) {
        state.deferred = [iv.name, ...state.deferred]
      } else {
        state.seq |= 1
        treeInsert(subs, iv.name)
      }
      iv.state.seq = state.seq
    } else {
      assert(!isInvalidating(subs), "no invalidation is active and the sequence is odd")
      iv.state.seq = state.seq - 1
      treeInsert(subs, iv.name)
    }
  })

/**
 * `mmu_interval_notifier_remove`: when it returns, no callback runs or will run. Sleeps; no lock of a callback's may be
 * held.
 */
export const mmuIntervalNotifierRemove = procedure(function* (subs: NotifierSubscriptions, iv: IntervalSubscription) {
  const waitFor = yield* underLock(subs.lock, "mmu_interval_notifier_remove", [iv.name], () => {
    const { state } = subs
    if (!isInvalidating(subs)) {
      treeRemove(subs, iv.name)
      return null
    }
    if (!state.tree.includes(iv.name)) {
      state.deferred = state.deferred.filter((name) => name !== iv.name)
      return null
    }
    state.deferred = [iv.name, ...state.deferred]
    noteReader(subs, iv.name, true)
    return state.seq
  })
  if (waitFor === null) return
  // mmu_interval_seq_released: the sequence is read under the lock that covers its bump and the deferred list.
  yield* waitEvent(
    subs.wq,
    "mmu_interval_notifier_remove",
    [waitFor],
    () => hasEnded(subs, iv.name, waitFor),
    () => isFree(subs.lock),
  )
})

/** `mmu_interval_read_begin`: the sequence to give to `mmuIntervalReadRetry`. Sleeps while the range is being invalidated. */
export const mmuIntervalReadBegin = procedure(function* (subs: NotifierSubscriptions, iv: IntervalSubscription) {
  const { seq, invalidating } = yield* underLock(subs.lock, "mmu_interval_read_begin", [iv.name], () => {
    const goesOn = iv.state.seq === subs.state.seq
    noteReader(subs, iv.name, goesOn)
    return { seq: iv.state.seq, invalidating: goesOn }
  })
  if (invalidating) yield* waitEvent(subs.wq, "mmu_interval_read_begin", [seq], () => hasEnded(subs, iv.name, seq))
  return seq
})

/** `mmu_interval_read_retry`: whether what was read since `seq` may be stale. Under the driver's lock. */
export const mmuIntervalReadRetry = (iv: IntervalSubscription, seq: number): Effect.Effect<boolean> =>
  step("mmu_interval_read_retry", [iv.name], () => {
    const stale = isStale(iv, seq)
    forgetReader(iv.subs, iv.name)
    return stale
  })

/** `mmu_interval_check_retry`: the same without the lock; a hint only. */
export const mmuIntervalCheckRetry = (iv: IntervalSubscription, seq: number): Effect.Effect<boolean> =>
  step("mmu_interval_check_retry", [iv.name], () => isStale(iv, seq))

/** `mmu_interval_set_seq`: called by the callback, under the driver's lock. */
export const mmuIntervalSetSeq = (iv: IntervalSubscription, seq: number): Effect.Effect<void> =>
  step("mmu_interval_set_seq", [iv.name, seq], () => setSeq(iv, seq))

/**
 * `mn_itree_inv_start_range` and `mn_itree_invalidate`: when it returns true, no device that subscribed maps the range or
 * will, until the end. False when the range is not blockable and a callback would have to sleep: there is no end then.
 */
export const mnItreeInvalidateStart = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  const { seq, first } = yield* underLock(subs.lock, "mn_itree_inv_start_range", argsOf(subs, range), () => {
    const { state } = subs
    state.active++
    const overlapping = nextOverlapping(subs, range)
    if (overlapping !== null) state.seq |= 1
    return { seq: state.seq, first: overlapping }
  })
  const finishPasses: Array<FinishPass> = []
  let refused = false
  for (let name = first; name !== null && !refused; ) {
    const called = name
    const iv = subs.byName.get(called)
    const answer =
      iv === undefined || (yield* rangeCallback(`the invalidate of ${called}`, range, iv.invalidate(range, seq)))
    if (typeof answer !== "boolean") finishPasses.push(answer)
    if (answer === false && !range.blockable) refused = true
    else name = yield* step("mn_itree_inv_next", [called], () => nextOverlapping(subs, range, called))
  }
  // mn_itree_finish_pass: in the order of the first one, and also when one has refused.
  for (const { invalidateFinish } of finishPasses) yield* rangeCallback("invalidate_finish", range, invalidateFinish())
  if (refused) yield* mnItreeInvalidateEnd(subs, range)
  return !refused
})

/** What a range's steps show: the address space, the range, why, by whom, and whether the callbacks may not sleep. */
const argsOf = (
  { mm }: NotifierSubscriptions,
  { start, end, event, by, blockable, owner }: NotifierRange,
): ReadonlyArray<Plain> => [
  mm,
  start,
  end,
  event,
  by,
  ...(blockable ? [] : ["nonblock"]),
  ...(owner === undefined ? [] : [owner]),
]

/** `mn_itree_inv_end`: the last one wakes the readers and does what was deferred. */
export const mnItreeInvalidateEnd = procedure(function* (subs: NotifierSubscriptions, range: NotifierRange) {
  const released = yield* underLock(subs.lock, "mn_itree_inv_end", argsOf(subs, range), () => {
    const { state } = subs
    state.active--
    if (state.active > 0 || !isInvalidating(subs)) return false
    endSeq(subs)
    keep(subs.lock)
    return true
  })
  if (!released) return
  yield* step("mn_itree_inv_end: deferred_list", () => {
    const { state } = subs
    for (const name of state.deferred) {
      if (state.tree.includes(name)) treeRemove(subs, name)
      else treeInsert(subs, name)
    }
    state.deferred = []
    release(subs.lock)
  })
  yield* wakeUpAll(subs.wq)
})

/** `mn_itree_release`: at the end of an address space every subscription hears that all of it goes. */
export const mnItreeRelease = procedure(function* (subs: NotifierSubscriptions, whole: Range) {
  const range = notifierRange("RELEASE", "mn_itree_release", whole)
  yield* mnItreeInvalidateStart(subs, range)
  yield* mnItreeInvalidateEnd(subs, range)
})
