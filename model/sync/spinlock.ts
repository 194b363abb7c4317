import type * as Effect from "effect/Effect"
import { guardedStep, type Plain, type Struct, struct } from "../../checker/program/index.ts"

/** A spinlock: `holder` is the fiber that holds it, empty when it is free. */
export interface SpinLock {
  readonly name: string
  readonly state: Struct<{ holder: string }>
}

/** Makes a spinlock that nobody holds. */
export const spinLock = (name: string): SpinLock => ({ name, state: struct(name, { holder: "" }) })

/** Whether nobody holds the lock. */
export const isFree = (lock: SpinLock): boolean => lock.state.holder === ""

/** A critical section inside which nothing can be seen from outside: one step, taken when the lock is free. */
export const underLock = <A>(
  lock: SpinLock,
  name: string,
  args: ReadonlyArray<Plain>,
  body: () => A,
): Effect.Effect<A> => guardedStep(name, args, () => isFree(lock), body)
