/** What is explored: a program, the bounds it takes, and what must be true of it. */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { Plain } from "../program/plain.ts"
import type { Property } from "../property/property.ts"

/** A bound of a scenario: a whole number between `min` and `max`. */
export interface Parameter {
  readonly description: string
  readonly default: number
  readonly min: number
  readonly max: number
}

/** The bounds of a scenario, by name. */
export type Parameters = { readonly [name: string]: Parameter }

/** A value for each of a scenario's parameters. */
export type Bound = { readonly [name: string]: number }

/** A step that was taken, as a monitor is told of it. */
export interface Taken {
  readonly fiber: string
  readonly args: ReadonlyArray<Plain>
  readonly result: Plain
}

/**
 * Watches a program from outside: after a step of the given name, and in the same instant, the function runs and may
 * write cells of the monitor's own. History that a property needs and the protocol does not keep lives here.
 */
export type Monitor = { readonly [stepName: string]: (taken: Taken) => void }

/** A program, set up: its shared state, its fibers by name, and who watches it. */
export interface Setup<out World> {
  readonly world: World
  readonly fibers: { readonly [name: string]: Effect.Effect<unknown, unknown> }
  readonly monitors?: ReadonlyArray<Monitor>
  /**
   * Groups of names that may change places: two states that differ by a permutation of a group's names count once. What
   * belongs to a name says so: fibers are called by it (`gpu0`, `gpu0-irq` is another name, `gpu0.irq` is its), cells
   * mention it in their names (`gpu0.pte1`), and values mention it as a word (`gpu0`, `gpu0.lock`), as elements of
   * tuples and keys or values of records; never by a number. That the program treats none of them specially is checked.
   */
  readonly interchangeable?: ReadonlyArray<ReadonlyArray<string>>
}

/** A scenario, as `scenario` makes it; `World` is what its properties and seeded bugs see. */
export interface Scenario<World> {
  /** Reads like a path: `notifier/interval/two-devices`. */
  readonly id: string
  readonly summary: string
  readonly parameters: Parameters
  /** A sentence about a bound that cannot be, although each of its numbers can. */
  readonly requires?: (bound: Bound) => string | undefined
  /** Makes the program: cells and Effects, no effects of its own. Called once for every instance. */
  readonly setup: (bound: Bound) => Setup<World>
  readonly properties: ReadonlyArray<Property<World>>
}

/**
 * Defines a scenario. Its `setup` gets the bound with a number for every parameter.
 *
 * @example
 * scenario({
 *   id: "lost-update",
 *   summary: "two fibers increment a counter",
 *   setup: () => {
 *     const counter = cell("counter", 0)
 *     ...
 *     return { world: { counter }, fibers: { alice: increment, bob: increment } }
 *   },
 *   properties: [
 *     { kind: "atEnd", id: "no-lost-update", statement: ..., source: ..., holds: ({ counter }) => counter.value === 2 },
 *   ],
 * })
 */
export const scenario = <World, const P extends Parameters = Record<never, Parameter>>(definition: {
  readonly id: string
  readonly summary: string
  readonly parameters?: P
  readonly requires?: (bound: Bound) => string | undefined
  readonly setup: (bound: { readonly [name in keyof P]: number }) => Setup<World>
  readonly properties: ReadonlyArray<Property<World>>
}): Scenario<World> => ({
  id: definition.id,
  summary: definition.summary,
  parameters: definition.parameters ?? {},
  ...(definition.requires === undefined ? {} : { requires: definition.requires }),
  // `boundOf` gives every parameter a number, so a Bound has the keys of P.
  setup: (bound) => definition.setup(bound as { readonly [name in keyof P]: number }),
  properties: definition.properties,
})

/** A bound was asked for that the scenario does not have. */
export class BadBound extends Data.TaggedError("BadBound")<{ readonly message: string }> {}

/** Checks a bound against the parameters and fills in the defaults. @throws BadBound with a sentence that says what was expected */
export const boundOf = (
  scenario: Pick<Scenario<never>, "id" | "parameters" | "requires">,
  settings: Bound = {},
): Bound => {
  for (const [name, value] of Object.entries(settings)) {
    const parameter = Object.hasOwn(scenario.parameters, name) ? scenario.parameters[name] : undefined
    if (parameter === undefined) {
      const known = Object.keys(scenario.parameters)
      throw new BadBound({
        message: `scenario ${scenario.id} has no parameter ${name}; it has ${known.length === 0 ? "none" : known.join(", ")}`,
      })
    }
    if (!Number.isInteger(value) || value < parameter.min || value > parameter.max) {
      throw new BadBound({
        message: `${name} of ${scenario.id} must be a whole number from ${parameter.min} to ${parameter.max}, not ${value}`,
      })
    }
  }
  const bound = Object.fromEntries(
    Object.entries(scenario.parameters).map(([name, parameter]) => [name, settings[name] ?? parameter.default]),
  )
  const objection = scenario.requires?.(bound)
  if (objection !== undefined) throw new BadBound({ message: `${objection} in ${scenario.id}` })
  return bound
}
