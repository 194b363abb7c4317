/**
 * SRCU (kernel/rcu/srcutree.c, include/linux/srcu.h), at the granularity of its promises: readers that may sleep, each
 * domain with grace periods of its own, `call_srcu` and `srcu_barrier`. Callbacks are in one list, as long as an
 * srcu_struct is small (SRCU_SIZE_SMALL); one that has become big has a list per CPU and order within each alone. The
 * algorithm itself is in `srcuTree.ts`.
 */
import type * as Effect from "effect/Effect"
import { step } from "../../checker/program/index.ts"
import {
  barrier,
  call,
  type Domain,
  domain,
  type Flavour,
  inside,
  readLock,
  readUnlock,
  synchronize,
} from "./gracePeriod.ts"

const flavour: Flavour = {
  readLock: "srcu_read_lock",
  readUnlock: "srcu_read_unlock",
  synchronize: "synchronize_srcu",
  call: "call_srcu",
  invoke: "srcu_invoke_callbacks",
  barrier: "srcu_barrier",
}

/** `struct srcu_struct`: readers that share their grace periods. */
export interface Srcu extends Domain {
  readonly flavour: typeof flavour
}

/**
 * `init_srcu_struct`, with nobody inside a section.
 *
 * @param readers the fibers that may read, by name
 */
export const srcuDomain = (name: string, readers: ReadonlyArray<string>): Srcu => domain(name, flavour, readers)

/** `srcu_read_lock`: enters a section and returns its number, which `srcuReadUnlock` wants. Sections may nest and overlap. */
export const srcuReadLock = (srcu: Srcu): Effect.Effect<number> => readLock(srcu)

/** `srcu_read_unlock` */
export const srcuReadUnlock = (srcu: Srcu, section: number): Effect.Effect<void> => readUnlock(srcu, section)

/**
 * `synchronize_srcu`: returns when every section that was open at the call has been left. Inside a section of the same
 * domain it never does.
 */
export const synchronizeSrcu = (srcu: Srcu): Effect.Effect<void> => synchronize(srcu)

/** `call_srcu`: has a callback run behind a grace period, in the order of the calls. Does not sleep. */
export const callSrcu = (srcu: Srcu, head: string, callback: Effect.Effect<unknown>): Effect.Effect<void> =>
  call(srcu, head, callback)

/** `srcu_barrier`: returns when every callback queued before the call has returned. */
export const srcuBarrier = (srcu: Srcu): Effect.Effect<void> => barrier(srcu)

/** `cleanup_srcu_struct`: what it warns of. */
export const cleanupSrcuStruct = (srcu: Srcu): Effect.Effect<ReadonlyArray<string>> =>
  step("cleanup_srcu_struct", [srcu.name], () => [
    ...(inside(srcu).length > 0 ? ["srcu_readers_active"] : []),
    ...(srcu.state.callbacks.length > 0 ? ["rcu_segcblist_n_cbs"] : []),
  ])
