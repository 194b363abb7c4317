/**
 * Drives a search to its end or to its budget, and vouches for what it reports: every violation is confirmed by plain
 * re-execution, and a search that found none is compared with a sample of plain executions.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import seedrandom from "seedrandom"
import { Execution } from "../engine/execution.ts"
import { attempt, stretchTime } from "../engine/supervised.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import type { Compared } from "../engine/witnesses.ts"
import { addTimes } from "../property/coverage.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { Promises } from "../property/promises.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { lookOfFirst, remains } from "./remains.ts"
import { type Run, runMoves } from "./schedule.ts"
import { hidden } from "./spotCheck.ts"
import { unfit } from "./strategies.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  type Search,
  type SearchOptions,
  type Statistics,
  type Strategy,
  type Within,
} from "./strategy.ts"

/** The strategy cannot explore the program; `message` is a sentence that names those that can. */
export class Unfit extends Data.TaggedError("Unfit")<{ readonly message: string }> {}

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
  /** The states that were matched once more, to decide what is promised; 0 where that was not done. */
  readonly graphStates: number
  /** Wall-clock seconds. */
  readonly seconds: number
  readonly exercised: ReadonlyArray<{ readonly id: string; readonly times: number }>
  /** How often steps were taken, by name; 0 for those only reached and, where it holds, those named from outside. */
  readonly steps: ReadonlyMap<string, number>
  readonly violation: Violation | undefined
  /** The moves from the start to the violation; `undefined` where no one schedule shows it. */
  readonly moves: ReadonlyArray<Move> | undefined
  /** Where the violation is a lasso: the position of the first of the moves that repeat for ever. */
  readonly cycle: number | undefined
  /** What was checked on the way, where `SearchOptions.paranoid` asked for it. */
  readonly compared?: Compared
  /** Every schedule within this was run, and not every schedule without it: see `Search.within`. */
  readonly within?: Within
  /** The strategy that decided, where several took part. */
  readonly decidedBy?: string
  /** Why the exploration is inconclusive. */
  readonly reason: string | undefined
}

/** How far a search is, where its strategy can tell. */
export type Standing = Pick<Search, "open" | "share">

/** Steps in a slice of the search: at first, and at most. They become as many as take about `stretchTime`. */
const firstSlice = 1_000
const largestSlice = 1_000_000

/**
 * Plain executions that a search is compared with: at most, and at least, where their steps together are more than it is
 * worth. Those that there are at least evaluate every property after every step, so that one that looks at more than cells
 * shows; the others only what a step can have changed, and all where nothing can go on: half of what they cost is
 * properties.
 */
const mostCompared = 60
const fewestCompared = 10

/** What that is worth, in steps, at most and at least: a search of few states would be over long before the comparison. */
const mostSteps = 1_500
const fewestSteps = 500

/** A reduced search counts no states that say how large it is. */
const stepsCompared = ({ statistics: { states }, isReduced }: Searched): number =>
  isReduced === true ? mostSteps : Math.min(mostSteps, Math.max(fewestSteps, states / 20))

/** The longest of them, in steps. A program without an end is compared up to some rounds beyond the depth of the search. */
const comparedSteps = (search: Searched, { maxSteps }: SearchOptions): number =>
  Math.min(maxSteps, 1_000, 2 * search.statistics.maxDepth + 20)

/** How likely a fiber is to go on before another takes over, in turn: even switching and long stretches both find things. */
const persistence = [0, 0.5, 0.9]

/**
 * Explores a program.
 *
 * @param onProgress told of the figures from time to time while the search runs
 * Fails when the scenario's setup throws, and when the strategy cannot explore such a program. Ctrl-C ends it at once, other interruption between two slices.
 */
export const explore = Effect.fnUntraced(function* (
  program: Program,
  strategy: Strategy,
  options: SearchOptions,
  budget: Budget = {},
  onProgress: (statistics: Statistics, seconds: number, standing: Standing) => Effect.Effect<void> = () => Effect.void,
) {
  const reason = unfit(strategy, program, options)
  if (reason !== undefined) return yield* new Unfit({ message: reason })
  const started = yield* Clock.currentTimeMillis
  // Steps keep their state in cells, which are made for each execution; what an Effect uses nobody sees.
  const look = program.inSteps
    ? Effect.succeed(undefined)
    : Effect.catchTag(
        attempt(() => lookOfFirst(program), budget.stallMilliseconds),
        "Stalled",
        () => Effect.succeed(undefined), // and so does the search
      )
  const before = yield* look
  const search = yield* Effect.catchTag(
    attempt(() => strategy.search(program, within(options, budget)), budget.stallMilliseconds),
    "Stalled",
    ({ message }) => Effect.succeed(stillborn(message)),
  )
  const ending = yield* drive(search, budget, started, (seconds) =>
    Effect.as(onProgress(search.statistics, seconds, search), undefined),
  )
  const isDoubtful = ending.kind !== "violated" && ending.kind !== "unsound" && (yield* look) !== before
  const concluded: Ending = isDoubtful ? { kind: "unsound", message: remains } : ending
  return yield* conclude({ program, strategy, options, budget, started, onProgress }, search, concluded)
})

