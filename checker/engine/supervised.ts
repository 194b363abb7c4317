/**
 * Runs stretches of exploration so that program code that never returns can be stopped: by ctrl-C at once, and by a
 * limit on the time of one stretch. A program is ordinary JavaScript on this very thread, so nothing short of V8's own
 * termination gets out of `for (;;) {}`; `node:vm` is the door to that.
 */
import { Script } from "node:vm"
import { isMainThread } from "node:worker_threads"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { runtime } from "../program/runtime.ts"
import { SetupFailed } from "../scenario/program.ts"
import { withoutRealWorld } from "./realWorld.ts"

/** Program code did not return; `message` says whose. */
export class Stalled extends Data.TaggedError("Stalled")<{ readonly message: string }> {}

/** Milliseconds that a stretch should take: in between there is an answer to what others say. */
export const stretchTime = 100

/**
 * Milliseconds that a stretch may take by default: machines under load have stood still for 30 seconds. Ctrl-C need not
 * wait.
 */
export const defaultLimit = 120_000

/** A script sees globals only, so what it is to run is left there. */
const slot = Symbol.for("shootdown/stretch")
const script = new Script(`globalThis[Symbol.for("shootdown/stretch")]()`)

/**
 * Runs a stretch of exploration with the guards against the real world up. Fails when a setup fails in it or when it
 * does not end within the limit, and is interrupted by ctrl-C; other errors are defects of ours.
 *
 * @param limit in milliseconds
 */
export const attempt = <A>(run: () => A, limit = defaultLimit): Effect.Effect<A, SetupFailed | Stalled> =>
  isMainThread ? Effect.andThen(hearSignals, stretchOf(run, limit)) : stretchOf(run, limit)

/** Goes once round the event loop, where what came since the last stretch is handled: signals, and messages of other threads. */
const hearSignals = Effect.callback<void>((resume) => {
  let handle = setImmediate(() => {
    handle = setImmediate(() => resume(Effect.void))
  })
  return Effect.sync(() => clearImmediate(handle))
})

const stretchOf = <A>(run: () => A, limit: number): Effect.Effect<A, SetupFailed | Stalled> =>
  Effect.suspend((): Effect.Effect<A, SetupFailed | Stalled> => {
    const outcome: { value?: A } = {}
    const stretch = () => {
      outcome.value = run()
    }
    try {
      withoutRealWorld(() => {
        Reflect.set(globalThis, slot, stretch)
        // Signals are the main thread's: a watch in a worker's stretch would take them away from it.
        script.runInThisContext({ timeout: limit, breakOnSigint: isMainThread })
      })
      return Effect.succeed(outcome.value as A) // the stretch ended, so it was assigned
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined
      if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") return Effect.interrupt
      if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return Effect.fail(new Stalled({ message: stalled(limit) }))
      return error instanceof SetupFailed ? Effect.fail(error) : Effect.die(error)
    } finally {
      Reflect.deleteProperty(globalThis, slot)
      // Code that is terminated leaves no `finally` behind: what it had set is reset here.
      runtime.actor = undefined
      runtime.setup = undefined
      runtime.made = undefined
    }
  })

const stalled = (limit: number): string => {
  const { actor, setup } = runtime
  const whose = actor !== undefined ? `fiber ${actor.name}, ${actor.place},` : setup ? "the setup" : "the search"
  return `${whose} has run for ${limit / 1000} s without an end: an endless loop, or one far too long`
}
