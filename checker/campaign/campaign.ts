/**
 * An exploration by states that may take long: it begins on this thread, goes on with several workers if it lasts, keeps
 * to a limit of memory, and can be written down as it goes and taken up again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { attempt, defaultLimit } from "../engine/supervised.ts"
import { type Budget, conclude, drive, outOfTime, type Result } from "../explore/explore.ts"
import type { Piece } from "../explore/piece.ts"
import { memoryFull, StatesSearch, states } from "../explore/states.ts"
import { type Ending, emptyStatistics, type Search, type SearchOptions, type Statistics } from "../explore/strategy.ts"
import { ownSupply, Visited } from "../explore/visited.ts"
import type { Program } from "../scenario/program.ts"
import { heapFull, heapIsFull, MemoryGuard } from "./memory.ts"
import type { Source } from "./source.ts"
import { Team, type Totals, WorkersFailed } from "./team.ts"

/** Where an exploration stands, as a value: it can be taken up from here. */
export interface Remainder extends Totals {
  /** The states visited. */
  readonly visited: Visited
  /** What is left to explore. */
  readonly pieces: ReadonlyArray<Piece>
  /** Wall-clock seconds that it took to get here. */
  readonly seconds: number
}

/** What a campaign may use, and what it keeps. */
export interface Resources<E = never, R = never> {
  /** Threads that explore. */
  readonly workers: number
  /** Where other threads get the program from; without it, this thread explores alone. */
  readonly source?: Source
  /** Milliseconds after which workers take over, so that what is quickly done does not wait for threads to start. */
  readonly handover?: number
  readonly memory?: MemoryGuard
  readonly checkpoints?: {
    /** Milliseconds between two. */
    readonly every: number
    readonly save: (remainder: Remainder) => Effect.Effect<void, E, R>
  }
  /** Take this up instead of beginning anew. */
  readonly from?: Remainder
}

/** What to tell of a campaign under way. */
export interface Progress {
  readonly statistics: Statistics
  /** Wall-clock seconds, those before it was taken up included. */
  readonly seconds: number
  /** Threads that explore now. */
  readonly workers: number
  /** Moves that are known and not made. */
  readonly open: number
}

/** What a campaign came to. */
export interface CampaignResult extends Result {
  /** The most threads that explored at once. */
  readonly workers: number
  /** The most bytes of memory seen in use by the process. */
  readonly peakMemory: number
}

/** Milliseconds: starting threads takes three times this, while this one goes on. */
const defaultHandover = 300

/** Milliseconds in which an interrupted search must have stopped, to be written down once more. */
const stopping = 2000

/** An exploration that has ended. */
interface Ended {
  readonly ending: Ending
  readonly view: Pick<Search, "statistics" | "exercised" | "steps" | "visited">
  readonly workers: number
}

