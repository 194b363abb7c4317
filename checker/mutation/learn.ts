/** Learns the steps of a protocol: explores its correct scenarios at small bounds and at their own. */
import * as Effect from "effect/Effect"
import { observe } from "../explore/observe.ts"
import { boundText } from "../report/text.ts"
import { isNamed } from "../scenario/names.ts"
import type { Program } from "../scenario/program.ts"
import type { Protocol, ScenarioEntry } from "../scenario/protocol.ts"
import { BadBound, type Bound } from "../scenario/scenario.ts"
import { Facts } from "./facts.ts"
import { mutated, telling } from "./mutated.ts"
import { type Mutation, mutationId } from "./mutation.ts"
import { thoseWithNews } from "./novelty.ts"
import { operators } from "./operators/index.ts"

/** A scenario at a bound, explored without a mutation. */
export interface Rung {
  readonly scenario: ScenarioEntry
  readonly program: Program
  readonly facts: Facts
}

/**
 * A mutation, and where it can be seen, the smaller before the larger: where the correct program was explored in full,
 * and then at bounds too large for that, where it can be killed and cannot survive; or, if nowhere was it explored in
 * full, wherever its step was taken.
 */
export interface Mutant {
  readonly id: string
  readonly mutation: Mutation
  readonly rungs: ReadonlyArray<Rung>
  /**
   * Why it does the same as the correct program, where that is evident in every complete exploration, and what was seen of
   * larger bounds does not speak against it.
   */
  readonly equivalent: string | undefined
}

/** What is known of a protocol before it is mutated. */
export interface Learnt {
  readonly rungs: ReadonlyArray<Rung>
  readonly mutants: ReadonlyArray<Mutant>
  /** Sentences about scenarios that do not hold as they are: nothing can be said of their mutants. */
  readonly trouble: ReadonlyArray<string>
}

/** How a correct scenario is explored. */
export interface LearnOptions {
  readonly maxSteps: number
  /** The most states of one exploration. */
  readonly maxStates: number
}

/** How much larger than a correct program that is explored in full a mutant may be. */
const growth = 8

/** The most states of one exploration of a correct program, where a mutant may have so many. */
export const statesToLearn = (maxStates: number): number => Math.ceil(maxStates / growth)

/**
 * Explores the scenarios of a protocol, and makes its mutants.
 *
 * @param told told of each scenario before it is explored
 */
export const learn = Effect.fnUntraced(function* (
  { scenarios, steps = ["**"], environment = [] }: Protocol,
  options: LearnOptions,
  told: (scenario: ScenarioEntry) => Effect.Effect<void>,
) {
  const all = new Facts()
  const rungs: Array<Rung> = []
  const trouble: Array<string> = []
  for (const scenario of scenarios) {
    yield* told(scenario)
    for (const program of programsOf(scenario)) {
      const facts = new Facts()
      const ending = yield* explored(program, facts, all, options)
      if (ending === undefined) continue
      facts.isComplete = ending.kind === "exhausted"
      if (ending.kind === "violated") {
        trouble.push(`${scenario.id} breaks ${ending.violation.property} as it is: ${ending.violation.message}`)
      } else if (ending.kind === "unsound") trouble.push(`${scenario.id}: ${ending.message}`)
      else rungs.push({ scenario, program, facts })
    }
  }
  const isOwn = ({ step, next }: Mutation): boolean => {
    const names = [step, ...(next === undefined ? [] : [next])]
    return names.some((name) => isNamed(name, steps)) && !names.some((name) => isNamed(name, environment))
  }
  return { rungs, mutants: mutantsOf(rungs, all).filter(({ mutation }) => isOwn(mutation)), trouble } satisfies Learnt
})

/**
 * The programs of a scenario: at its smallest bound; at those at which its seeded bugs are hunted, which are no larger than
 * it takes; with one parameter of the smallest, each in turn, one larger; and at its own. Where there is no program at one
 * of them, without that.
 */
