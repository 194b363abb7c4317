/**
 * A worker thread: it explores the pieces that it is given, with the table of visited states in common with the others.
 * It does a slice at a time and reads its orders in between.
 */
import { type MessagePort, parentPort, receiveMessageOnPort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { describeError } from "../engine/fault.ts"
import { keepOutRealWorld } from "../engine/realWorld.ts"
import { attempt } from "../engine/supervised.ts"
import type { Piece } from "../explore/piece.ts"
import { StatesSearch } from "../explore/states.ts"
import { type Ending, endingOf, type Survey } from "../explore/strategy.ts"
import { type Supply, Visited } from "../explore/visited.ts"
import type { Program } from "../scenario/program.ts"
import { type CampaignResult, campaign } from "./campaign.ts"
import { collectGarbage, heapFull, heapIsFull, MemoryGuard } from "./memory.ts"
import { Bell, type ConcludedResult, type Figures, Order, type Report, Supplied } from "./messages.ts"
import { Pool } from "./pool.ts"
import { exploreSlice } from "./slice.ts"
import { loadSource, type Source } from "./source.ts"

const main = parentPort
if (main === null) throw new Error("a worker is started as a thread of its own")
keepOutRealWorld() // once, and not around each stretch of a search

/** States behind which this thread gives the memory of their table back before it says that it is ready for others. */
const collectedStates = 500_000

/** The main thread's bell, when it explores too. */
let mainBell: Int32Array | undefined

const tell = (report: Report): void => {
  main.postMessage(report)
  if (mainBell !== undefined) Atomics.store(mainBell, Bell.attention, 1)
}

type Load = Order & { readonly kind: "load" }
type Join = Order & { readonly kind: "join" }

const decodeSupplied = Schema.decodeUnknownSync(Supplied)

/** Asks the main thread for segments, and stands still until they are there. */
const supplyFrom =
  (port: MessagePort, bell: Int32Array): Supply =>
  (wanted) => {
    const ask = { asked: false }
    for (;;) {
      const before = Atomics.load(bell, Bell.supplied)
      const received = receiveMessageOnPort(port)
      if (received !== undefined) return decodeSupplied(received.message)
      if (!ask.asked) tell({ kind: "wants", segments: wanted })
      ask.asked = true
      Atomics.wait(bell, Bell.supplied, before)
    }
  }

/** One search, as far as this worker takes part in it. */
class Part {
  private readonly search: StatesSearch
  private readonly bell: Int32Array
  private readonly stallMilliseconds: number
  private readonly violations: Array<{ readonly property: string; readonly message: string }> = []
  private readonly finals: Array<{ readonly cells: string; readonly deadlocked: boolean }> = []
  /** The piece that is explored. */
  private piece: Piece | undefined
  private paused = false
  private scheduled = false

  /** Throws what the scenario's setup throws. */
  constructor(program: Program, { options, survey, stallMilliseconds }: Load, { table, supply, bell }: Join) {
    this.bell = new Int32Array(bell)
    this.stallMilliseconds = stallMilliseconds
    const found: Survey = {
      violation: ({ property, message }) => void this.violations.push({ property, message }),
      final: (cells, deadlocked) => void this.finals.push({ cells, deadlocked }),
    }
    const visited = new Visited(supplyFrom(supply, this.bell), table)
    this.search = new StatesSearch(program, survey ? { ...options, survey: found } : options, visited, true)
  }

  explore(piece: Piece): void {
    this.heed()
    this.piece = piece
    const ending = this.attempted(() => {
      this.search.begin(piece)
      return undefined
    })
    if (ending === undefined) {
      this.schedule()
      return
    }
    this.piece = undefined
    tell({ kind: "ended", ending: plain(ending), rest: piece, figures: this.figures })
  }

  pause(): void {
    this.paused = true
    this.heed()
    const rest = this.piece === undefined ? null : this.search.rest
    this.tellFound()
    tell({ kind: "paused", rest, figures: this.figures })
  }

  goOn(): void {
    this.heed()
    this.paused = false
    this.schedule()
  }

  share(): void {
    this.heed()
    tell({ kind: "gift", piece: (this.piece === undefined ? undefined : this.search.give()) ?? null })
  }

  /** Nothing more is to be done. */
  finish(): void {
    this.heed()
    this.piece = undefined
  }

  /** Orders come between two slices. */
  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.slice()
    })
  }

  private slice(): void {
    if (this.paused || this.piece === undefined) return
    const ending =
      this.attempted(() => exploreSlice(this.search, this.bell)) ?? (heapIsFull() ? cut(heapFull) : undefined)
    this.tellFound()
    if (ending === undefined) {
      tell({ kind: "progress", figures: this.figures })
      this.schedule()
      return
    }
    const rest = ending.kind === "cut" ? this.search.rest : null
    this.piece = undefined
    tell({ kind: "ended", ending: plain(ending), rest, figures: this.figures })
  }

  private attempted(run: () => Ending | undefined): Ending | undefined {
    const guarded = () => {
      try {
        return run()
      } catch (error) {
        return endingOf(error)
      }
    }
    const result = Effect.runSync(Effect.result(attempt(guarded, this.stallMilliseconds)))
    return Result.isSuccess(result) ? result.success : { kind: "unsound", message: result.failure.message }
  }

  /** Carrying out an order begins with this: another one that comes later rings again. */
  private heed(): void {
    Atomics.store(this.bell, Bell.attention, 0)
  }

  private tellFound(): void {
    if (this.violations.length === 0 && this.finals.length === 0) return
    tell({ kind: "found", violations: this.violations.splice(0), finals: this.finals.splice(0) })
  }

  private get figures(): Figures {
    const { statistics, exercised, steps, open } = this.search
    const { states, transitions, maxDepth } = statistics
    const times = exercised.map(({ id, times }) => ({ id, times }))
    return { states, transitions, maxDepth, open, exercised: times, steps: [...steps] }
  }
}

