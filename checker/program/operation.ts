/**
 * The operations by which a fiber takes part in the program's interleaving. Between two of them it only computes.
 */
import * as Effect from "effect/Effect"
import { intern, NotPlain, type Plain, show } from "./plain.ts"
import { breakRule, runtime } from "./runtime.ts"
import type { Wait } from "./section.ts"

interface Reached {
  /** Set by the engine on what a seeded bug does in the place of a step: the protocol itself never does it. */
  readonly changed?: boolean
  /** Set by the engine: the names of the sections in which it was reached, the outermost first. */
  readonly within?: ReadonlyArray<string>
}

/** An atomic step: its body runs with no other fiber between, once its guard (if any) holds. */
export interface Step extends Reached {
  readonly kind: "step"
  /** The kernel function it models, or whatever the program's readers know it by. */
  readonly name: string
  /** Shown in traces behind the name, and told to monitors and seeded bugs. */
  readonly args: ReadonlyArray<Plain>
  readonly guard: (() => boolean) | undefined
  readonly body: () => unknown
  /** What its guard waits for, if it says so. */
  readonly wait?: Wait | undefined
}

/** A choice between values, every one of which is explored. */
export interface Choice extends Reached {
  readonly kind: "choice"
  readonly name: string
  readonly args: ReadonlyArray<Plain>
  readonly options: ReadonlyArray<Plain>
}

/** The start of another fiber, which from then on runs beside the others. */
export interface Fork extends Reached {
  readonly kind: "fork"
  readonly name: "fork"
  /** The name of the other fiber; also below. */
  readonly args: readonly [string]
  readonly effect: Effect.Effect<unknown, unknown>
}

/** A wait for the end of another fiber. */
export interface Join extends Reached {
  readonly kind: "join"
  readonly name: "join"
  readonly args: readonly [string]
}

/** An interruption of another fiber, wherever it is. */
export interface Interrupt extends Reached {
  readonly kind: "interrupt"
  readonly name: "interrupt"
  readonly args: readonly [string]
}

export type Operation = Step | Choice | Fork | Join | Interrupt

/** How many ways there are to perform an operation: the options of a choice. */
export const optionsOf = (operation: Operation): number => (operation.kind === "choice" ? operation.options.length : 1)

/** How an operation is written in traces and schedules: `zap_pte_range(0)`. */
export const labelOf = (operation: Operation): string =>
  operation.args.length === 0 ? operation.name : `${operation.name}(${operation.args.map(show).join(", ")})`

const actor = (what: string) => runtime.actor ?? breakRule(`${what} is run outside the checker`)

/**
 * Performs an operation as the running fiber. Its result is what the body returned, made plain.
 *
 * The type says `A` where the engine only knows `Plain`: what it hands back is the body's own result, compared by
 * content.
 */
export const perform = <A>(operation: Operation): Effect.Effect<A> => {
  runtime.made?.(operation)
  return Effect.suspend(() => (runtime.actor ?? actor(labelOf(operation))).perform(operation) as Effect.Effect<A>)
}

/**
 * An atomic step. `body` runs with no other fiber between its reads and writes of cells; what it returns (plain data)
 * is all that its fiber learns from it. An error thrown inside ends the run as a violation.
 *
 * @example yield* step("pte_clear", [va], () => { pte[va].value = none })
 */
export const step: {
  <A>(name: string, body: () => A): Effect.Effect<A>
  <A>(name: string, args: ReadonlyArray<Plain>, body: () => A): Effect.Effect<A>
} = <A>(name: string, ...rest: [() => A] | [ReadonlyArray<Plain>, () => A]): Effect.Effect<A> => {
  const [args, body] = rest.length === 1 ? [[], rest[0]] : rest
  return perform<A>({ kind: "step", name, args: args.map(intern), guard: undefined, body })
}

/**
 * A step that waits until `guard`, a pure read of cells, holds; then body runs in the same instant.
 *
 * @param wait what it waits for, and who keeps it waiting. Without it a deadlock's report goes by who wrote last what the
 *   guard reads, and no section can forbid the wait
 * @example yield* guardedStep("spin_lock", () => !lock.value, () => { lock.value = true })
 */
