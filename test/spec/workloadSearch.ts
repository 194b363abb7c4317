/**
 * Random workloads, explored by random schedules; where one breaks something, program and schedule are made as small as
 * can be, together.
 */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import {
  explore,
  protocol,
  type Replacements,
  type Result,
  runMoves,
  type ScenarioEntry,
  type SeededBug,
  shrink,
  strategies,
  traceLines,
} from "../../checker/index.ts"
import { type Workload, workloadScenario } from "../../spec/mm/workload.ts"
import type { MmWorld } from "../../spec/mm/world.ts"
import { workloads } from "./workloadArbitrary.ts"

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

/** A bug that replaces steps in all fibers. */
export const bugOf = (at: Replacements): SeededBug<MmWorld> => ({
  id: "bug",
  title: "a bug",
  source: "test",
  scenario: "workload",
  breaks: "",
  at: () => at,
})

/** How to search. */
export interface SearchFor {
  readonly seed: number
  /** How many workloads, and how many random schedules of each by each strategy. */
  readonly numRuns: number
  readonly executions: number
  readonly bug?: SeededBug<MmWorld>
  /** Told of every exploration of a workload, until one breaks. */
  readonly tell?: (result: Result) => void
}

/** Explores a workload by random schedules, as many by each strategy. Returns what is wrong with it, if anything is. */
const tryOut = async (
  { workload, seed }: Case,
  executions: number,
  { bug, tell }: Pick<SearchFor, "bug" | "tell">,
  target?: string,
): Promise<Wrong | undefined> => {
  const program = entryOf(workload, bug).program({}, bug?.id)
  for (const strategy of samplers) {
    const options = { maxSteps, seed, executions, ...(target === undefined ? {} : { target }) }
    const result = await Effect.runPromise(explore(program, strategy, options))
    if (result.violation !== undefined) return { what: result.violation.property, result }
    if (result.statistics.executions !== executions) return { what: tooLong, result }
    tell?.(result)
  }
  return undefined
}

/** What is wrong with a workload whose executions do not end. */
const tooLong = "the limit on steps"

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
const patience = 15

/**
 * Looks for a workload that breaks something. What is found is shrunk by fast-check: what is smaller and still breaks the
 * same property, in one of many more random schedules, takes its place; in the end the schedule is shrunk.
 */
export const search = async ({ seed, numRuns, executions, ...also }: SearchFor): Promise<Found | undefined> => {
  let smallest: Broken | undefined
  const breaksNothing = async (one: Case): Promise<boolean> => {
    const what = smallest?.wrong.what
    const wrong =
      what === undefined
        ? await tryOut(one, executions, also)
        : await tryOut(one, patience * executions, { ...also, tell: () => {} }, what === tooLong ? undefined : what)
    if (wrong === undefined || (what !== undefined && wrong.what !== what)) return true
    smallest = { ...one, wrong }
    return false
  }
  const { failed, errorInstance } = await fc.check(fc.asyncProperty(cases, breaksNothing), { seed, numRuns })
  if (failed && smallest === undefined) throw errorInstance
  if (smallest === undefined) return undefined
  return foundOf(await shrinkFurther(smallest, breaksNothing, () => smallest), also.bug)
}

interface Broken extends Case {
  readonly wrong: Wrong
}

/** A list that fast-check has begun to shrink in one way it does not try in another: so it begins again while that helps. */
const shrinkFurther = async (
  found: Broken,
  breaksNothing: (one: Case) => Promise<boolean>,
  smallest: () => Broken | undefined,
): Promise<Broken> => {
  const { seed, workload } = found
  const property = fc.asyncProperty(workloads, (smaller) => breaksNothing({ seed, workload: smaller }))
  const { numShrinks } = await fc.check(property, { seed, numRuns: 1, examples: [[workload]] })
  const next = smallest() ?? found
  return numShrinks === 0 ? next : shrinkFurther(next, breaksNothing, smallest)
}

const foundOf = ({ workload, wrong: { what, result } }: Broken, bug: SeededBug<MmWorld> | undefined): Found => {
  const entry = entryOf(workload, bug)
  const whole = entry.program({}, bug?.id)
  const shrunk = result.moves === undefined ? undefined : shrink(entry, whole, what, result.moves)
  const { moves, program, preemptions } = shrunk ?? { moves: [], program: whole, preemptions: 0 }
  const run = runMoves(program, moves)
  const message = run.violations.find(({ property }) => property === what)?.message ?? result.reason ?? ""
  const text = [
    `${what} is broken by a workload:`,
    ...linesOf(workload),
    "",
    ...traceLines(run.steps, 120, { leftOut: run.leftOut }),
    "",
    message,
    "",
    "To see it again, put this into a file beside package.json, such as found.ts, and run `npm run check -- explore found.ts`:",
    'import { workloadScenario } from "./spec/mm/workload.ts"',
    `export default workloadScenario(${JSON.stringify(workload)})`,
  ].join("\n")
  return { workload, property: what, steps: moves.length, preemptions, text }
}

/** A workload to be read: a line for each fiber. */
const linesOf = ({ pages, fibers, gpu, ...size }: Workload): ReadonlyArray<string> => [
  `  pages  ${pages.join(", ")}`,
  ...fibers.map(
    (one, slot) => `  ${one.actor}${slot}  ${("calls" in one ? one.calls : one.jobs).map(words).join("; ")}`,
  ),
  ...(gpu === null ? [] : [`  gpu0  mirrors ${words(gpu.mirrored)}; ${gpu.accesses.map(words).join("; ")}`]),
  `  ${words(size)}`,
]

/** Plain data in few words. */
const words = (value: unknown): string => JSON.stringify(value).replaceAll(/["{}]/g, "").replaceAll(/[:,]/g, " ")
