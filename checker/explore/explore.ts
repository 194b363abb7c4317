/**
 * Drives a search to its end or to its budget, and vouches for what it reports: every violation is confirmed by plain
 * re-execution, and a search that found none is compared with a sample of plain executions.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import seedrandom from "seedrandom"
import { Execution } from "../engine/execution.ts"
import { attempt, stretchTime } from "../engine/supervised.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import { addTimes } from "../property/coverage.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { runMoves } from "./schedule.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  type Search,
  type SearchOptions,
  type Statistics,
  type Strategy,
} from "./strategy.ts"

/** What an exploration may cost. */
export interface Budget {
  /** Wall-clock milliseconds. */
  readonly milliseconds?: number
  /** Wall-clock milliseconds after which program code that does not come back is given up. */
  readonly stallMilliseconds?: number
}

/** `holds` only when the exploration ended by itself; a budget that ran out is `inconclusive`. */
export type Outcome = "holds" | "violated" | "inconclusive"

/** What an exploration came to. */
export interface Result {
  readonly outcome: Outcome
  readonly statistics: Statistics
  /** Wall-clock seconds. */
  readonly seconds: number
  readonly exercised: ReadonlyArray<{ readonly id: string; readonly times: number }>
  /** How often steps were taken, by name; 0 for those only reached and, where it holds, those named from outside. */
  readonly steps: ReadonlyMap<string, number>
  readonly violation: Violation | undefined
  /** The moves from the start to the violation; `undefined` where no one schedule shows it. */
  readonly moves: ReadonlyArray<Move> | undefined
  /** Why the exploration is inconclusive. */
  readonly reason: string | undefined
}

/** How far a search is, where its strategy can tell. */
export type Standing = Pick<Search, "queue" | "share">

/** Steps in a slice of the search: at first, and at most. They become as many as take about `stretchTime`. */
const firstSlice = 1_000
const largestSlice = 1_000_000

/** Plain executions that a search that matched states is compared with. */
const comparedExecutions = 60

/** How likely a fiber is to go on before another takes over, in turn: even switching and long stretches both find things. */
const persistence = [0, 0.5, 0.9]

/**
 * Explores a program.
 *
 * @param onProgress told of the figures from time to time while the search runs
 * Fails when the scenario's setup throws. Ctrl-C ends it at once, other interruption between two slices.
 */
export const explore = Effect.fnUntraced(function* (
  program: Program,
  strategy: Strategy,
  options: SearchOptions,
  budget: Budget = {},
  onProgress: (statistics: Statistics, seconds: number, standing: Standing) => Effect.Effect<void> = () => Effect.void,
) {
  const started = yield* Clock.currentTimeMillis
  const search = yield* Effect.catchTag(
    attempt(() => strategy.search(program, options), budget.stallMilliseconds),
    "Stalled",
    ({ message }) => Effect.succeed(stillborn(message)),
  )
  let now = started
  let slice = firstSlice
  let ending: Ending | undefined
  while (ending === undefined) {
    const before = now
    ending = yield* Effect.catchTag(
      attempt(() => search.advance(slice), budget.stallMilliseconds),
      "Stalled",
      ({ message }) => Effect.succeed<Ending>({ kind: "unsound", message }),
    )
    now = yield* Clock.currentTimeMillis
    slice = nextSlice(slice, now - before)
    if (ending !== undefined) break
    if (budget.milliseconds !== undefined && now - started >= budget.milliseconds) {
      ending = outOfTime(budget.milliseconds)
      break
    }
    yield* onProgress(search.statistics, (now - started) / 1000, search)
    yield* letOthersRun
  }
  const ended = ending
  const judged = yield* attempt(() => judge(program, search, ended, options))
  const named = judged.outcome === "holds" ? yield* attempt(() => program.namedSteps()) : []
  now = yield* Clock.currentTimeMillis
  return {
    ...judged,
    statistics: search.statistics,
    exercised: search.exercised,
    steps: stepsOf(search, named),
    seconds: (now - started) / 1000,
  } satisfies Result
})