export const guardedStep: {
  <A>(name: string, guard: () => boolean, body: () => A): Effect.Effect<A>
  <A>(name: string, args: ReadonlyArray<Plain>, guard: () => boolean, body: () => A, wait?: Wait): Effect.Effect<A>
} = <A>(
  name: string,
  ...rest: [() => boolean, () => A] | [ReadonlyArray<Plain>, () => boolean, () => A, (Wait | undefined)?]
): Effect.Effect<A> => {
  const [args, guard, body, wait] = rest.length === 2 ? [[], ...rest] : rest
  return perform<A>({ kind: "step", name, args: args.map(intern), guard, body, wait })
}

/** One of the options, which must be plain data; the explorer tries them all. */
export const choose = <const A extends Plain>(name: string, options: ReadonlyArray<A>): Effect.Effect<A> =>
  options.length === 0
    ? Effect.suspend(() => breakRule(`choice ${name} has no options`))
    : perform<A>({ kind: "choice", name, args: [], options: options.map(intern) })

/**
 * Promises that what this fiber does from here on depends on the live values alone, not on how it came here. The head
 * of a retry loop or a long loop wants one: histories that no longer matter then fall together.
 */
export const checkpoint = (label: string, ...live: ReadonlyArray<Plain>): Effect.Effect<void> =>
  Effect.sync(() => actor(`checkpoint ${label}`).passCheckpoint(label, live.map(intern)))

/**
 * Enters a loop, in a function that may be called from many places. What it returns is to be performed at the head of
 * each round: a checkpoint that promises that the fiber's future depends on how it came to the loop and on the live
 * values alone, not on the rounds between.
 *
 * @example
 * const head = yield* enterLoop("mirror_fault")
 * for (;;) {
 *   yield* head()
 *   ...
 * }
 */
export const enterLoop = (label: string): Effect.Effect<(...live: ReadonlyArray<Plain>) => Effect.Effect<void>> =>
  Effect.sync(() => {
    const passHead = actor(`loop ${label}`).enterLoop(label)
    return (...live) => Effect.sync(() => passHead(live.map(intern)))
  })

/**
 * A function of the protocol, as a generator of steps and calls. It promises that its caller learns nothing but what it
 * returns, which is plain data: it assigns no variable of its caller, changes no object that it is given, and leaves no
 * finaliser in a scope of its caller. Its own variables are then over when it returns, and ways through it that return the
 * same fall together.
 *
 * The result is made immutable. Without that promise a function is one of `Effect.fnUntraced`: correct, in more states.
 * One that calls itself to try again is in itself once more each time: as a loop with a checkpoint it comes back to where
 * it was.
 *
 * @example
 * const folioReferenced = procedure(function* (frame: number) {
 *   const mapped = yield* step("rmap_walk", [frame], () => mappings(frame))
 *   return mapped.some(({ young }) => young)
 * })
 */
export const procedure = <Args extends ReadonlyArray<unknown>, A, E = never, R = never>(
  body: (...args: Args) => Effect.fn.Return<A, E, R>,
): ((...args: Args) => Effect.Effect<A, E, R>) => {
  const run = Effect.fnUntraced(body)
  return (...args) =>
    Effect.withFiber((fiber) => {
      const end = actor("a procedure").enterProcedure(fiber)
      // One that is interrupted may come to neither: what is left of it are finalisers.
      const noted = Effect.catchCause(run(...args), (cause) => {
        end.failed()
        return Effect.failCause(cause)
      })
      return Effect.map(noted, (value) => {
        const result = plainResult(value)
        end.returned(result)
        return result as A // equal to what it returned
      })
    })
}

const plainResult = (value: unknown): Plain => {
  try {
    return intern(value)
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error
    return breakRule(`a procedure returned a value that is not plain data: ${error.message}`)
  }
}

/** The name of the fiber whose step is being taken: what a lock's holder is called. */
export const self = (): string => actor("self()").name

/** A step found something that must never be. */
export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed"
}

/** A step waits for what the code that it is taken in may not wait for. */
export class Forbidden extends Error {
  override readonly name = "Forbidden"
}

/** Ends the run as a violation of `assertion` unless the condition holds. For use inside steps. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}
