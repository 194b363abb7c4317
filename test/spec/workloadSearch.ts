/**
 * Random workloads, explored by random schedules; where one breaks something, program and schedule are made as small as
 * can be, together.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import {
  type Budget,
  explore,
  protocol,
  type Result,
  runMoves,
  type ScenarioEntry,
  type SeededBug,
  shrink,
  strategies,
  traceLines,
} from "../../checker/index.ts"
import { type Workload, workloadScenario, workloads } from "../../spec/mm/workload.ts"
import type { MmWorld } from "../../spec/mm/world.ts"

/** The strategies that sample: those that there are. */
const samplers = strategies.filter(({ name }) => name === "random" || name === "pct")

/** No correct workload takes as many steps in one execution. */
const maxSteps = 3_000

/** A workload, and the seed of its random schedules. */
export interface Case {
  readonly workload: Workload
  readonly seed: number
}

export const cases: fc.Arbitrary<Case> = fc.record({
  workload: workloads,
  seed: fc.noShrink(fc.nat({ max: 2 ** 31 - 1 })),
})

/** What is wrong with a workload: a property that breaks, or an exploration that could not be completed. */
export interface Wrong {
  readonly what: string
  readonly result: Result
}

/** The scenario of a workload, with a seeded bug that can be switched on. */
export const entryOf = (workload: Workload, bug?: SeededBug<MmWorld>): ScenarioEntry => {
  const bugs = bug === undefined ? [] : [bug]
  const [entry] = protocol({ id: "mm", title: "", scenarios: [workloadScenario(workload)], bugs }).scenarios
  if (entry === undefined) throw new Error("a protocol of one scenario has none")
  return entry
}

/** Explores a workload by random schedules, as many by each strategy. */
export const tryOut = async (
  { workload, seed }: Case,
  executions: number,
  {
    bug,
    target,
    budget = {},
  }: {
    readonly bug?: SeededBug<MmWorld> | undefined
    readonly target?: string | undefined
    readonly budget?: Budget
  } = {},
): Promise<Wrong | undefined> => {
  const program = entryOf(workload, bug).program({}, bug?.id)
  for (const strategy of samplers) {
    const options = { maxSteps, seed, executions, ...(target === undefined ? {} : { target }) }
    const result = await Effect.runPromise(explore(program, strategy, options, budget))
    const complete = result.statistics.executions === executions
    if (result.violation !== undefined) return { what: result.violation.property, result }
    if (!complete) return { what: "steps", result }
  }
  return undefined
}

/** A workload that breaks something: as small as was found, and the shortest schedule of it. */
export interface Found {
  readonly workload: Workload
  readonly property: string
  /** How many steps, and how many of those switch away from a fiber that could have gone on. */
  readonly steps: number
  readonly preemptions: number
  /** The workload, the trace, what is said of it, and how to see it again. */
  readonly text: string
}

/** How many times as many schedules are tried of what is smaller than a workload that breaks. */
const patience = 40

/**
 * Looks for a workload that breaks something. What is found is shrunk by fast-check: what is smaller and still breaks the
 * same property, in one of many more random schedules, takes its place; in the end the schedule is shrunk.
 *
 * @param executions how many random schedules of each workload
 */
export const search = async (
  options: { readonly seed: number; readonly numRuns: number; readonly executions: number },
  bug?: SeededBug<MmWorld>,
): Promise<Found | undefined> => {
  const { executions, ...parameters } = options
  let first: string | undefined
  let smallest: { readonly workload: Workload; readonly wrong: Wrong } | undefined
  const property = fc.asyncProperty(cases, async (one) => {
    const wrong = await tryOut(one, first === undefined ? executions : patience * executions, {
      bug,
      target: first === "steps" ? undefined : first,
    })
    if (wrong === undefined || (first !== undefined && wrong.what !== first)) return true
    first = wrong.what
    smallest = { workload: one.workload, wrong }
    return false
  })
  await fc.check(property, parameters)
  return smallest === undefined ? undefined : foundOf(smallest, bug)
}

const foundOf = (
  { workload, wrong }: { readonly workload: Workload; readonly wrong: Wrong },
  bug: SeededBug<MmWorld> | undefined,
): Found => {
  const entry = entryOf(workload, bug)
  const whole = entry.program({}, bug?.id)
  const { what, result } = wrong
  const shrunk = result.moves === undefined ? undefined : shrink(entry, whole, what, result.moves)
  const { moves, program, preemptions } = shrunk ?? { moves: [], program: whole, preemptions: 0 }
  const run = runMoves(program, moves)
  const message = run.violations.find(({ property }) => property === what)?.message ?? result.reason ?? ""
  const text = [
    `${what} is broken by the workload`,
    JSON.stringify(workload, null, 2),
    "",
    ...traceLines(run.steps, 160),
    "",
    message,
    "",
    "To explore it, put this into a file, for example workload.ts beside spec/, and run `npm run check -- explore workload.ts`:",
    'import { workloadScenario } from "./spec/mm/workload.ts"',
    `export default workloadScenario(${JSON.stringify(workload)})`,
  ].join("\n")
  return { workload, property: what, steps: moves.length, preemptions, text }
}
