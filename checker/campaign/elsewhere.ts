/** A whole campaign carried out by another thread alone, so that this one is free for something else. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import { defaultLimit, Stalled } from "../engine/supervised.ts"
import type { Budget } from "../explore/explore.ts"
import { emptyStatistics, type SearchOptions } from "../explore/strategy.ts"
import { SetupFailed } from "../scenario/program.ts"
import type { CampaignResult, Progress } from "./campaign.ts"
import { heapFull, type MemoryGuard } from "./memory.ts"
import type { ConcludedResult, Report } from "./messages.ts"
import { type Death, Pool } from "./pool.ts"
import type { Source } from "./source.ts"
import { WorkersFailed } from "./team.ts"

/**
 * States beyond which a thread is ended with its campaign: the memory of its table comes back at once. Another one takes
 * seconds to start, so it is not done for a hundred megabytes.
 */
const manyStates = 4_000_000

/** What is to be done elsewhere, as `campaign` does it. */
interface Errand {
  readonly source: Source
  readonly options: SearchOptions
  readonly budget: Budget
  readonly memory: MemoryGuard
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

/**
 * Has a thread of the pool explore a program by states, from its beginning to its conclusion. A survey stays here: it is
 * told of nothing. Fails as `campaign` does.
 */
export const elsewhere = Effect.fnUntraced(function* (errand: Errand) {
  const { source, budget, memory, onProgress } = errand
  const { survey: _, ...options } = errand.options
  const pool = yield* Pool
  const events = yield* Queue.unbounded<Report | Death>()
  let isDone = false
  const thread = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const [taken] = pool.take(1)
      if (taken === undefined) throw new Error("the pool gives no thread")
      taken.listener = (message) => void Queue.offerUnsafe(events, message)
      return taken
    }),
    (taken, exit) =>
      Effect.sync(() => {
        if (isDone && Exit.isSuccess(exit)) pool.keep(taken)
        else taken.terminate()
      }),
  )
  const { stallMilliseconds = defaultLimit, milliseconds } = budget
  const limits = { stallMilliseconds, milliseconds: milliseconds ?? null, memory: memory.limit }
  thread.tell({ kind: "campaign", source, options, ...limits })
  let last: Progress = { statistics: emptyStatistics(), seconds: 0, workers: 1, open: 0 }
  for (;;) {
    const event = yield* Queue.take(events)
    switch (event.kind) {
      case "underWay":
        last = event.progress
        memory.room(0) // a look at the peak
        yield* onProgress(last)
        break
      case "concluded":
        isDone = event.result.statistics.states < manyStates
        memory.peak = Math.max(memory.peak, event.result.peakMemory)
        return received(event.result)
      case "failed":
        return yield* new failures[event.failure ?? "WorkersFailed"]({ message: event.message })
      case "outOfMemory":
        return cutAt(last, memory)
      case "broken":
        return yield* Effect.die(event.error)
      default:
        throw new Error(`a thread that carries out a campaign says ${event.kind}`)
    }
  }
})

const failures = { WorkersFailed, SetupFailed, Stalled }

const received = ({ steps, ...result }: ConcludedResult): CampaignResult => ({
  ...nothingFound,
  ...result,
  steps: new Map(steps),
})

/** What is known of a campaign whose thread has died. */
const cutAt = ({ statistics, seconds }: Progress, { peak }: MemoryGuard): CampaignResult => ({
  ...nothingFound,
  outcome: "inconclusive",
  reason: heapFull,
  statistics,
  graphStates: 0,
  seconds,
  exercised: [],
  steps: new Map(),
  workers: 1,
  peakMemory: peak,
})

const nothingFound = { violation: undefined, moves: undefined, cycle: undefined, reason: undefined }
