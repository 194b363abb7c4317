/** How the end of an Effect program is written: the same every time, so without fiber ids and addresses. */
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { builtIn, type Violation } from "../../property/violation.ts"
import { describeError } from "../fault.ts"

type AnyExit = Exit.Exit<unknown, unknown>

/** An end in a line, for people; two that a program can tell apart by content are written differently. */
export const describeExit = (exit: AnyExit): string => {
  if (Exit.isSuccess(exit))
    return `succeeded with ${inspect(exit.value, { depth: 10, breakLength: Number.POSITIVE_INFINITY })}`
  const { cause } = exit
  if (Cause.hasDies(cause)) return `died of ${describeError(Cause.squash(cause))}`
  if (Cause.hasFails(cause)) return `failed with ${describeError(Cause.squash(cause))}`
  return "was interrupted"
}

/** How a fiber came to its end, in a word. */
export const endOf = (exit: AnyExit): string => {
  if (Exit.isSuccess(exit)) return "done"
  if (Cause.hasDies(exit.cause)) return "died"
  return Cause.hasFails(exit.cause) ? "failed" : "interrupted"
}

/**
 * What is wrong with the end of a program, whatever its properties say of it.
 *
 * @param judged whether a check or property of the program's own looks at its end, and so at its failures
 */
export const faultOf = (exit: AnyExit, judged: boolean): Violation | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const died = Cause.hasDies(exit.cause)
  if (!died && judged) return undefined
  return { property: died ? builtIn.defect : builtIn.failure, message: `main ${describeExit(exit)}` }
}