const programsOf = (scenario: ScenarioEntry): ReadonlyArray<Program> => {
  const parameters = Object.entries(scenario.parameters)
  const least: Bound = Object.fromEntries(parameters.map(([name, { min }]) => [name, min]))
  const larger = parameters.flatMap(([name, { min, max }]): ReadonlyArray<Bound> => {
    return min < max ? [{ ...least, [name]: min + 1 }] : []
  })
  const own: Bound = Object.fromEntries(parameters.map(([name, parameter]) => [name, parameter.default]))
  const hunted = scenario.bugs.flatMap((bug) =>
    bug.scenario === scenario.id && bug.bound !== undefined ? [{ ...own, ...bug.bound }] : [],
  )
  const bounds = new Map([least, ...hunted, ...larger, own].map((bound) => [boundText(bound), bound]))
  return [...bounds.values()].flatMap((bound) => programAt(scenario, bound))
}

/** The program at a bound, unless the scenario has none there. */
const programAt = (scenario: ScenarioEntry, bound: Bound): ReadonlyArray<Program> => {
  try {
    return [scenario.program(bound)]
  } catch (error) {
    if (error instanceof BadBound) return []
    throw error
  }
}

/** Explores a correct program once more, with another budget. */
export const learnAnew = Effect.fnUntraced(function* (program: Program, options: LearnOptions) {
  const facts = new Facts()
  const ending = yield* explored(program, facts, new Facts(), options)
  facts.isComplete = ending?.kind === "exhausted"
  return facts
})

/** Explores a correct program; `undefined` where it cannot be set up at its bound, which may be too small. */
const explored = Effect.fnUntraced(function* (program: Program, facts: Facts, all: Facts, options: LearnOptions) {
  const observer = {
    outcome: (...[node, reads, outcome]: Parameters<Facts["outcome"]>) => {
      facts.outcome(node, reads, outcome)
      all.outcome(node, reads, outcome)
    },
    guard: (...[node, reads, holds]: Parameters<Facts["guard"]>) => {
      facts.guard(node, reads, holds)
      all.guard(node, reads, holds)
    },
  }
  const observed = yield* observe(telling(program, all.notes), observer, options)
  if (observed === undefined) return undefined
  const { search, ending } = observed
  facts.conclude()
  all.conclude()
  facts.observed = search.observed
  facts.hasInterrupts = search.steps.has("interrupt")
  facts.states = search.statistics.states
  return ending
})

const mutantsOf = (rungs: ReadonlyArray<Rung>, all: Facts): ReadonlyArray<Mutant> => {
  const sorted = [...rungs].sort(({ facts: a }, { facts: b }) => a.states - b.states)
  return operators
    .flatMap((operator) =>
      operator.mutations(all).map((made): Mutant => {
        const mutation = { operator: operator.name, ...made }
        const applying = sorted.filter(({ facts }) => operator.applies(mutation, facts))
        const complete = applying.filter(({ facts }) => facts.isComplete)
        // What a large bound has shown so far proves nothing, but may well refute.
        const reasons = applying.map(({ facts }) => operator.equivalent(mutation, facts))
        const isEvident = complete.length > 0 && reasons.every((reason) => reason !== undefined)
        const equivalent = isEvident ? reasons[applying.findIndex(({ facts }) => facts.isComplete)] : undefined
        const rungs = thoseWithNews(mutation, rungsOf(sorted, applying))
        return { id: mutationId(mutation), mutation, rungs, equivalent }
      }),
    )
    .filter(({ rungs: applying }) => applying.length > 0)
}

/**
 * Where the step is taken, those that were explored in full first, and one large bound of each scenario: what was seen of
 * a large program is little, so that the step may well be taken there too.
 *
 * @param applying those at which the step was seen
 */
const rungsOf = (all: ReadonlyArray<Rung>, applying: ReadonlyArray<Rung>): ReadonlyArray<Rung> => {
  const complete = applying.filter(({ facts }) => facts.isComplete)
  if (complete.length === 0) return applying
  const isKnown = ({ scenario }: Rung) => applying.some((rung) => rung.scenario === scenario)
  const large = all.filter((rung) => !rung.facts.isComplete && isKnown(rung))
  const firsts = large.filter(
    (rung, position) => large.findIndex((each) => each.scenario === rung.scenario) === position,
  )
  return [...new Set([...complete, ...firsts, ...applying])]
}

/** The mutant as a program, at one of its rungs. */
export const programOf = ({ mutation }: Mutant, { program }: Rung): Program => mutated(program, mutation)
