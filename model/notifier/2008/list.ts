/** A list of notifiers that is walked under RCU, or where callbacks sleep under SRCU, and the grace periods of both. */
import type * as Effect from "effect/Effect"
import { guardedStep, type Plain, procedure, type Struct, self, step, struct } from "../../../checker/program/index.ts"
import type { Machine } from "./machine.ts"

/** The list. */
export interface NotifierList<Ops> {
  /** The names of those on it, sorted. */
  readonly state: Struct<{ names: ReadonlyArray<string> }>
  /** What they are: static, only their membership changes. */
  readonly byName: Map<string, Ops>
}

/** Makes an empty list. */
export const notifierList = <Ops>(name: string): NotifierList<Ops> => {
  const names: ReadonlyArray<string> = []
  return { state: struct(name, { names }), byName: new Map() }
}

/** Puts a notifier on a list. Within a step. */
export const listAdd = (list: NotifierList<unknown>, name: string): void => {
  list.state.names = [...list.state.names, name].sort()
}

/** `hlist_del_rcu`: who stands at it can go on from there. Within a step. */
export const listDelete = (list: NotifierList<unknown>, name: string): void => {
  list.state.names = list.state.names.filter((other) => other !== name)
}

/** The kinds of read sections. */
export type Section = "rcu" | "srcu"

/** The running fiber leaves its read section, whichever it is. Within a step. */
const leave = ({ readers }: Machine): void => {
  readers.rcu = readers.rcu.filter((name) => name !== self())
  readers.srcu = readers.srcu.filter((name) => name !== self())
}

/**
 * `mmu_notifier(function, mm, args...)`: calls what every notifier on the list has for a callback, if it has one, inside
 * one read section.
 *
 * The macro as published enters `rcu_read_lock` around all of them, those that may sleep included.
 *
 * @param call the callback of a notifier, `undefined` if it has none
 */
export const callNotifiers = procedure(function* <Ops, A>(
  of: Machine,
  list: NotifierList<Ops>,
  section: Section,
  name: string,
  args: ReadonlyArray<Plain>,
  call: (ops: Ops) => Effect.Effect<A> | undefined,
) {
  const callbackOf = (notifier: string) => {
    const ops = list.byName.get(notifier)
    return ops === undefined ? undefined : call(ops)
  }
  const next = (after: string) =>
    list.state.names.find((candidate) => candidate > after && callbackOf(candidate) !== undefined) ?? null
  const answers: Array<A> = []
  let notifier = yield* step(`${section}_read_lock`, [name, ...args], () => {
    const first = next("")
    if (first !== null) of.readers[section] = [...of.readers[section], self()].sort()
    return first
  })
  while (notifier !== null) {
    const called: string = notifier
    const callback = callbackOf(called)
    if (callback !== undefined) answers.push(yield* callback)
    notifier = yield* step("hlist_for_each_entry_rcu", [name, called], () => {
      const following = next(called)
      if (following === null) leave(of)
      return following
    })
  }
  return answers
})

/** `schedule`, which the fiber comes back from with `wake`. Within a step. */
export const sleep = ({ sleeping }: Machine): void => {
  sleeping.names = [...sleeping.names, self()].sort()
}

/** The running fiber sleeps no more. Within a step. */
export const wake = ({ sleeping }: Machine): void => {
  sleeping.names = sleeping.names.filter((name) => name !== self())
}

/**
 * `synchronize_rcu` and `synchronize_srcu`: every read section that had begun has ended. A processor that schedules has
 * no RCU read section, as far as RCU can tell.
 */
export const synchronize = (of: Machine): Effect.Effect<void> =>
  guardedStep(
    "synchronize_srcu",
    () => of.readers.srcu.length === 0 && of.readers.rcu.every((name) => of.sleeping.names.includes(name)),
    () => undefined,
  )