/**
 * Goes on with a search, slice by slice, until it ends or its time is over.
 *
 * @param started when the exploration began, in milliseconds of the clock
 * @param between done between two slices, told of the seconds since then; what it returns, other than `undefined`, ends
 * the drive
 */
export const drive = Effect.fnUntraced(function* <A, E, R>(
  search: Pick<Search, "advance" | "soFar">,
  budget: Budget,
  started: number,
  between: (seconds: number) => Effect.Effect<A, E, R>,
) {
  let now = yield* Clock.currentTimeMillis
  let slice = firstSlice
  for (;;) {
    const before = now
    const ending = yield* Effect.catchTag(
      attempt(() => search.advance(slice), budget.stallMilliseconds),
      "Stalled",
      ({ message }) => Effect.succeed<Ending>({ kind: "unsound", message }),
    )
    now = yield* Clock.currentTimeMillis
    slice = nextSlice(slice, now - before)
    if (ending !== undefined) return ending
    if (budget.milliseconds !== undefined && now - started >= budget.milliseconds) {
      return outOfTime(budget.milliseconds, search.soFar)
    }
    const stop = yield* between((now - started) / 1000)
    if (stop !== undefined) return stop
    yield* letOthersRun
  }
})

/** Tells the strategy of the time that there is. */
const within = (options: SearchOptions, { milliseconds }: Budget): SearchOptions =>
  milliseconds === undefined ? options : { ...options, milliseconds }

/** What is left of a search that has ended. */
type Searched = Pick<
  Search,
  "statistics" | "exercised" | "steps" | "visited" | "compared" | "within" | "decidedBy" | "isReduced" | "everyRunEnds"
>

/** What is explored, how, and for whom. */
interface Exploration<E, R> {
  readonly program: Program
  readonly strategy: Pick<Strategy, "liveness">
  readonly options: SearchOptions
  readonly budget: Budget
  /** When it began, in milliseconds of the clock. */
  readonly started: number
  readonly onProgress: (statistics: Statistics, seconds: number, standing: Standing) => Effect.Effect<void, E, R>
  /** Asked between two slices: an ending where no more may be used. */
  readonly limit?: () => Ending | undefined
}

/**
 * What a search came to, once it has ended: confirmed, or compared with plain re-execution. One that ended by itself is
 * followed by the search of infinite runs, if the strategy has one and the program promises something.
 */
export const conclude = Effect.fnUntraced(function* <E, R>(
  { program, strategy, options, budget, started, onProgress, limit }: Exploration<E, R>,
  search: Searched,
  ended: Ending,
) {
  let ending = ended
  const liveness =
    ended.kind === "exhausted" && search.everyRunEnds !== true
      ? yield* Effect.catchTag(
          attempt(() => strategy.liveness?.(program, options), budget.stallMilliseconds),
          "Stalled",
          ({ message }) => Effect.succeed(stillborn(message)),
        )
      : undefined
  if (liveness !== undefined) {
    const decided = yield* drive(liveness, budget, started, (seconds) =>
      Effect.map(onProgress(liveness.statistics, seconds, liveness), () => limit?.()),
    )
    ending = livenessEnding(decided)
  }
  const last = ending
  const judged = yield* attempt(() => judge(program, search, last, options))
  const named = judged.outcome === "holds" ? yield* attempt(() => program.namedSteps()) : []
  const now = yield* Clock.currentTimeMillis
  return {
    ...judged,
    statistics: search.statistics,
    graphStates: liveness?.statistics.states ?? 0,
    exercised: bothExercised(search.exercised, liveness?.exercised ?? []),
    steps: stepsOf(search, named),
    ...(search.compared === undefined ? {} : { compared: search.compared }),
    ...(search.within === undefined ? {} : { within: search.within }),
    ...(search.decidedBy === undefined ? {} : { decidedBy: search.decidedBy }),
    seconds: (now - started) / 1000,
  } satisfies Result
})

const livenessEnding = (ending: Ending): Ending =>
  ending.kind === "cut"
    ? { kind: "cut", reason: `every state was visited, but what is promised was not decided: ${ending.reason}` }
    : ending

type Exercised = Search["exercised"]

/** How often properties were exercised in either of two searches. */
const bothExercised = (one: Exercised, other: Exercised): Exercised =>
  one.map(({ id, times }) => ({ id, times: times + (other.find((each) => each.id === id)?.times ?? 0) }))

