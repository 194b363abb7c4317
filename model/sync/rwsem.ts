import type * as Effect from "effect/Effect"
import { guardedStep, type Struct, self, step, struct } from "../../checker/program/index.ts"

/** A reader-writer semaphore without queueing: any waiter may be next. `readers` is sorted by name. */
export interface RwSem {
  readonly name: string
  readonly state: Struct<{ writer: string; readers: ReadonlyArray<string> }>
}

/** Makes a semaphore that nobody holds. */
export const rwSem = (name: string): RwSem => {
  const readers: ReadonlyArray<string> = []
  return { name, state: struct(name, { writer: "", readers }) }
}

const withReader = (readers: ReadonlyArray<string>, reader: string) => [...readers, reader].sort()

/** `down_read`, under the name of the caller that readers of traces know. */
export const downRead = (sem: RwSem, name: string): Effect.Effect<void> =>
  guardedStep(
    name,
    () => sem.state.writer === "",
    () => {
      sem.state.readers = withReader(sem.state.readers, self())
    },
  )

/** `up_read` */
export const upRead = (sem: RwSem, name: string): Effect.Effect<void> =>
  step(name, () => {
    sem.state.readers = sem.state.readers.filter((reader) => reader !== self())
  })

/** `down_write` */
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
