/** Plain execution of a program of either kind: written in steps, or an Effect that knows nothing of them. */
import type { Plain } from "../program/plain.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { EffectExecution } from "./effect/effectExecution.ts"
import { Execution } from "./execution.ts"
import type { Move, Others, System } from "./system.ts"

/** A step that a seeded bug left out, doing nothing in its place. */
export interface LeftOut {
  readonly fiber: string
  readonly label: string
}

/** A fresh run of a program, with no way back but to start again: the definition of what the program means. */
export interface PlainExecution extends System, Others {
  /** What the last step returned. */
  readonly lastResult: Plain
  /** What fibers left out when they went on from the last move or, before the first, from their start. */
  readonly leftOut: ReadonlyArray<LeftOut>
  /** As `take`, for a step that was judged before: no property is evaluated until `begin`. */
  follow(move: Move): ReadonlyArray<Violation>
}

/** Starts a program. Throws what its setup throws. */
export const execute = (program: Program): PlainExecution =>
  program.inSteps ? new Execution(program) : new EffectExecution(program)
