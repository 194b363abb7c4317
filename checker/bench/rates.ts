/**
 * Rates that the checker's own speed is compared with, and the checker's on the same program. Each function measures one
 * window of time: machines are noisy, so windows of different rates alternate.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { attempt } from "../engine/supervised.ts"
import { drive, explore } from "../explore/explore.ts"
import { optimal } from "../explore/optimal/optimal.ts"
import type { Search, SearchOptions, Strategy } from "../explore/strategy.ts"
import { cell, checkpoint } from "../program/index.ts"
import { type Program, programOf } from "../scenario/program.ts"
import { scenario } from "../scenario/scenario.ts"
import { publishedProgram, raceParametric } from "./programs/index.ts"
import { read, write } from "./programs/threads.ts"

/** Suspensions of a fiber from its start to its end. */
const suspensionsOfFiber = 15

/** How many fibers run between two looks at the clock. */
const fibersAtOnce = 20

/**
 * How many times a second a bare Effect fiber can be suspended and resumed: fibers that do nothing else, with nothing
 * of the checker around them, on Effect's own scheduler, which is quicker here than one that runs every task at once.
 *
 * @param milliseconds how long to measure
 */
export const suspensions = (milliseconds: number): Effect.Effect<number> =>
  Effect.sync(() => {
    let resume: ((exit: Exit.Exit<number>) => void) | undefined
    const suspend = Effect.callback<number>((resumeFiber) => {
      resume = resumeFiber
    })
    const fiber = Effect.gen(function* () {
      for (let i = 0; i < suspensionsOfFiber; i++) yield* suspend
    })
    const result = Exit.succeed(0)
    return rate(milliseconds, () => {
      for (let i = 0; i < fibersAtOnce; i++) {
        Effect.runFork(fiber)
        for (let parked = resume; parked !== undefined; parked = resume) {
          resume = undefined
          parked(result)
        }
      }
      return fibersAtOnce * suspensionsOfFiber
    })
  })

/** How often something was done in a second, from how often each call did it. */
const rate = (milliseconds: number, work: () => number): number => {
  const started = performance.now()
  let done = 0
  let elapsed = 0
  while (elapsed < milliseconds) {
    done += work()
    elapsed = performance.now() - started
  }
  return (done / elapsed) * 1000
}

/** Rounds of each of the two fibers: a write of the variable that they share, and a read. */
const rounds = 3

/** The program of two fibers whose schedules are counted. */
export const twoFibers = { name: `race_parametric(${rounds})`, threads: raceParametric(rounds) } as const

/**
 * How many schedules of the program a second the checker runs.
 *
 * @param milliseconds how long to measure, about
 */
export const schedules = Effect.fnUntraced(function* (
  strategy: Strategy,
  options: Pick<SearchOptions, "executions">,
  milliseconds: number,
) {
  const program = publishedProgram(twoFibers)
  const started = performance.now()
  let done = 0
  let elapsed = 0
  for (let seed = 1; elapsed < milliseconds; seed++) {
    const { statistics } = yield* explore(program, strategy, { maxSteps: 100, seed, ...options })
    done += statistics.executions
    elapsed = performance.now() - started
  }
  return (done / elapsed) * 1000
})

/**
 * Three fibers that write and read one variable, each as often as the others, and remember nothing of it: programs whose
 * schedules are long have checkpoints.
 *
 * @param steps in a schedule, a multiple of three
 */
const threeFibers = (steps: number): Program => {
  const setup = () => {
    const shared = cell("shared", 0)
    const fiber = (value: number) =>
      Effect.gen(function* () {
        for (let taken = 0; taken < steps / 3; taken++) {
          yield* checkpoint("round", taken)
          if (taken % 2 === 1) yield* read(shared)
          else yield* write(shared, value)
        }
      })
    return { world: undefined, fibers: { a: fiber(1), b: fiber(2), c: fiber(3) } }
  }
  return programOf(scenario({ id: "three-fibers", summary: "for measuring", setup, properties: [] }), {}, undefined)
}

/** So many steps a sampler takes before it is measured: by then it has learnt the program. */
const warmUp = 300_000

/**
 * A sampler that draws schedules of three fibers, and has learnt what they do.
 *
 * @param steps in each of its schedules
 */
export const warmSampler = Effect.fnUntraced(function* (strategy: Strategy, steps: number) {
  const options: SearchOptions = { maxSteps: steps, seed: 1, executions: Number.MAX_SAFE_INTEGER }
  const search = yield* attempt(() => strategy.search(threeFibers(steps), options))
  const isWarm = Effect.sync(() => (search.statistics.transitions > warmUp ? true : undefined))
  yield* drive(search, {}, yield* Clock.currentTimeMillis, () => isWarm)
  return search
})

/**
 * How many steps a second `optimal` takes on three fibers, and how many the executions have that it covers: it takes a
 * step once for all executions that begin alike, and another tool once for each. Begins again when it has come to its end.
 *
 * @param steps in each execution
 * @param milliseconds how long to measure, about
 */
export const reducedSteps = Effect.fnUntraced(function* (steps: number, milliseconds: number) {
  const program = threeFibers(steps)
  const started = performance.now()
  let taken = 0
  let covered = 0
  for (let left = milliseconds; left > 0; left = milliseconds - (performance.now() - started)) {
    const search = yield* attempt(() => optimal.search(program, { maxSteps: steps, seed: 1 }))
    yield* drive(search, { milliseconds: left }, yield* Clock.currentTimeMillis, () => Effect.succeed(undefined))
    taken += search.statistics.transitions
    covered += search.statistics.executions * steps
  }
  const seconds = (performance.now() - started) / 1000
  return { taken: taken / seconds, covered: covered / seconds }
})

/**
 * How many steps a second a sampler takes.
 *
 * @param milliseconds how long to measure, about
 */
export const sampledSteps = Effect.fnUntraced(function* (search: Search, milliseconds: number) {
  const before = search.statistics.transitions
  const started = performance.now()
  yield* drive(search, { milliseconds }, yield* Clock.currentTimeMillis, () => Effect.succeed(undefined))
  return ((search.statistics.transitions - before) / (performance.now() - started)) * 1000
})

/** Schedules that fast-check runs between two looks at the clock. */
const runsAtOnce = 500

/**
 * How many schedules of the program a second fast-check's own scheduler runs, used as its documentation says: every
 * access to the shared variable is a scheduled task, and a run is one random schedule of them.
 *
 * @param milliseconds how long to measure, about
 */
export const fastCheckSchedules = (milliseconds: number): Effect.Effect<number> =>
  Effect.promise(async () => {
    const fc = await import("fast-check")
    const property = fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      let shared = 0
      const fiber = async (value: number): Promise<number> => {
        let seen = 0
        for (let round = 0; round < rounds; round++) {
          await scheduler.schedule(Promise.resolve(), "write")
          shared = value
          await scheduler.schedule(Promise.resolve(), "read")
          seen += shared
        }
        return seen
      }
      const both = Promise.all([fiber(0), fiber(1)])
      await scheduler.waitIdle()
      await both
    })
    const started = performance.now()
    let done = 0
    let elapsed = 0
    while (elapsed < milliseconds) {
      done += (await fc.check(property, { numRuns: runsAtOnce })).numRuns
      elapsed = performance.now() - started
    }
    return (done / elapsed) * 1000
  })
