/**
 * Seeded bugs work from outside: they name a step of the correct protocol and say what happens there instead. The
 * protocol's own file does not know them.
 */
import * as Effect from "effect/Effect"
import { guardedStep, type Operation, type Step, step } from "../program/operation.ts"
import type { Plain } from "../program/plain.ts"
import type { Bound } from "./scenario.ts"

/**
 * What happens at a step instead of it. `original` is the step as the protocol has it, to be run or not;
 * `operation` its name, arguments, guard and body. Steps of the same name inside the replacement are not replaced again.
 */
export type Replacement = (original: Effect.Effect<Plain>, operation: Operation) => Effect.Effect<unknown, unknown>

/** Replacements by the name of the step. */
export type Replacements = { readonly [stepName: string]: Replacement }

/** A bug, said from outside: which step of which protocol, and what happens there instead. */
export interface SeededBug<in World> {
  readonly id: string
  readonly title: string
  /** Where the bug is known from: a commit, a report, a mail. */
  readonly source: string
  /** What else to look for it by: its number in a catalogue of bugs, the commit that fixed it, its CVE. */
  readonly references?: ReadonlyArray<string>
  /** The id of the scenario in which it is found, and the bound if not the default. */
  readonly scenario: string
  readonly bound?: Bound
  /** The id of the property that it breaks: the bug counts as found when this one does. */
  readonly breaks: string
  /** What is changed in a fiber. Called anew for each run of it, so state kept in its closure is the fiber's own. */
  readonly at: (world: World, fiber: string) => Replacements
}

/** The step is not taken; its fiber goes on as if it had returned `result`. */
export const leaveOut =
  (result?: Plain): Replacement =>
  () =>
    Effect.succeed(result)

/** The step is taken, and its fiber is told something else. */
export const changeResult =
  (change: (result: Plain) => Plain): Replacement =>
  (original) =>
    Effect.map(original, change)

/** The step waits for something else, or (without a guard) for nothing. */
export const changeGuard =
  (guard?: () => boolean): Replacement =>
  (original, operation) =>
    operation.kind !== "step" ? original : guarded({ ...operation, guard })

/** The step waits as before and does something else. */
export const changeBody =
  (body: (step: Step) => unknown): Replacement =>
  (original, operation) =>
    operation.kind !== "step" ? original : guarded({ ...operation, body: () => body(operation) })

const guarded = ({ name, args, guard, body, wait }: Step): Effect.Effect<Plain> => {
  const plainBody = () => body() as Plain // what a body returns is made plain, or reported, by the engine
  return guard === undefined ? step(name, args, plainBody) : guardedStep(name, args, guard, plainBody, wait)
}

const nothing: Effect.Effect<Plain> = Effect.succeed(undefined)

/** The step `what` is taken behind the step `behind` instead of at its own place, where it seems to return `result`. */
export const moveBehind = (what: string, behind: string, result?: Plain): Replacements => {
  let held: Effect.Effect<Plain> = nothing
  return {
    [what]: (original) =>
      Effect.sync(() => {
        held = original
        return result
      }),
    [behind]: (original) =>
      Effect.flatMap(original, (value) => {
        const moved = held
        held = nothing
        return Effect.as(moved, value)
      }),
  }
}
