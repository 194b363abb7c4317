import type * as Effect from "effect/Effect"
import { guardedStep, type Struct, self, step, struct } from "../../checker/program/index.ts"

/** A reader-writer semaphore without queueing: any waiter may be next. `readers` is sorted by name. */
export interface RwSem {
  readonly name: string
  readonly state: Struct<{ writer: string; readers: ReadonlyArray<string> }>
}

export const rwSem = (name: string): RwSem => {
  const readers: ReadonlyArray<string> = []
  return { name, state: struct(name, { writer: "", readers }) }
}

const withReader = (readers: ReadonlyArray<string>, reader: string) => [...readers, reader].sort()

export const downRead = (sem: RwSem, name: string): Effect.Effect<void> =>
  guardedStep(
    name,
    () => sem.state.writer === "",
    () => {
      sem.state.readers = withReader(sem.state.readers, self())
    },
  )

export const upRead = (sem: RwSem, name: string): Effect.Effect<void> =>
  step(name, () => {
    sem.state.readers = sem.state.readers.filter((reader) => reader !== self())
  })

export const downWrite = (sem: RwSem, name: string): Effect.Effect<void> =>
  guardedStep(
    name,
    () => sem.state.writer === "" && sem.state.readers.length === 0,
    () => {
      sem.state.writer = self()
    },
  )

/** The writer becomes a reader, with no moment between in which it is neither. */
export const downgradeWrite = (sem: RwSem, name: string): Effect.Effect<void> =>
  step(name, () => {
    sem.state.writer = ""
    sem.state.readers = withReader(sem.state.readers, self())
  })
