/**
 * Hears ctrl-C between the stretches of exploration too (`engine/supervised.ts`). `node:vm` can get out of a program that
 * never returns, but takes the process's own handlers of SIGINT away while a script begins and ends: a signal that comes
 * just then ends the process in silence. Its watch is one for all threads, kept up while any of them has a script that
 * ctrl-C interrupts, and tells the thread that began last. So a thread of its own sleeps in such a script for as long as
 * the process lives: a stretch hears ctrl-C itself, that thread whenever there is none, and no handlers are needed.
 */
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"

const thread = new URL("./ctrlCThread.mjs", import.meta.url)

/**
 * Has `heard` called for every ctrl-C outside of stretches from now to the end of the process, which must have no handlers
 * of SIGINT. Succeeds when it listens; until then ctrl-C ends the process, which has nothing to tell yet.
 */
export const hearCtrlC = (heard: () => void): Effect.Effect<void> =>
  Effect.callback((resume) => {
    // The process's handlers, and their gaps.
    const doWithout = () => {
      process.on("SIGINT", heard)
      resume(Effect.void)
    }
    try {
      const listener = new Worker(thread, { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 1 } })
      listener.on("message", (message) => {
        if (message === "heard") return heard()
        listener.unref()
        resume(Effect.void)
      })
      listener.once("error", doWithout)
    } catch {
      doWithout()
    }
  })
