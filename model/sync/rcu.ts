/**
 * RCU (kernel/rcu/tree.c, include/linux/rcupdate.h), at the granularity of its promises: readers that do not sleep,
 * `synchronize_rcu`, `call_rcu` and `rcu_barrier`. Callbacks are in one list, as those of one CPU are; the kernel keeps no
 * order between those of different CPUs.
 */
import * as Effect from "effect/Effect"
import {
  barrier,
  call,
  type Domain,
  domain,
  type Flavour,
  readLock,
  readUnlockLast,
  synchronize,
} from "./gracePeriod.ts"

const flavour: Flavour = {
  readLock: "rcu_read_lock",
  readUnlock: "rcu_read_unlock",
  synchronize: "synchronize_rcu",
  call: "call_rcu",
  invoke: "rcu_do_batch",
  barrier: "rcu_barrier",
}

/** The readers of RCU: the kernel has one such domain. Whoever may sleep inside a section wants SRCU. */
export interface Rcu extends Domain {
  readonly flavour: typeof flavour
}

/**
 * Makes RCU with nobody inside a section.
 *
 * @param readers the fibers that may read, by name
 */
export const rcuDomain = (name: string, readers: ReadonlyArray<string>): Rcu => domain(name, flavour, readers)

/** `rcu_read_lock`: enters a section; they nest. */
export const rcuReadLock = (rcu: Rcu): Effect.Effect<void> => Effect.asVoid(readLock(rcu))

/** `rcu_read_unlock`: leaves the section that was entered last. */
export const rcuReadUnlock = (rcu: Rcu): Effect.Effect<void> => readUnlockLast(rcu)

/** `synchronize_rcu`: returns when every section that was open at the call has been left. */
export const synchronizeRcu = (rcu: Rcu): Effect.Effect<void> => synchronize(rcu)

/** `call_rcu`: has a callback run behind a grace period, in the order of the calls. Does not sleep. */
export const callRcu = (rcu: Rcu, head: string, callback: Effect.Effect<unknown>): Effect.Effect<void> =>
  call(rcu, head, callback)

/** `rcu_barrier`: returns when every callback queued before the call has returned. */
export const rcuBarrier = (rcu: Rcu): Effect.Effect<void> => barrier(rcu)
