/**
 * A reader-writer semaphore that lets nobody read past a writer that waits (kernel/locking/rwsem.c: RWSEM_FLAG_WAITERS,
 * rwsem_down_read_slowpath). Who reads already and asks once more waits behind such a writer, which waits for its first
 * reading to end. Once a writer has it there is no difference: `upWrite` of rwsem.ts gives this one back too.
 */
import type * as Effect from "effect/Effect"
import {
  assert,
  declareLock,
  guardedStep,
  type Lock,
  type Plain,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import { alone, holding } from "./holding.ts"
import { expectNobody, expectNoWriter, writeWait } from "./rwsem.ts"

/** `readers` is sorted by name, and has who reads twice twice; `waiting`: the writers that wait, sorted likewise. */
export interface FairRwSem extends Lock {
  readonly state: Struct<{ writer: string; readers: ReadonlyArray<string>; waiting: ReadonlyArray<string> }>
}

/** Makes a semaphore that nobody holds. */
export const fairRwSem = (name: string, kind = name): FairRwSem => {
  const none: ReadonlyArray<string> = []
  const state = struct(name, { writer: "", readers: none, waiting: none })
  const holders = () => [...alone(state.writer), ...state.readers.map((fiber) => ({ fiber, shared: true }))]
  return declareLock({ name, kind, state, holders })
}

/** `down_read`: waits for whoever writes or waits to. */
export const fairDownRead = (sem: FairRwSem, name: string, args: ReadonlyArray<Plain>): Effect.Effect<void> =>
  guardedStep(
    name,
    args,
    () => sem.state.writer === "" && sem.state.waiting.length === 0,
    () => {
      expectNoWriter(sem)
      sem.state.readers = [...sem.state.readers, self()].sort()
    },
    {
      on: sem.name,
      kind: sem.kind,
      sleeps: true,
      takes: () => [{ lock: sem, shared: true }],
      hindrances: () => [
        ...holding(sem.state.writer, "holds for writing"),
        ...sem.state.waiting.map((fiber) => ({ fiber, how: "waits to write" })),
      ],
    },
  )

/** `up_read`, of one reading. */
export const fairUpRead = (sem: FairRwSem, name: string, args: ReadonlyArray<Plain>): Effect.Effect<void> =>
  step(name, args, () => {
    const { readers } = sem.state
    const own = readers.indexOf(self())
    assert(own >= 0, `${self()} gives back ${sem.name}, under which it does not read`)
    sem.state.readers = readers.filter((_, position) => position !== own)
  })

/** `down_write`: queues up, and waits for those who read. */
export const fairDownWrite = procedure(function* (sem: FairRwSem, name: string, args: ReadonlyArray<Plain>) {
  yield* step(`${name}: rwsem_add_waiter`, args, () => {
    sem.state.waiting = [...sem.state.waiting, self()].sort()
  })
  yield* guardedStep(
    name,
    args,
    () => sem.state.writer === "" && sem.state.readers.length === 0,
    () => {
      expectNobody(sem)
      assert(sem.state.waiting.includes(self()), `${self()} is not among those who wait to write under ${sem.name}`)
      sem.state.waiting = sem.state.waiting.filter((fiber) => fiber !== self())
      sem.state.writer = self()
    },
    writeWait(sem),
  )
})
