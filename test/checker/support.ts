import * as Effect from "effect/Effect"
import {
  type Budget,
  builtIn,
  explore,
  type Program,
  type Property,
  protocolOf,
  type Result,
  runMoves,
  type ScenarioEntry,
  type SearchOptions,
  type Setup,
  type Strategy,
  scenario,
  strategies,
} from "../../checker/index.ts"

/** A strategy by its name. */
export const strategyOf = (name: string): Strategy => {
  const strategy = strategies.find((candidate) => candidate.name === name)
  if (strategy === undefined) throw new Error(`there is no strategy ${name}`)
  return strategy
}

/** Generous for the small programs of these tests, and still short enough to end a runaway quickly. */
export const defaults: SearchOptions = { maxSteps: 500, seed: 1, executions: 20_000 }

/** A scenario of one's own, without parameters. */
export const entryOf = <World>(
  setup: () => Setup<World>,
  properties: ReadonlyArray<Property<World>> = [],
): ScenarioEntry => {
  const [entry] = protocolOf(scenario({ id: "test", summary: "a test", setup: () => setup(), properties })).scenarios
  if (entry === undefined) throw new Error("a protocol of one scenario has none")
  return entry
}

/** The program of such a scenario. */
export const programOf = <World>(setup: () => Setup<World>, properties: ReadonlyArray<Property<World>> = []): Program =>
  entryOf(setup, properties).program()

export const run = (
  program: Program,
  strategy: string,
  options: Partial<SearchOptions> = {},
  budget: Budget = {},
): Promise<Result> => Effect.runPromise(explore(program, strategyOf(strategy), { ...defaults, ...options }, budget))

/** Everything that a search finds when it does not stop at the first violation. */
export interface Found {
  /** Final states by the fingerprint of their cells, those of a deadlock marked. */
  readonly finals: ReadonlySet<string>
  /** How often the search came to a final state, and how many of these were deadlocks. */
  readonly ends: number
  readonly deadlockedEnds: number
  /** The ids of the properties that broke. */
  readonly broken: ReadonlySet<string>
  /** The properties that broke, with what is said of them. */
  readonly violations: ReadonlySet<string>
  readonly result: Result
}

/**
 * Runs a search that reports everything. Who wrote a cell last, and so who waits for whom, is left out: the memoised
 * engine does not know it.
 */
export const survey = async (
  program: Program,
  strategy: string,
  options: Partial<SearchOptions> = {},
): Promise<Found> => {
  const finals = new Set<string>()
  const broken = new Set<string>()
  const violations = new Set<string>()
  let ends = 0
  let deadlockedEnds = 0
  const result = await run(program, strategy, {
    ...options,
    survey: {
      violation: ({ property, message }) => {
        broken.add(property)
        violations.add(`${property}: ${withoutWriters(message)}`)
      },
      final: (cells, deadlocked) => {
        ends++
        if (deadlocked) deadlockedEnds++
        finals.add(deadlocked ? `${cells}\ndeadlocked` : cells)
      },
    },
  })
  return { finals, ends, deadlockedEnds, broken, violations, result }
}

export const withoutWriters = (message: string): string =>
  message
    .replaceAll(/, last written by [\w.]+ in [^)]*\)*\)/g, ")")
    .replaceAll(/[;,] [\w.]+ waits for [\w.]+(, which has ended)?/g, "")

/** Why a reported violation is not what plain re-execution of its schedule shows; `undefined` when all is well. */
export const unconfirmed = (program: Program, { moves, violation }: Result): string | undefined => {
  if (violation === undefined || moves === undefined) return "there is no violation, or no schedule of it"
  const found = runMoves(program, moves).violations
  const same = found.some(({ property, message }) => property === violation.property && message === violation.message)
  return same ? undefined : `reported ${JSON.stringify(violation)}, found ${JSON.stringify(found)}`
}

/** The result without the time it took. */
export const timeless = ({ seconds: _, ...result }: Result) => result

/** The violation of a result that must have one of the rules of the language. */
export const ruleBroken = (result: Result): string =>
  result.violation?.property === builtIn.rules
    ? result.violation.message
    : `no rule is broken: ${JSON.stringify(result)}`
