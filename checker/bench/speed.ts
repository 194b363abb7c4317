/** Measures how fast benchmarks are explored, in windows that alternate with those of the rates they are compared with. */
import * as Effect from "effect/Effect"
import { campaign } from "../campaign/campaign.ts"
import type { Source } from "../campaign/source.ts"
import { dfs } from "../explore/dfs.ts"
import { explore, type Result } from "../explore/explore.ts"
import { random } from "../explore/random.ts"
import { states } from "../explore/states.ts"
import { strategies } from "../explore/strategies.ts"
import type { Statistics } from "../explore/strategy.ts"
import type { Rates, Ratio, SpeedReport } from "../report/bench.ts"
import { boundText, figure } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import type { Benchmark, Size } from "./benchmark.ts"
import {
  fastCheckSchedules,
  reducedSteps,
  sampledSteps,
  schedules,
  suspensions,
  twoFibers,
  warmSampler,
} from "./rates.ts"

/** How often everything is measured, and how long a window of a rate lasts in milliseconds. */
const plans: Readonly<Record<Size, { readonly rounds: number; readonly window: number }>> = {
  quick: { rounds: 1, window: 100 },
  usual: { rounds: 3, window: 500 },
  full: { rounds: 3, window: 1_000 },
}

/** The longest execution of a benchmark. */
const maxSteps = 10_000

/** Random schedules in one exploration. */
const executions = 200_000

/** How many times fast-check's schedules a second the checker's random ones should be. */
const overFastCheck = 15

/** How many times the suspensions of a bare fiber the steps of samplers should be, and on schedules of how many steps. */
const overSuspensions = 2
const sampledLengths = [15, 150]

/** On executions of how many steps `optimal` is measured, which should take a bare fiber's suspensions at least. */
const executionLengths = [15, 150]
const reducedOverSuspensions = 1

/** Where a measurement has got to. */
export type Progress = (what: string, statistics?: Statistics, seconds?: number) => Effect.Effect<void>

/** Where worker threads get a program from; `undefined` when they cannot have it. */
export type SourceOf = (program: Program) => Effect.Effect<Source | undefined>

export interface Speeds {
  readonly speeds: ReadonlyArray<SpeedReport>
  readonly rates: Rates
  readonly ratios: ReadonlyArray<Ratio>
}

/** Measures benchmarks and rates. */
export const measureSpeeds = Effect.fnUntraced(function* (
  benchmarks: ReadonlyArray<Benchmark>,
  size: Size,
  sourceOf: SourceOf,
  onProgress: Progress,
) {
  const { rounds, window } = plans[size]
  const measured = benchmarks.flatMap((benchmark) =>
    (benchmark.twoWorkers === undefined ? [1] : [1, 2]).map((workers) => ({
      benchmark,
      workers,
      runs: [] as Array<Run>,
    })),
  )
  const windows: { [name in "suspensions" | "fastCheck" | "random" | "dfs"]: Array<number> } = {
    suspensions: [],
    fastCheck: [],
    random: [],
    dfs: [],
  }
  yield* onProgress("samplers")
  const sampled = yield* Effect.forEach(
    strategies
      .filter(({ exhaustive }) => !exhaustive)
      .flatMap((strategy) => sampledLengths.map((steps) => ({ strategy, steps }))),
    ({ strategy, steps }) =>
      Effect.map(warmSampler(strategy, steps), (search) => ({ strategy, steps, search, rates: [] as Array<number> })),
  )
  const reduced = executionLengths.map((steps) => ({ steps, taken: [] as Array<number>, covered: [] as Array<number> }))
  for (let round = 1; round <= rounds; round++) {
    const inRound = (what: string) => `round ${round} of ${rounds}: ${what}`
    for (const { benchmark, workers, runs } of measured) {
      yield* onProgress(inRound("bare fibers"))
      windows.suspensions.push(yield* suspensions(window))
      const tell = (...figures: [Statistics, number]) => onProgress(inRound(benchmark.scenario.id), ...figures)
      runs.push(yield* exploreOnce(benchmark, workers, sourceOf, tell))
    }
    yield* onProgress(inRound("schedules of two fibers"))
    windows.suspensions.push(yield* suspensions(window))
    windows.fastCheck.push(yield* fastCheckSchedules(window))
    windows.random.push(yield* schedules(random, { executions }, window))
    windows.dfs.push(yield* schedules(dfs, {}, window))
    for (const { steps, taken, covered } of reduced) {
      yield* onProgress(inRound("steps of optimal"))
      windows.suspensions.push(yield* suspensions(window))
      const rates = yield* reducedSteps(steps, window)
      taken.push(rates.taken)
      covered.push(rates.covered)
    }
    for (const { strategy, search, rates } of sampled) {
      yield* onProgress(inRound(`steps of ${strategy.name}`))
      windows.suspensions.push(yield* suspensions(window))
      rates.push(yield* sampledSteps(search, window))
    }
  }
  const rates: Rates = {
    suspensions: median(windows.suspensions),
    twoFibers: {
      program: twoFibers.name,
      fastCheck: median(windows.fastCheck),
      random: median(windows.random),
      dfs: median(windows.dfs),
    },
    optimal: reduced.map(({ steps, taken, covered }) => ({ steps, taken: median(taken), covered: median(covered) })),
    samplers: sampled.map(({ strategy, steps, rates }) => ({ strategy: strategy.name, steps, rate: median(rates) })),
  }
  const speeds = measured.map(({ benchmark, runs }) => speedOf(benchmark, runs))
  return { speeds, rates, ratios: ratiosOf(benchmarks, speeds, rates) } satisfies Speeds
})

