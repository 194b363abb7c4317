import type * as Effect from "effect/Effect"
import {
  assert,
  declareLock,
  guardedStep,
  type Lock,
  type Plain,
  type Struct,
  self,
  step,
  struct,
  type Wait,
} from "../../checker/program/index.ts"
import { alone, holding } from "./holding.ts"

/** A mutex: `holder` is the fiber that holds it, empty when it is free. */
export interface Mutex extends Lock {
  readonly state: Struct<{ holder: string }>
}

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
      assertFree(lock)
      lock.state.holder = self()
    },
    mutexWait(lock),
  )

/** Two never have the mutex at once. Within a step that takes it. */
const assertFree = ({ name, state: { holder } }: Mutex): void =>
  assert(holder === "", `${self()} takes ${name}, which ${holder} holds`)

/** `mutex_unlock` */
export const mutexUnlock = ({ name, state }: Mutex): Effect.Effect<void> =>
  step("mutex_unlock", [name], () => {
    assert(state.holder === self(), `${self()} gives back ${name}, which it does not hold`)
    state.holder = ""
  })

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
      assertFree(lock)
      return body()
    },
    mutexWait(lock),
  )
