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

/** A reader-writer semaphore without queueing: any waiter may be next. `readers` is sorted by name. */
export interface RwSem extends Lock {
  readonly state: Struct<{ writer: string; readers: ReadonlyArray<string> }>
}

/** Makes a semaphore that nobody holds. */
export const rwSem = (name: string, kind = name): RwSem => {
  const readers: ReadonlyArray<string> = []
  const state = struct(name, { writer: "", readers })
  const holders = () => [...alone(state.writer), ...state.readers.map((fiber) => ({ fiber, shared: true }))]
  return declareLock({ name, kind, state, holders })
}

/** A wait to read. */
export const readWait = (sem: RwSem): Wait => ({
  on: sem.name,
  kind: sem.kind,
  sleeps: true,
  takes: () => [{ lock: sem, shared: true }],
  hindrances: () => holding(sem.state.writer, "holds for writing"),
})

/** A wait to write. */
export const writeWait = (sem: RwSem): Wait => ({
  on: sem.name,
  kind: sem.kind,
  sleeps: true,
  takes: () => [{ lock: sem, shared: false }],
  hindrances: () => [
    ...holding(sem.state.writer, "holds for writing"),
    ...sem.state.readers.map((fiber) => ({ fiber, how: "holds for reading" })),
  ],
})

/** Whether a fiber has it, for reading or for writing. */
export const isHeldBy = ({ state: { writer, readers } }: RwSem, fiber: string): boolean =>
  writer === fiber || readers.includes(fiber)

/** Whether the running fiber has it. Within a step. */
export const isHeld = (sem: RwSem): boolean => isHeldBy(sem, self())

/** `lockdep_assert_held`: the running fiber has it, for reading or for writing. Within a step. */
export const assertRwsemHeld = (sem: RwSem): void =>
  assert(isHeld(sem), `${self()} needs ${sem.name}, and does not have it`)

/** Nobody reads while somebody writes. Within a step that reads. */
export const expectNoWriter = ({ name, state: { writer } }: RwSem): void =>
  assert(writer === "", `${self()} takes ${name}, which ${writer} writes under`)

/** Nobody writes while somebody else has it. Within a step that takes it to write. */
export const expectNobody = ({ name, state: { writer, readers } }: RwSem): void => {
  const others = [...(writer === "" ? [] : [writer]), ...readers].join(", ")
  assert(others === "", `${self()} takes ${name} to write, which ${others} holds`)
}

/** The running fiber reads from here on. Within a step that is taken when nobody writes. */
export const addReader = (sem: RwSem): void => {
  sem.state.readers = [...sem.state.readers, self()].sort()
}

/** `down_read`, under the name of the caller that readers of traces know. */
export const downRead = (sem: RwSem, name: string, args: ReadonlyArray<Plain> = []): Effect.Effect<void> =>
  guardedStep(
    name,
    args,
    () => sem.state.writer === "",
    () => {
      expectNoWriter(sem)
      addReader(sem)
    },
    readWait(sem),
  )

/** `down_read_trylock`: whether it was to be had. */
export const tryDownRead = (sem: RwSem, name: string, args: ReadonlyArray<Plain> = []): Effect.Effect<boolean> =>
  step(name, args, () => {
    if (sem.state.writer !== "") return false
    addReader(sem)
    return true
  })

/** `up_read` */
export const upRead = (sem: RwSem, name: string, args: ReadonlyArray<Plain> = []): Effect.Effect<void> =>
  step(name, args, () => {
    assert(sem.state.readers.includes(self()), `${self()} gives back ${sem.name}, under which it does not read`)
    sem.state.readers = sem.state.readers.filter((reader) => reader !== self())
  })

/** `down_write` */
export const downWrite = (sem: RwSem, name: string, args: ReadonlyArray<Plain> = []): Effect.Effect<void> =>
  guardedStep(
    name,
    args,
    () => sem.state.writer === "" && sem.state.readers.length === 0,
    () => {
      expectNobody(sem)
      sem.state.writer = self()
    },
    writeWait(sem),
  )

/** `up_write` */
export const upWrite = (sem: RwSem, name: string, args: ReadonlyArray<Plain> = []): Effect.Effect<void> =>
  step(name, args, () => {
    assert(sem.state.writer === self(), `${self()} gives back ${sem.name}, under which it does not write`)
    sem.state.writer = ""
  })

/**
 * `downgrade_write`: the writer becomes a reader, with no moment between in which it is neither; and does what belongs
 * to it.
 */
export const downgradeWrite = (
  sem: RwSem,
  name: string,
  args: ReadonlyArray<Plain>,
  also: () => void,
): Effect.Effect<void> =>
  step(name, args, () => {
    also()
    sem.state.writer = ""
    addReader(sem)
  })