const cut = (reason: string): Ending => ({ kind: "cut", reason })

/** What other fields there may be stay here. */
const plain = (ending: Ending): (Report & { kind: "ended" })["ending"] =>
  ending.kind === "violated"
    ? {
        kind: ending.kind,
        violation: { property: ending.violation.property, message: ending.violation.message },
        moves: ending.moves,
      }
    : ending

let loaded: { readonly program: Program; readonly order: Load } | undefined
let part: Part | undefined
let port: MessagePort | undefined

/** The program, unless that fails. */
const programFrom = async (source: Source): Promise<Program | undefined> => {
  try {
    return await loadSource(source)
  } catch (error) {
    tell({ kind: "failed", message: describeError(error) })
    return undefined
  }
}

const load = async (order: Load): Promise<void> => {
  const program = await programFrom(order.source)
  if (program === undefined) return
  loaded = { program, order }
  tell({ kind: "ready" })
}

const join = (order: Join): void => {
  port = order.supply
  mainBell = order.mainBell === null ? undefined : new Int32Array(order.mainBell)
  if (loaded === undefined) throw new Error("a worker is to join a search of which it has no program")
  const { program, order: how } = loaded
  const made = Effect.runSync(Effect.result(attempt(() => new Part(program, how, order), how.stallMilliseconds)))
  if (Result.isSuccess(made)) part = made.success
  else tell({ kind: "failed", message: made.failure.message })
}

const finish = (): void => {
  part?.finish()
  part = undefined
  loaded = undefined
  port?.close()
  port = undefined
  tell({ kind: "finished" })
}

const conclude = async (order: Order & { readonly kind: "campaign" }): Promise<void> => {
  const { source, options, stallMilliseconds, milliseconds, memory } = order
  const program = await programFrom(source)
  if (program === undefined) return
  const budget = { stallMilliseconds, ...(milliseconds === null ? {} : { milliseconds }) }
  const resources = { workers: 1, memory: new MemoryGuard(memory) }
  const whole = campaign(program, options, resources, budget, (progress) =>
    Effect.sync(() => tell({ kind: "underWay", progress })),
  )
  const result = await Effect.runPromise(Effect.result(Effect.provide(whole, Pool.layer)))
  if (Result.isFailure(result)) {
    return tell({ kind: "failed", message: result.failure.message, failure: result.failure._tag })
  }
  if (result.success.statistics.states > collectedStates) collectGarbage()
  tell({ kind: "concluded", result: concluded(result.success) })
}

const concluded = ({
  violation,
  moves,
  cycle,
  reason,
  compared: _,
  steps,
  ...rest
}: CampaignResult): ConcludedResult => ({
  ...rest,
  steps: [...steps],
  ...(violation === undefined ? {} : { violation }),
  ...(moves === undefined ? {} : { moves }),
  ...(cycle === undefined ? {} : { cycle }),
  ...(reason === undefined ? {} : { reason }),
})

const carryOut = async (order: Order): Promise<void> => {
  switch (order.kind) {
    case "campaign":
      return conclude(order)
    case "load":
      return load(order)
    case "join":
      return join(order)
    case "explore":
      return part?.explore(order.piece)
    case "share":
      return part?.share()
    case "pause":
      return part?.pause()
    case "goOn":
      return part?.goOn()
    case "finish":
      return finish()
  }
}

const decodeOrder = Schema.decodeUnknownSync(Order, { onExcessProperty: "error" })

// A step that returns a promise is reported by the engine; that promise failing later changes nothing.
process.on("unhandledRejection", () => undefined)

/** One order after the other: loading a program takes its time. */
let previous: Promise<void> = Promise.resolve()
main.on("message", (message) => {
  const order = decodeOrder(message)
  previous = previous.then(() => carryOut(order)).catch(abort)
})

/** A fault of ours ends the thread, and the main thread hears of it: out of a promise it would pass in silence. */
const abort = (error: unknown): void => {
  setImmediate(() => {
    throw error
  })
}
