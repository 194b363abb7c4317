import type { Property } from "../property/property.ts"
import { type Program, programOf } from "./program.ts"
import { type Bound, boundOf, type Parameters, type Scenario } from "./scenario.ts"
import type { SeededBug } from "./seededBug.ts"

/** A scenario without the type of its world, as the command line deals with it. */
export interface ScenarioEntry {
  readonly id: string
  readonly summary: string
  readonly parameters: Parameters
  readonly requires: (bound: Bound) => string | undefined
  readonly properties: ReadonlyArray<Pick<Property<never>, "id" | "kind" | "statement" | "source">>
  readonly bugs: ReadonlyArray<BugEntry>
  /** The program at a bound, with a seeded bug or without. @throws BadBound */
  readonly program: (settings?: Bound, bug?: string) => Program
}

/** A seeded bug without the type of its world. */
export type BugEntry = Omit<SeededBug<never>, "at">

/** What something is or does, a sentence each, by its name. */
export type Descriptions = { readonly [name: string]: string }

/** What the handbook says of a protocol that no run can tell. */
export interface About {
  /** What the protocol is for, in a few sentences: who shares what with whom, and what must not go wrong. */
  readonly purpose: string
  /** What each family of fibers does. A family is called by its fibers' name with `N` for each number: `cpuN` is `cpu0` and `cpu1`. */
  readonly actors?: Descriptions
  /**
   * What each kind of object is that its fibers share: the first part of the names of its cells, up to the dot, with `N`
   * for each number. `folioN` is `folio0.refcount`, `folio0.lock`, `folio1.refcount` and so on.
   */
  readonly state?: Descriptions
  /** The same of objects that belong to monitors, which watch from outside: nothing that a fiber does depends on them. */
  readonly monitors?: Descriptions
  /** What the operations are by which scenarios are called that put them together: `munmap` and `fork` of `mm/pairs/munmap+fork`. */
  readonly operations?: Descriptions
  /** What the model of it leaves out or simplifies, a sentence each. */
  readonly notModelled: ReadonlyArray<string>
}

/** A protocol: the scenarios and seeded bugs that share one world. */
export interface Protocol {
  readonly id: string
  readonly title: string
  /** A program of one's own needs none. */
  readonly about?: About
  readonly scenarios: ReadonlyArray<ScenarioEntry>
  readonly bugs: ReadonlyArray<BugEntry>
  /**
   * Globs of the names of the steps that are the protocol's own: those that are mutated, but for those that match a glob
   * behind a `!`. Without it, all that its scenarios take. What else they take is mutated in the protocol that it belongs to.
   */
  readonly steps?: ReadonlyArray<string>
  /**
   * Globs of the names of the steps of its environment: what users, devices and hardware do of their own accord, and what is
   * only told to properties. No protocol promises them, so that no mutant changes them, or their place among others.
   */
  readonly environment?: ReadonlyArray<string>
  readonly survivors?: Survivors
}

/** Mutants (see `mutants`) that no property kills, by their ids, and for each in a sentence why that is right. */
export type Survivors = { readonly [mutant: string]: string }

/** Everything that the command line knows by name. */
export type Registry = ReadonlyArray<Protocol>

/** Defines a protocol. Each of its bugs can be switched on in each of its scenarios. */
export const protocol = <World>(definition: {
  readonly id: string
  readonly title: string
  readonly about?: About
  readonly scenarios: ReadonlyArray<Scenario<World>>
  readonly bugs?: ReadonlyArray<SeededBug<World>>
  readonly steps?: ReadonlyArray<string>
  readonly environment?: ReadonlyArray<string>
  readonly survivors?: Survivors
}): Protocol => {
  const bugs = definition.bugs ?? []
  return {
    id: definition.id,
    title: definition.title,
    ...(definition.about === undefined ? {} : { about: definition.about }),
    bugs,
    ...(definition.steps === undefined ? {} : { steps: definition.steps }),
    ...(definition.environment === undefined ? {} : { environment: definition.environment }),
    ...(definition.survivors === undefined ? {} : { survivors: definition.survivors }),
    scenarios: definition.scenarios.map((scenario) => ({
      id: scenario.id,
      summary: scenario.summary,
      parameters: scenario.parameters,
      requires: (bound) => scenario.requires?.(bound),
      properties: scenario.properties,
      bugs,
      program: (settings, bugId) =>
        programOf(
          scenario,
          boundOf(scenario, settings),
          bugs.find((bug) => bug.id === bugId),
          bugs,
        ),
    })),
  }
}

/** A protocol of one scenario and no bugs: what a program of one's own is. */
export const protocolOf = <World>(scenario: Scenario<World>): Protocol =>
  protocol({ id: scenario.id, title: scenario.summary, scenarios: [scenario] })

/** The properties of a protocol, each once, in the order of their first scenario. */
export const propertiesOf = ({ scenarios }: Protocol): ReadonlyArray<ScenarioEntry["properties"][number]> => {
  const byId = new Map(scenarios.flatMap(({ properties }) => properties).map((property) => [property.id, property]))
  return [...byId.values()]
}
