/** Checks inside tests of vitest: `import { it } from "shootdown/vitest"`. */
import { dirname, resolve } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { vi, it as vitestIt } from "vitest"
import { keepOutRealWorld } from "../engine/realWorld.ts"
import { strategies } from "../explore/strategies.ts"
import type { SearchOptions, Strategy } from "../explore/strategy.ts"
import { EffectProgram } from "../scenario/effectProgram.ts"
import { protocolOf, type ScenarioEntry } from "../scenario/protocol.ts"
import type { Bound, Scenario } from "../scenario/scenario.ts"
import { check as carryOut, type Verdict } from "./checking.ts"

// A program that is loaded after this and keeps a function of the real world, a clock say, has the guarded one.
keepOutRealWorld()

/** How a program is to be explored inside a test. All of it has defaults. */
export interface CheckOptions {
  /** By default all of the program is explored: by `states` if it is written in steps, else by `bounded`. */
  readonly strategy?: "states" | "bounded" | "dfs" | "random" | (string & {})
  /** The bound, where it is not the program's default. */
  readonly bound?: Bound
  readonly seed?: number
  /** So many executions at most. A test of a sampler passes only with this: it then says what the sample means. */
  readonly executions?: number
  /** Only schedules with at most this many preemptive switches. A pass says so. */
  readonly preemptions?: number
  /** The longest execution, in steps: 10,000 by default. */
  readonly maxSteps?: number
  /** Wall-clock milliseconds for the search, 60,000 by default: a search that they end fails the test. */
  readonly time?: number
  /** Where counterexamples are saved and replayed from, from the test's file: `counterexamples` by default. */
  readonly directory?: string
}

/** Defines a test that explores a program. */
export type Check = <World>(name: string, program: EffectProgram | Scenario<World>, options?: CheckOptions) => void

/** The check of a program failed; the message is the trace and the rule that broke. */
export class CheckFailed extends Error {
  override readonly name = "CheckFailed"
}

const defaultTime = 60_000

/** The search gives other work its turns by timers, and would wait for ever. */
const fakeTimers =
  "fake timers are on, for which the search would wait: call vi.useRealTimers(); time is virtual in the program anyway"

/** What replaying and shrinking may take beyond the search, in milliseconds, before vitest ends the test. */
const grace = 120_000

const entryOf = <World>(program: EffectProgram | Scenario<World>): ScenarioEntry => {
  if (program instanceof EffectProgram) return program.entry
  const [entry] = protocolOf(program).scenarios
  if (entry === undefined) throw new Error("a protocol of one scenario has none")
  return entry
}

const strategyOf = (name: string): Strategy => {
  const strategy = strategies.find((each) => each.name === name)
  if (strategy !== undefined) return strategy
  throw new Error(`there is no strategy ${name}; there are ${strategies.map((each) => each.name).join(", ")}`)
}

const searchOptions = ({ seed = 1, executions, preemptions, maxSteps = 10_000 }: CheckOptions): SearchOptions => ({
  maxSteps,
  seed,
  ...(executions === undefined ? {} : { executions }),
  ...(preemptions === undefined ? {} : { preemptions }),
})

/** A way to define tests: `it`, `it.only` or `it.skip`. */
type Definer = (
  name: string,
  options: { readonly timeout: number },
  run: (context: { readonly task: { readonly file: { readonly filepath: string } } }) => Promise<void>,
) => void

const checkWith = (define: Definer): Check => {
  const check: Check = (name, program, options = {}) => {
    // The place to show is where the test stands: made here, thrown when it fails.
    const failed = new CheckFailed()
    Error.captureStackTrace(failed, check)
    const { time = defaultTime, directory = "counterexamples" } = options
    define(name, { timeout: time + grace }, async ({ task }) => {
      if (vi.isFakeTimers()) {
        failed.message = fakeTimers
        throw failed
      }
      const checked = {
        entry: entryOf(program),
        bound: options.bound ?? {},
        strategy: options.strategy === undefined ? undefined : strategyOf(options.strategy),
        options: searchOptions(options),
        milliseconds: time,
        directory: resolve(dirname(task.file.filepath), directory),
      }
      const { passed, text, notes } = await Effect.runPromise(
        carryOut(checked).pipe(
          Effect.catch(({ message }) => Effect.succeed<Verdict>({ passed: false, text: message, notes: [] })),
          Effect.provide(NodeServices.layer),
        ),
      )
      for (const note of notes) console.info(note)
      if (passed) {
        if (text !== undefined) console.info(text)
        return
      }
      failed.message = text ?? ""
      throw failed
    })
  }
  return check
}

/** `it.check`, with the ways to pick out tests that `it` has. */
export const check: Check & { readonly only: Check; readonly skip: Check } = Object.assign(checkWith(vitestIt), {
  only: checkWith(vitestIt.only),
  skip: checkWith(vitestIt.skip),
})

/**
 * Vitest's `it`, and `it.check(name, program, options)`: explores every schedule of an Effect program or scenario inside a
 * test. A counterexample that was saved before is replayed first. What breaks fails the test with its trace, cut down to
 * the steps that matter, and is saved. A search that does not end by itself fails the test too, unless it is a sample of
 * a size that the options name.
 */
export const it: typeof vitestIt & { readonly check: typeof check } = new Proxy(vitestIt, {
  get: (target, key) => (key === "check" ? check : Reflect.get(target, key)),
}) as typeof vitestIt & { readonly check: typeof check } // what the proxy adds

export const test = it