interface Job<E, R> extends Resources<E, R> {
  readonly program: Program
  readonly options: SearchOptions
  readonly budget: Budget
  readonly memory: MemoryGuard
  /** Milliseconds of the clock. */
  readonly started: number
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

/**
 * Explores a program by states, as `explore` does.
 *
 * With checkpoints, or taken up again, workers explore from the beginning, be it one alone: this thread then stays free
 * to write down where they stand, when it is interrupted too. Fails with `WorkersFailed` when they cannot get the
 * program, and with what saving fails with.
 */
export const campaign = Effect.fnUntraced(function* <E = never, R = never>(
  program: Program,
  options: SearchOptions,
  resources: Resources<E, R>,
  budget: Budget = {},
  onProgress: (progress: Progress) => Effect.Effect<void> = () => Effect.void,
) {
  const started = yield* Clock.currentTimeMillis
  const memory = resources.memory ?? new MemoryGuard()
  const job: Job<E, R> = { ...resources, program, options, budget, memory, started, onProgress }
  const { ending, view, workers } = yield* Effect.scoped(begin(job))
  const exploration = {
    program,
    strategy: states,
    options,
    budget,
    started,
    onProgress: (statistics: Statistics, seconds: number) =>
      onProgress({ statistics, seconds: seconds + (resources.from?.seconds ?? 0), workers: 1, open: 0 }),
    limit: () => overLimit(memory),
  }
  const result = yield* conclude(exploration, view, ending)
  memory.room(0) // a last look
  const seconds = result.seconds + (resources.from?.seconds ?? 0)
  return { ...result, seconds, workers, peakMemory: memory.peak } satisfies CampaignResult
})

const begin = Effect.fnUntraced(function* <E, R>(job: Job<E, R>) {
  const { program, options, budget, memory, checkpoints, from } = job
  if (from !== undefined) return yield* exploreTogether(job, yield* recruit(job), from)
  const search = yield* Effect.catchTag(
    attempt(() => new StatesSearch(program, options, new Visited(ownSupply(memory.room))), budget.stallMilliseconds),
    "Stalled",
    ({ message }) => Effect.succeed(message),
  )
  if (typeof search === "string") {
    const view = { statistics: emptyStatistics(), exercised: [], steps: new Map<string, number>() }
    return { ending: { kind: "unsound", message: search }, view, workers: 1 } satisfies Ended
  }
  const early = search.advance(0)
  if (early !== undefined) return { ending: early, view: search, workers: 1 } satisfies Ended
  if (checkpoints === undefined) return yield* exploreAlone(job, search)
  const beginning = remainderOf(search, 0)
  yield* checkpoints.save(beginning)
  return yield* exploreTogether(job, yield* recruit(job), beginning)
})

const remainderOf = (search: StatesSearch, seconds: number): Remainder => {
  const { statistics, exercised, steps, visited, rest } = search
  return { statistics, exercised, steps, visited, pieces: [rest], seconds }
}

/** Explores on this thread, until the workers are ready if it comes to that. */
const exploreAlone = Effect.fnUntraced(function* <E, R>(job: Job<E, R>, search: StatesSearch) {
  const { budget, handover = defaultHandover, memory, onProgress, source, started, workers } = job
  let team: Team | undefined
  const between = Effect.fnUntraced(function* (seconds: number) {
    yield* onProgress({ statistics: search.statistics, seconds, workers: 1, open: search.open })
    const limit = overLimit(memory)
    if (limit !== undefined) return limit
    if (workers < 2 || source === undefined || seconds * 1000 < handover) return undefined
    team ??= yield* recruit(job, workers - 1) // this thread goes on
    return (yield* team.isReady) ? team : undefined
  })
  const stop = yield* drive(search, budget, started, between)
  if (!(stop instanceof Team)) return { ending: stop, view: search, workers: 1 } satisfies Ended
  return yield* exploreTogether(job, stop, { ...nothingDone, visited: search.visited, pieces: [], seconds: 0 }, search)
})

const nothingDone: Totals = { statistics: emptyStatistics(), exercised: [], steps: new Map() }

const recruit = <E, R>({ workers, source, options, budget }: Job<E, R>, count = workers) =>
  source === undefined
    ? Effect.fail(new WorkersFailed({ message: "there is no module that other threads could load it from" }))
    : Team.recruit(count, source, options, budget.stallMilliseconds ?? defaultLimit)

/**
 * Explores with the workers.
 *
 * @param search one that is going on in this thread, which takes part with it
 */
const exploreTogether = Effect.fnUntraced(function* <E, R>(
  job: Job<E, R>,
  team: Team,
  from: Remainder,
  search?: StatesSearch,
) {
  const { budget, checkpoints, memory, onProgress, started } = job
  const { visited } = from
  const secondsAt = (now: number) => (now - started) / 1000 + (job.from?.seconds ?? 0)
  const saved = Effect.gen(function* () {
    if (checkpoints === undefined || team.lost) return
    const seconds = secondsAt(yield* Clock.currentTimeMillis)
    yield* checkpoints.save({ ...team.totals, visited, pieces: team.rest, seconds })
  })
  let last = yield* Clock.currentTimeMillis
  const between = Effect.fnUntraced(function* () {
    const now = yield* Clock.currentTimeMillis
    const { statistics } = team.totals
    yield* onProgress({ statistics, seconds: secondsAt(now), workers: team.size, open: team.open })
    if (budget.milliseconds !== undefined && now - started >= budget.milliseconds) return outOfTime(budget.milliseconds)
    const limit = overLimit(memory)
    if (limit !== undefined || checkpoints === undefined || now - last < checkpoints.every) return limit
    yield* team.pause()
    if (team.isOver) return undefined
    yield* saved
    last = yield* Clock.currentTimeMillis
    team.goOn()
    return undefined
  })
  const ending = yield* team.explore(visited, from.pieces, from, between, search).pipe(
    Effect.onInterrupt(() => {
      if (checkpoints === undefined || !team.isExploring) return Effect.void
      const stopped = Effect.timeoutOption(Effect.interruptible(team.pause()), stopping)
      return Effect.flatMap(stopped, (paused) => (Option.isSome(paused) ? Effect.ignore(saved) : Effect.void))
    }),
  )
  if (ending.kind === "cut") yield* saved
  const { statistics, exercised, steps } = team.totals
  if (ending.kind === "exhausted" && visited.size !== statistics.states) {
    throw new Error(`the workers counted ${statistics.states} states, and ${visited.size} are in the table`)
  }
  return { ending, view: { statistics, exercised, steps, visited }, workers: team.size } satisfies Ended
})

/** How a search ends that uses too much memory. */
const overLimit = (memory: MemoryGuard): Ending | undefined => {
  if (!memory.room(0)) return { kind: "cut", reason: memoryFull }
  return heapIsFull() ? { kind: "cut", reason: heapFull } : undefined
}
