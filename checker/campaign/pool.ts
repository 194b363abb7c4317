/** Worker threads, started when they are first wanted and kept for the next search. */
import { type Transferable, Worker } from "node:worker_threads"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Order, Report } from "./messages.ts"

const thread = new URL("./thread.mjs", import.meta.url)

const decodeReport = Schema.decodeUnknownSync(Report)

/** What becomes of a thread otherwise than by a report. */
export type Death =
  /** Its JavaScript heap was full. */
  | { readonly kind: "outOfMemory" }
  /** It is gone, and that is a bug of ours. */
  | { readonly kind: "broken"; readonly error: Error }

/** A worker thread, as the main thread has it. */
export class Thread {
  private readonly worker: Worker
  private alive = true
  /** Told of reports, in their order; of the thread's death, if it dies, last. */
  listener: (message: Report | Death) => void = () => undefined

  constructor() {
    // What a program prints while it is loaded was printed when the main thread loaded it.
    this.worker = new Worker(thread, {
      execArgv: [],
      stdout: true,
      stderr: true,
      // While a search learns it makes much garbage, and most of them are over when they have learnt.
      resourceLimits: { maxYoungGenerationSizeMb: 48 },
    })
    this.worker.stdout.resume()
    this.worker.stderr.resume()
    this.worker.unref()
    this.worker.on("message", (message) => this.listener(decodeReport(message)))
    this.worker.on("error", (error: NodeJS.ErrnoException) =>
      this.died(error.code === "ERR_WORKER_OUT_OF_MEMORY" ? { kind: "outOfMemory" } : { kind: "broken", error }),
    )
    this.worker.on("exit", (status) =>
      this.died({ kind: "broken", error: new Error(`a worker thread ended with status ${status}`) }),
    )
  }

  get isAlive(): boolean {
    return this.alive
  }

  tell(order: Order, transferred: ReadonlyArray<Transferable> = []): void {
    this.worker.postMessage(order, transferred)
  }

  /** Ends the thread, whatever it is doing. */
  terminate(): void {
    this.alive = false
    void this.worker.terminate()
  }

  private died(how: Death): void {
    if (!this.alive) return
    this.alive = false
    this.listener(how)
  }
}

/** Milliseconds in which a thread that is asked to finish should have done so. */
const finishing = 2000

class Threads {
  private readonly idle: Array<Thread> = []
  private readonly all = new Set<Thread>()

  /** So many threads, for the caller alone. */
  take(count: number): ReadonlyArray<Thread> {
    const kept = this.idle.splice(0, count).filter(({ isAlive }) => isAlive)
    const fresh = Array.from({ length: count - kept.length }, () => new Thread())
    for (const thread of fresh) this.all.add(thread)
    return [...kept, ...fresh]
  }

  /** Takes a thread back. It is used again when it has finished, and ended when that takes it too long. */
  giveBack(thread: Thread): void {
    if (!thread.isAlive) return
    const late = setTimeout(() => thread.terminate(), finishing).unref()
    thread.listener = ({ kind }) => {
      if (kind !== "finished") return
      clearTimeout(late)
      this.idle.push(thread)
    }
    thread.tell({ kind: "finish" })
  }

  /** Takes back a thread that has nothing to finish. */
  keep(thread: Thread): void {
    if (thread.isAlive) this.idle.push(thread)
  }

  terminate(): void {
    for (const thread of this.all) thread.terminate()
  }
}

/** The worker threads of this process. */
export class Pool extends Context.Service<Pool, Threads>()("shootdown/campaign/Pool") {
  /** A pool that ends its threads with the scope. */
  static readonly layer: Layer.Layer<Pool> = Layer.effect(
    Pool,
    Effect.acquireRelease(
      Effect.sync(() => new Threads()),
      (threads) => Effect.sync(() => threads.terminate()),
    ),
  )
}
