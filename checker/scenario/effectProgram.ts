/** Programs that know nothing of steps: ordinary Effect code, explored as it is. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { describeError } from "../engine/fault.ts"
import { cell } from "../program/cell.ts"
import { breakRule } from "../program/runtime.ts"
import { Access, Store } from "../program/store.ts"
import { type AtEnd, bind } from "../property/property.ts"
import { type Instance, orSetupFailed, type PlainEffect, type Program, settingUp, type Woken } from "./program.ts"
import type { Protocol, ScenarioEntry } from "./protocol.ts"
import { type Bound, boundOf, type Parameter, type Parameters } from "./scenario.ts"

/** Must hold however the main fiber ends. */
export type ExitProperty<A, E> = Omit<AtEnd<Exit.Exit<A, E>>, "kind">

/** What `effectProgram` is told. */
export interface EffectProgramDefinition<A, E, P extends Parameters> {
  readonly id: string
  readonly summary?: string
  readonly parameters?: P
  /** A sentence about a bound that cannot be, although each of its numbers can. */
  readonly requires?: (bound: Bound) => string | undefined
  /** Makes the Effect that the main fiber runs. Called once for every execution, so state that it makes is fresh. */
  readonly program: (bound: { readonly [name in keyof P]: number }) => Effect.Effect<A, E>
  /**
   * Looks at how the main fiber ended. It objects by returning `false` or by throwing, as assertions do. Without it and
   * without properties, any failure or interruption of the main fiber is a violation; a defect always is.
   */
  readonly check?: (exit: Exit.Exit<A, E>, bound: { readonly [name in keyof P]: number }) => unknown
  /** The same in words that reports can use. */
  readonly properties?: ReadonlyArray<ExitProperty<A, E>>
  /**
   * When a sleeping fiber may go on. `passes` (default): always, in the order of the times at which sleepers wake, for
   * computing takes time and a timeout may come before any result. `stands`: only when nobody else can go on, as if
   * computing took no time. In both, of two sleeps that begin with no wake-up between them the shorter one ends first.
   */
  readonly time?: "passes" | "stands"
  /**
   * When a fiber goes on that was woken or interrupted, or that `Effect.all`, a race or their like starts. `at once`:
   * inside the turn of whoever did that, as Effect 4.1 does, so no schedule is taken that its runtime, whatever it runs
   * first, would not take. `later`: at any time after that turn, and others may come first. `either` (default): the one
   * and the other, each throughout an execution.
   */
  readonly woken?: Woken | "either"
  /**
   * After how many operations a fiber yields to the others, wherever it is. By default it does so after 2,048, as Effect
   * does, which most programs never reach: they then switch only where a fiber yields, waits, sleeps or ends.
   */
  readonly yieldEvery?: number
}

/** The id of the property that the check of a program is. */
const checkId = "check"

/** An Effect program to explore, as `effectProgram` makes it. */
export class EffectProgram {
  readonly entry: ScenarioEntry

  constructor(entry: ScenarioEntry) {
    this.entry = entry
  }
}

/**
 * Defines an Effect program to be explored: nothing in it need know of the checker. Every order in which Effect could run
 * its fibers is an execution: a fiber that was started, woken or has yielded goes on at any time.
 *
 * @example
 * effectProgram({
 *   id: "lost-update",
 *   program: () => Effect.gen(function* () {
 *     const counter = yield* Ref.make(0)
 *     const increment = Effect.gen(function* () {
 *       const seen = yield* Ref.get(counter)
 *       yield* Effect.yieldNow
 *       yield* Ref.set(counter, seen + 1)
 *     })
 *     yield* Effect.all([increment, increment], { concurrency: "unbounded" })
 *     return yield* Ref.get(counter)
 *   }),
 *   check: (exit) => Exit.isSuccess(exit) && exit.value === 2,
 * })
 */
export const effectProgram = <A, E = never, const P extends Parameters = Record<never, Parameter>>(
  definition: EffectProgramDefinition<A, E, P>,
): EffectProgram => {
  const { id, summary = "", parameters = {}, requires } = definition
  const { yieldEvery } = definition
  if (yieldEvery !== undefined && !(Number.isInteger(yieldEvery) && yieldEvery > 0)) {
    throw new Error(`yieldEvery of ${id} must be a whole number from 1 on, not ${yieldEvery}`)
  }
  const properties = propertiesOf(definition)
  const entry: ScenarioEntry = {
    id,
    summary,
    parameters,
    requires: (bound) => requires?.(bound),
    properties: properties({}).map(({ kind, id, statement, source }) => ({ kind, id, statement, source })),
    bugs: [],
    program: (settings) => programOf(definition, boundOf(entry, settings), properties),
  }
  return new EffectProgram(entry)
}

