/** A whole campaign carried out by another thread alone, so that this one is free for something else. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import { defaultLimit } from "../engine/supervised.ts"
import type { Budget } from "../explore/explore.ts"
import { emptyStatistics, type SearchOptions } from "../explore/strategy.ts"
import type { CampaignResult, Progress } from "./campaign.ts"
import { heapFull, type MemoryGuard } from "./memory.ts"
import type { ConcludedResult, Report } from "./messages.ts"
import { type Death, Pool } from "./pool.ts"
import type { Source } from "./source.ts"
import { WorkersFailed } from "./team.ts"

/** What is to be done elsewhere. */
export interface Errand {
  readonly source: Source
  /** Without a survey: what it is told of would come too late. */
  readonly options: Omit<SearchOptions, "survey">
  readonly budget: Budget
  readonly memory: MemoryGuard
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
}

/**
 * Has a thread of the pool explore a program from its beginning to its conclusion. Fails with `WorkersFailed` when it
 * cannot get the program.
 */
export const elsewhere = Effect.fnUntraced(function* ({ source, options, budget, memory, onProgress }: Errand) {
  const pool = yield* Pool
  const events = yield* Queue.unbounded<Report | Death>()
  const thread = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const [taken] = pool.take(1)
      if (taken === undefined) throw new Error("the pool gives no thread")
      taken.listener = (message) => void Queue.offerUnsafe(events, message)
      return taken
    }),
    (taken, exit) => Effect.sync(() => (Exit.hasInterrupts(exit) ? taken.terminate() : pool.giveBack(taken))),
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
        yield* onProgress(last)
        break
      case "concluded":
        memory.peak = Math.max(memory.peak, event.result.peakMemory)
        return received(event.result)
      case "failed":
        return yield* new WorkersFailed({ message: event.message })
      case "outOfMemory":
        return cutAt(last, memory)
      case "broken":
        return yield* Effect.die(event.error)
      default:
        throw new Error(`a thread that carries out a campaign says ${event.kind}`)
    }
  }
})

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