/** One exploration of a benchmark, and by how many bytes the process grew meanwhile. */
interface Run {
  readonly result: Result
  /** How many threads explored: fewer than wanted where others cannot have the program, or have no time to begin. */
  readonly workers: number
  readonly memory: number
}

const exploreOnce = Effect.fnUntraced(function* (
  { scenario, bound }: Benchmark,
  workers: number,
  sourceOf: SourceOf,
  onProgress: (statistics: Statistics, seconds: number) => Effect.Effect<void>,
) {
  const before = process.memoryUsage.rss()
  let peak = before
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const program = scenario.program(bound)
  const options = { maxSteps, seed: 1 }
  const tell = (statistics: Statistics, seconds: number) => {
    look()
    return onProgress(statistics, seconds)
  }
  const source = workers > 1 ? yield* sourceOf(program) : undefined
  const result =
    workers > 1
      ? yield* campaign(program, options, { workers, ...(source === undefined ? {} : { source }) }, {}, (progress) =>
          tell(progress.statistics, progress.seconds),
        )
      : { ...(yield* explore(program, states, options, {}, tell)), workers: 1 }
  look()
  return { result, workers: result.workers, memory: peak - before } satisfies Run
})

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new Error("nothing was measured")
  return middle
}

/** The median of the rounds; the counts are the same in all of them, or there is a bug. */
const speedOf = (benchmark: Benchmark, runs: ReadonlyArray<Run>): SpeedReport => {
  const results = runs.map(({ result }) => result)
  const [first] = results
  if (first === undefined) throw new Error("nothing was measured")
  const { outcome, statistics } = first
  const differences = [...new Set(results.flatMap((result) => differencesOf(result, benchmark.expected ?? statistics)))]
  const seconds = median(results.map((result) => result.seconds))
  // Less than a millisecond is too short to be a rate of anything.
  const perSecond = (count: number) => Math.round(count / Math.max(seconds, 0.001))
  return {
    id: benchmark.scenario.id,
    bound: benchmark.scenario.program(benchmark.bound).bound,
    workers: Math.min(...runs.map(({ workers }) => workers)),
    outcome,
    states: statistics.states,
    transitions: statistics.transitions,
    expected: benchmark.expected ?? null,
    verdict: differences.length === 0 ? "agrees" : "differs",
    differences,
    seconds,
    statesPerSecond: perSecond(statistics.states),
    transitionsPerSecond: perSecond(statistics.transitions),
    memory: Math.max(...runs.map(({ memory }) => memory)),
  }
}

const differencesOf = (
  { outcome, reason, statistics, violation }: Result,
  expected: { readonly states: number; readonly transitions: number },
): ReadonlyArray<string> => [
  ...(outcome === "holds" ? [] : [`${outcome}: ${violation?.message ?? reason}`]),
  ...(["states", "transitions"] as const).flatMap((what) =>
    statistics[what] === expected[what]
      ? []
      : [`${figure(statistics[what])} ${what}, ${figure(expected[what])} expected`],
  ),
]

const ratiosOf = (
  benchmarks: ReadonlyArray<Benchmark>,
  speeds: ReadonlyArray<SpeedReport>,
  { suspensions, optimal, samplers, twoFibers: { program, fastCheck, random, dfs } }: Rates,
): ReadonlyArray<Ratio> => [
  ...benchmarks.flatMap(({ scenario, bound, perSuspension, twoWorkers }) => {
    const same = (speed: SpeedReport) =>
      speed.id === scenario.id && boundText(speed.bound) === boundText(scenario.program(bound).bound)
    const [one, two] = [1, 2].map((count) => speeds.find((speed) => same(speed) && speed.workers === count))
    const [of, ratios] = [`transitions of ${scenario.id}`, [] as Array<Ratio>]
    if (one === undefined) return ratios
    const over = "suspensions of a bare fiber"
    const perBare = one.transitionsPerSecond / suspensions
    if (perSuspension !== undefined) ratios.push({ of, over, ratio: perBare, target: perSuspension })
    if (two === undefined || twoWorkers === undefined) return ratios
    const ratio = two.transitionsPerSecond / one.transitionsPerSecond
    return [...ratios, { of: `${of} by two workers`, over: "those by one", ratio, target: twoWorkers }]
  }),
  {
    of: `random schedules of ${program}`,
    over: "fast-check's scheduler",
    ratio: random / fastCheck,
    target: overFastCheck,
  },
  { of: `dfs schedules of ${program}`, over: "fast-check's scheduler", ratio: dfs / fastCheck, target: null },
  ...optimal.flatMap(({ steps, taken, covered }) => {
    const over = "suspensions of a bare fiber"
    const target = reducedOverSuspensions
    return [
      { of: `steps that optimal takes on executions of ${steps}`, over, ratio: taken / suspensions, target },
      { of: `steps of the executions of ${steps} that it covers`, over, ratio: covered / suspensions, target },
    ]
  }),
  ...samplers.map(({ strategy, steps, rate }) => ({
    of: `steps of ${strategy} on schedules of ${steps}`,
    over: "suspensions of a bare fiber",
    ratio: rate / suspensions,
    target: overSuspensions,
  })),
]