/** What judges the end of a program at a bound. */
type Judges<A, E> = (bound: Bound) => ReadonlyArray<AtEnd<Exit.Exit<A, E>>>

const propertiesOf = <A, E, P extends Parameters>({
  check,
  properties = [],
}: EffectProgramDefinition<A, E, P>): Judges<A, E> => {
  const own = properties.map((property) => ({ kind: "atEnd" as const, ...property }))
  if (check === undefined) return () => own
  // `boundOf` gives every parameter a number, so a Bound has the keys of P.
  return (bound) => [checking((exit) => check(exit, bound as { readonly [name in keyof P]: number })), ...own]
}

/** A check as a property. */
const checking = <A, E>(check: (exit: Exit.Exit<A, E>) => unknown): AtEnd<Exit.Exit<A, E>> => {
  let objection = ""
  return {
    kind: "atEnd",
    id: checkId,
    statement: "The program ends as its check wants it.",
    source: "the check of the program",
    holds: (exit) => {
      try {
        objection = objectionOf(check(exit))
      } catch (error) {
        objection = describeError(error)
      }
      return objection === ""
    },
    explain: () => objection,
  }
}

/** What assertions of test frameworks return is none of ours, so only `false` objects; a promise would come too late. */
const objectionOf = (answer: unknown): string => {
  if (answer instanceof Promise) return "The check must not be asynchronous, and returned a promise."
  return answer === false ? "The check returned false." : ""
}

const programOf = <A, E, P extends Parameters>(
  definition: EffectProgramDefinition<A, E, P>,
  bound: Bound,
  judges: Judges<A, E>,
): Program => ({
  scenario: definition.id,
  bound,
  mutant: undefined,
  breaks: undefined,
  inSteps: false,
  start: () => orSetupFailed(definition.id, () => startOf(definition, bound, judges)),
  namedSteps: () => new Set(),
})

/** How a program ended, as its properties see it. */
interface Ended<A, E> {
  exit: Exit.Exit<A, E> | undefined
}

const startOf = <A, E, P extends Parameters>(
  { id, program, time = "passes", woken = "either", yieldEvery }: EffectProgramDefinition<A, E, P>,
  bound: Bound,
  judges: Judges<A, E>,
): Instance => {
  const store = new Store()
  const ended: Ended<A, E> = { exit: undefined }
  const { text, main } = settingUp(store, () => ({
    // The one cell of the program: what it holds at the end tells one outcome from another.
    text: cell("exit", ""),
    main: program(bound as { readonly [name in keyof P]: number }), // as above
  }))
  if (!Effect.isEffect(main)) return breakRule(`its program returns no Effect`)
  const plain: PlainEffect = {
    main,
    time,
    woken,
    yieldEvery,
    ended: (exit, description) => {
      store.access = Access.write
      text.value = description
      store.access = Access.none
      ended.exit = exit as Exit.Exit<A, E> // of `main`, which is an Effect<A, E>
    },
  }
  return {
    store,
    plain,
    fibers: [{ name: "main", effect: main, rewrite: () => undefined }],
    properties: judges(bound).map((property) => bind(ofExit(property, ended, text), undefined, undefined)),
    monitors: [],
    lockGraph: undefined,
    lockCells: new Map(),
    interchangeable: [],
    forked: (name) => breakRule(`${id} is not written in steps: fiber ${name} is not one of a scenario's`),
  }
}

/** A property of how the program ended. It reads the cell, and so counts as a property of the program's state. */
const ofExit = <A, E>(
  property: AtEnd<Exit.Exit<A, E>>,
  ended: Ended<A, E>,
  text: { readonly value: string },
): AtEnd<undefined> => {
  const { premise, holds, explain, ...stated } = property
  const seen = (): Exit.Exit<A, E> => {
    if (ended.exit === undefined) throw new Error("the program has not ended")
    return ended.exit
  }
  return {
    ...stated,
    ...(premise === undefined ? {} : { premise: () => premise(seen()) }),
    holds: () => text.value !== "" && holds(seen()),
    explain: () => `The program ${text.value}. ${explain?.(seen()) ?? ""}`.trim(),
  }
}

/** A protocol of Effect programs: what a file of one's own is. */
export const protocolOfEffects = (programs: ReadonlyArray<EffectProgram>): Protocol => {
  const scenarios = programs.map(({ entry }) => entry)
  const [first] = scenarios
  return { id: first?.id ?? "effect", title: first?.summary ?? "", scenarios, bugs: [] }
}
