import type * as Effect from "effect/Effect"
import { declareLock, guardedStep, type Plain, self, step, struct, type Wait } from "../../checker/program/index.ts"
import { alone, expectFree, giveBack, type HeldAlone, holding } from "./holding.ts"

/** A mutex: `holder` is the fiber that holds it, empty when it is free. */
export type Mutex = HeldAlone

/** Makes a mutex that nobody holds. */
export const mutex = (name: string, kind = "mutex"): Mutex => {
  const state = struct(name, { holder: "" })
  return declareLock({ name, kind, state, holders: () => alone(state.holder) })
}

const mutexWait = (lock: Mutex): Wait => ({
  on: lock.name,
  kind: "mutex",
  sleeps: true,
  takes: () => [{ lock, shared: false }],
  hindrances: () => holding(lock.state.holder),
})

/** `mutex_lock`: waits until it is free. */
export const mutexLock = (lock: Mutex): Effect.Effect<void> =>
  guardedStep(
    "mutex_lock",
    [lock.name],
    () => lock.state.holder === "",
    () => {
      expectFree(lock)
      lock.state.holder = self()
    },
    mutexWait(lock),
  )

/** `mutex_unlock` */
export const mutexUnlock = (lock: Mutex): Effect.Effect<void> => step("mutex_unlock", [lock.name], () => giveBack(lock))

/** `mutex_trylock` */
export const mutexTrylock = (lock: Mutex): Effect.Effect<boolean> =>
  step("mutex_trylock", [lock.name], () => {
    if (lock.state.holder !== "") return false
    lock.state.holder = self()
    return true
  })

/** A critical section inside which nothing can be seen from outside: one step, taken when the mutex is free. */
export const underMutex = <A>(lock: Mutex, name: string, args: ReadonlyArray<Plain>, body: () => A): Effect.Effect<A> =>
  guardedStep(
    name,
    args,
    () => lock.state.holder === "",
    () => {
      expectFree(lock)
      return body()
    },
    mutexWait(lock),
  )
