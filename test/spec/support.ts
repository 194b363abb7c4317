/** What tests ask of protocols: that they hold in every state, exercise all that they state, and break as recorded. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { expect, it } from "vitest"
import {
  Counterexample,
  explore,
  type Program,
  type Protocol,
  type Result,
  runMoves,
  type ScenarioEntry,
  type SearchOptions,
  shrink,
} from "../../checker/index.ts"
import { strategyOf } from "../checker/support.ts"
import { long } from "../long.ts"

export const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
export const states = strategyOf("states")

/** Looks for scenarios of protocols, by all of their ids or what follows a prefix. */
export const scenariosIn =
  (protocols: ReadonlyArray<Protocol>, prefix = "") =>
  (name: string): ScenarioEntry => {
    const found = protocols
      .flatMap(({ scenarios }) => scenarios)
      .find(({ id }) => id === name || id === `${prefix}${name}`)
    if (found === undefined) throw new Error(`there is no scenario ${name}`)
    return found
  }

/** A seeded bug of a protocol. */
export const bugIn = ({ bugs }: Protocol, id: string) => {
  const found = bugs.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`there is no bug ${id}`)
  return found
}

/** What comes of exploring all states. */
export const explored = (program: Program, more: Partial<SearchOptions> = {}): Promise<Result> =>
  Effect.runPromise(explore(program, states, { ...options, ...more }))

/** The program holds, every state visited. */
export const holds = async (program: Program, more: Partial<SearchOptions> = {}): Promise<Result> => {
  const result = await explored(program, more)
  expect(result.violation, program.scenario).toBeUndefined()
  expect(result.outcome, program.scenario).toBe("holds")
  return result
}

/** All programs hold, and put every property and every named step to the test, together. */
export const holdAndExercise = async (programs: ReadonlyArray<Program>): Promise<void> => {
  const exercised = new Map<string, number>()
  const taken = new Map<string, number>()
  const add = (to: Map<string, number>, name: string, times: number) => to.set(name, (to.get(name) ?? 0) + times)
  for (const program of programs) {
    const result = await holds(program)
    for (const { id, times } of result.exercised) add(exercised, id, times)
    for (const [step, times] of result.steps) add(taken, step, times)
  }
  expect(exercised.size).toBeGreaterThan(0)
  expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
  expect([...taken].filter(([, times]) => times === 0)).toEqual([])
}

/** The ids of what the scenarios of protocols ask. */
export const statedIn = (...protocols: ReadonlyArray<Protocol>): ReadonlySet<string> =>
  new Set(protocols.flatMap(({ scenarios }) => scenarios.flatMap(({ properties }) => properties.map(({ id }) => id))))

/** The ids of what the seeded bugs of protocols break. */
export const brokenIn = (...protocols: ReadonlyArray<Protocol>): ReadonlySet<string> =>
  new Set(protocols.flatMap(({ bugs }) => bugs.map(({ breaks }) => breaks)))

/** Those of `ids` that are not in `known`. */
export const missingFrom = (known: ReadonlySet<string>, ids: Iterable<string>): ReadonlyArray<string> =>
  [...ids].filter((id) => !known.has(id))

/** Every rule is a sentence, with its source. */
export const expectSourced = ({ scenarios }: Protocol): void => {
  for (const { id, statement, source } of scenarios.flatMap(({ properties }) => properties)) {
    expect(statement, id).toMatch(/^\w.* .*\.$/)
    expect(source, id).not.toBe("")
  }
}

/** The counterexample that is saved of a seeded bug. */
export const recordOf = async (bug: string): Promise<Counterexample> => {
  const text = await readFile(new URL(`../../counterexamples/${bug}.json`, import.meta.url), "utf8")
  return Schema.decodeUnknownSync(Counterexample)(JSON.parse(text))
}

/** Its steps, each with its fiber. */
export const recordedSteps = async (bug: string): Promise<ReadonlyArray<string>> =>
  (await recordOf(bug)).schedule.map(({ fiber, label }) => `${fiber} ${label}`)

/** Those of its steps that are in the list, in their order. */
export const told = async (bug: string, of: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  (await recordedSteps(bug)).filter((step) => of.includes(step))

/**
 * Tests that the default strategy finds each seeded bug of a protocol, and shrinks it to what is saved, where
 * SHOOTDOWN_LONG=1 is set: `npm run check` finds them too, and test/spec/registry.test.ts replays them.
 */
export const foundAsRecorded = (protocol: Protocol): void => {
  it.skipIf(!long).each(protocol.bugs.map((bug) => [bug.id, bug] as const))(
    "breaks with %s as recorded",
    async (id, { scenario: where, bound, breaks }) => {
      const entry = scenariosIn([protocol])(where)
      const program = entry.program(bound, id)
      const found = await explored(program, { target: breaks })
      expect(found.violation?.property).toBe(breaks)
      const shrunk = shrink(entry, program, breaks, found.moves ?? [], found.cycle)
      const { steps } = runMoves(shrunk.program, shrunk.moves, shrunk.cycle)
      const file = await recordOf(id)
      expect(file.bound).toEqual(shrunk.program.bound)
      expect(file.cycle).toEqual(shrunk.cycle)
      expect(file.schedule).toEqual(
        steps.map(({ fiber, label, choice }) => (choice === undefined ? { fiber, label } : { fiber, label, choice })),
      )
    },
  )
}