/** Gives signals and timers a turn: a search is one long computation. */
export const letOthersRun = Effect.callback<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

const nextSlice = (slice: number, took: number): number =>
  Math.max(1, Math.min(largestSlice, Math.round((slice * stretchTime) / Math.max(1, took)), slice * 4))

/** A search that did not get as far as its first state. */
const stillborn = (message: string): Search => ({
  statistics: emptyStatistics(),
  exercised: [],
  steps: new Map(),
  advance: () => ({ kind: "unsound", message }),
})

const stepsOf = (search: Search, named: Iterable<string>): ReadonlyMap<string, number> => {
  const steps = new Map(search.steps)
  for (const name of named) addTimes(steps, name, 0)
  return steps
}

const outOfTime = (milliseconds: number): Ending => ({
  kind: "cut",
  reason: `the time of ${milliseconds / 1000} s ran out`,
})

type Judgement = Pick<Result, "outcome" | "violation" | "moves" | "reason">

const judge = (program: Program, search: Search, ending: Ending, options: SearchOptions): Judgement => {
  switch (ending.kind) {
    case "exhausted": {
      const doubt = compare(program, search, options)
      if (doubt !== undefined) return unsound(doubt)
      return { outcome: "holds", violation: undefined, moves: undefined, reason: undefined }
    }
    case "cut":
      return { outcome: "inconclusive", violation: undefined, moves: undefined, reason: ending.reason }
    case "unsound":
      return unsound(ending.message)
    case "violated":
      return confirm(program, ending.violation, ending.moves)
  }
}

const unsound = (message: string): Judgement => ({
  outcome: "violated",
  violation: { property: builtIn.rules, message },
  moves: undefined,
  reason: undefined,
})

const hidden =
  "some code of the program depends on more than the results of its steps, such as a variable that two fibers share"

/** Runs the schedule again by plain re-execution, whose words are the ones to report. */
const confirm = (program: Program, violation: Violation, moves: ReadonlyArray<Move>): Judgement => {
  const run = runMoves(program, moves)
  const same = run.violations.find(({ property }) => property === violation.property)
  if (same !== undefined) return { outcome: "violated", violation: same, moves, reason: undefined }
  return unsound(
    `the search found ${violation.property} broken (${violation.message}), and plain re-execution of the same schedule does not: ${hidden}`,
  )
}

/**
 * Whether plain re-execution reaches a state, or breaks a property, that the search did not: then the program breaks a
 * rule that the memoised engine rests on, and what it said means nothing. A sample, so silence is no proof; `dfs` is.
 */
const compare = (program: Program, search: Search, options: SearchOptions): string | undefined => {
  const { visited } = search
  if (visited === undefined) return undefined
  const random = seedrandom.alea(`compare ${options.seed}`)
  const judged = (violations: ReadonlyArray<Violation>) =>
    options.survey === undefined ? decisive(violations, options) : undefined
  for (let i = 0; i < comparedExecutions; i++) {
    const execution = new Execution(program, options.keepEnds ? { keepEnds: true } : {})
    execution.begin()
    let last: number | undefined
    for (let depth = 0; depth < options.maxSteps; depth++) {
      const moves = execution.moves()
      const own = random() < (persistence[i % persistence.length] ?? 0) ? moves.filter((m) => fiberOf(m) === last) : []
      const among = own.length > 0 ? own : moves
      const move = among[Math.floor(random() * among.length)]
      last = move === undefined ? undefined : fiberOf(move)
      const violation = judged(move === undefined ? execution.end() : execution.take(move))
      if (violation !== undefined) {
        return `plain re-execution breaks ${violation.property} (${violation.message}) where the search found nothing: ${hidden}`
      }
      if (move === undefined) break
      if (execution.rest === "broken") break
      if (!visited.has(execution.low, execution.high)) {
        return `plain re-execution reaches a state that the search did not visit: ${hidden}, or a checkpoint does not name a value that is still needed`
      }
    }
  }
  return undefined
}
