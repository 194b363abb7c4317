import type * as Effect from "effect/Effect"
import { declareLock, guardedStep, type Plain, self, struct, type Wait } from "../../checker/program/index.ts"
import { alone, expectFree, giveBack, type HeldAlone, holding } from "./holding.ts"

/** A spinlock: `holder` is the fiber that holds it, empty when it is free. */
export type SpinLock = HeldAlone

/** Makes a spinlock that nobody holds. */
export const spinLock = (name: string, kind = "spinlock"): SpinLock => {
  const state = struct(name, { holder: "" })
  return declareLock({ name, kind, state, holders: () => alone(state.holder) })
}

/** Whether nobody holds the lock. */
export const isFree = (lock: SpinLock): boolean => lock.state.holder === ""

/**
 * A critical section inside which nothing can be seen from outside: one step, taken when the lock is free. One that can
 * be seen, by those who read without the lock, begins like this, with `keep` in the body; its last step has `release`.
 */
export const underLock = <A>(
  lock: SpinLock,
  name: string,
  args: ReadonlyArray<Plain>,
  body: () => A,
): Effect.Effect<A> =>
  guardedStep(
    name,
    args,
    () => isFree(lock),
    () => {
      expectFree(lock)
      return body()
    },
    lockWait(lock),
  )

/** A wait for the lock, which may be one inside another of its kind (`spin_lock_nested`). */
export const lockWait = (lock: SpinLock, nested = false): Wait => ({
  on: lock.name,
  kind: "spinlock",
  sleeps: false,
  takes: () => [{ lock, shared: false, nested }],
  hindrances: () => holding(lock.state.holder),
})

/** The running fiber holds the lock from this step on. Within `underLock`. */
export const keep = (lock: SpinLock): void => {
  if (lock.state.holder !== self()) expectFree(lock)
  lock.state.holder = self()
}

/** The running fiber, which has kept the lock, gives it back. Within a step. */
export const release: (lock: SpinLock) => void = giveBack