const stepsOf = (search: Searched, named: Iterable<string>): ReadonlyMap<string, number> => {
  const steps = new Map(search.steps)
  for (const name of named) addTimes(steps, name, 0)
  return steps
}

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

export const outOfTime = (milliseconds: number, soFar?: string): Ending => ({
  kind: "cut",
  reason: `the time of ${milliseconds / 1000} s ran out${soFar === undefined ? "" : `; ${soFar}`}`,
})

type Judgement = Pick<Result, "outcome" | "violation" | "moves" | "cycle" | "reason">

const nothing = { violation: undefined, moves: undefined, cycle: undefined, reason: undefined }

const judge = (program: Program, search: Searched, ending: Ending, options: SearchOptions): Judgement => {
  switch (ending.kind) {
    case "exhausted": {
      const doubt = compare(program, search, options)
      if (doubt !== undefined) return unsound(doubt)
      return { ...nothing, outcome: "holds" }
    }
    case "cut":
      return { ...nothing, outcome: "inconclusive", reason: ending.reason }
    case "unsound":
      return unsound(ending.message)
    case "violated":
      return confirm(program, ending)
  }
}

const unsound = (message: string): Judgement => ({
  ...nothing,
  outcome: "violated",
  violation: { property: builtIn.rules, message },
})

const forgotten = "a checkpoint does not name a value that is still needed"

/** How many times more to go round the cycle of a lasso: what a checkpoint forgot may show in a later round only. */
const moreRounds = 3

/** Runs the schedule again by plain re-execution, whose words are the ones to report. */
const confirm = (program: Program, ending: Ending & { readonly kind: "violated" }): Judgement => {
  const { violation, moves, cycle } = ending
  const found = (run: Run) => run.violations.find(({ property }) => property === violation.property)
  const same = found(runMoves(program, moves, cycle))
  const again = cycle === undefined ? same : found(runMoves(program, moreRoundsOf(moves, cycle), moves.length))
  if (same !== undefined && again !== undefined) {
    return { outcome: "violated", violation: same, moves, cycle, reason: undefined }
  }
  return unsound(
    `the search found ${violation.property} broken (${violation.message}), and plain re-execution of the same schedule does not: ${hidden}${cycle === undefined ? "" : `, or ${forgotten}`}`,
  )
}

const moreRoundsOf = (moves: ReadonlyArray<Move>, cycle: number): ReadonlyArray<Move> => [
  ...moves,
  ...Array.from({ length: moreRounds }, () => moves.slice(cycle)).flat(),
]

/**
 * Whether plain re-execution reaches a state, or breaks a property, that the search did not: then the program breaks a
 * rule that the memoised engine rests on, and what it said means nothing. A sample, so silence is no proof; `dfs` is.
 */
const compare = (program: Program, search: Searched, options: SearchOptions): string | undefined => {
  const { visited } = search
  if (visited === undefined && search.isReduced !== true) return undefined
  const random = seedrandom.alea(`compare ${options.seed}`)
  const judged = (violations: ReadonlyArray<Violation>) =>
    options.survey === undefined ? decisive(violations, options) : undefined
  const longest = comparedSteps(search, options)
  const enough = stepsCompared(search)
  let steps = 0
  for (let i = 0; i < mostCompared && (i < fewestCompared || steps < enough); i++) {
    const execution = new Execution(program, {
      keepEnds: options.keepEnds ?? false,
      symmetry: options.symmetry ?? true,
    })
    const promises = new Promises(execution)
    const order = new HappensBefore(execution)
    execution.begin()
    promises.begin()
    let last: number | undefined
    for (let depth = 0; depth < longest; depth++, steps++) {
      const moves = execution.moves()
      const own = random() < (persistence[i % persistence.length] ?? 0) ? moves.filter((m) => fiberOf(m) === last) : []
      const among = own.length > 0 ? own : moves
      const move = among[Math.floor(random() * among.length)]
      last = move === undefined ? undefined : fiberOf(move)
      const races = move === undefined ? [] : order.step(move)
      const violation = judged(
        move === undefined
          ? [...execution.tracker.checkAll(), ...execution.end(), ...promises.end()]
          : [...execution.take(move, i < fewestCompared), ...races, ...promises.step()],
      )
      if (violation !== undefined) {
        return `plain re-execution breaks ${violation.property} (${violation.message}) where the search found nothing: ${hidden}`
      }
      if (move === undefined) break
      if (execution.rest === "broken") break
      if (visited?.has(execution.low, execution.high) === false) {
        return `plain re-execution reaches a state that the search did not visit: ${hidden}, or ${forgotten}`
      }
    }
  }
  return undefined
}
