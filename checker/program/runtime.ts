/**
 * The one place where a program's code meets the engine that runs it.
 *
 * Everything is synchronous on one thread, so "whose code is running" is a variable: the engine sets it around each
 * piece of program code, and cells, operations and the guards against the real world read it.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Operation } from "./operation.ts"
import type { Plain } from "./plain.ts"
import type { Store } from "./store.ts"

/** Told of the end of a procedure. */
export interface ProcedureEnd {
  returned(result: Plain): void
  failed(): void
}

/** A fiber of the program under check, as the program's code sees it. */
export interface Actor {
  readonly name: string
  /** Where its code is, as a sentence goes on: `in read(0)`, `after read(0)`. */
  readonly place: string
  /** Performs an operation that this fiber has reached. */
  perform(operation: Operation): Effect.Effect<Plain>
  /** The fiber's future depends on nothing older than this checkpoint but the live values. */
  passCheckpoint(label: string, live: ReadonlyArray<Plain>): void
  /** Notes where a loop is entered; what it returns is called at the head of each round. */
  enterLoop(label: string): (live: ReadonlyArray<Plain>) => void
  /** Notes where a procedure is called, and by which of Effect's fibers; what it returns is told how that ends. */
  enterProcedure(by: Fiber.Fiber<unknown, unknown>): ProcedureEnd
  /** Notes that the fiber broke a rule of the language; the first note counts (see `noteThatCounts`), even if the fiber catches the error. */
  blame(message: string): void
}

interface Runtime {
  /** The fiber whose code is running, if any. */
  actor: Actor | undefined
  /** The store of the program whose setup is running, if any. */
  setup: Store | undefined
  /** The rule that the setup broke where nothing could be thrown, if it did. */
  setupBlamed: string | undefined
  /** Told of each operation where a program makes it, while somebody wants to know (see `cli/origins.ts`). */
  made: ((operation: Operation) => void) | undefined
}

export const runtime: Runtime = { actor: undefined, setup: undefined, setupBlamed: undefined, made: undefined }

/** Program code broke a rule of the language of programs. */
export class RuleBroken extends Error {
  override readonly name = "RuleBroken"
}

/** What is said of code that makes a promise. */
export const promiseMade = "a promise is kept by the real world, in its own time"

/** Which of two notes against a fiber counts: the first, unless it is of a promise and the other says what for. */
export const noteThatCounts = (first: string | undefined, second: string): string =>
  first === undefined || first === promiseMade ? second : first

/** Notes that the running code makes a promise. Nothing can be thrown where that is noticed. */
export const blamePromise = (): void => {
  if (runtime.actor !== undefined) runtime.actor.blame(promiseMade)
  else if (runtime.setup !== undefined) runtime.setupBlamed = promiseMade
}

/** Blames the running fiber, then throws: there is no sensible way on. */
export const breakRule = (message: string): never => {
  runtime.actor?.blame(message)
  throw new RuleBroken(message)
}
