/** How the end of an Effect program is written: the same every time, so without fiber ids and addresses. */
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { builtIn, type Violation } from "../../property/violation.ts"
import { describeError } from "../fault.ts"

type AnyExit = Exit.Exit<unknown, unknown>

/** The longest description of a value. */
const longest = 2_000

/** Levels of a value that are written. */
const deepest = 10

/** A fiber would be written with its id, which is another one in each execution. */
const withoutFibers = (value: unknown, depth = deepest): unknown => {
  if (Fiber.isFiber(value)) return "a fiber"
  if (typeof value !== "object" || value === null || depth === 0) return value
  if (Array.isArray(value)) return value.map((part) => withoutFibers(part, depth - 1))
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withoutFibers(part, depth - 1)]))
}

const describeValue = (value: unknown): string =>
  inspect(withoutFibers(value), { depth: deepest, breakLength: Number.POSITIVE_INFINITY }).slice(0, longest)

/** An end in a line, for people. Ends that are written alike count as one outcome. */
export const describeExit = (exit: AnyExit): string => {
  if (Exit.isSuccess(exit)) return `succeeded with ${describeValue(exit.value)}`
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
