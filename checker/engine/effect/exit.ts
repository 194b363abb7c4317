/** How the end of an Effect program is written: the same every time, so without fiber ids, and without stacks of calls. */
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

/** Stands for a value in words of ours, inside others. */
class Words {
  private readonly text: string

  constructor(text: string) {
    this.text = `[${text}]`
  }
  toJSON(): string {
    return this.text
  }
  [inspect.custom](): string {
    return this.text
  }
}

/** A value in which words stand for what would be written with ids of fibers, or with who has called whom. */
const inWords = (value: unknown, depth: number, known = new Map<object, unknown>()): unknown => {
  if (Fiber.isFiber(value)) return "a fiber"
  if (Exit.isExit(value)) return new Words(describeExit(value, depth - 1))
  if (Cause.isCause(value)) return new Words(describeCause(value, depth - 1))
  if (value instanceof Error) return new Words(describeError(value))
  if (typeof value !== "object" || value === null || depth <= 0) return value
  if (known.has(value)) return known.get(value)
  known.set(value, value)
  const words = partsInWords(value, (part) => inWords(part, depth - 1, known))
  known.set(value, words)
  return words
}

const partsInWords = (value: object, within: (part: unknown) => unknown): unknown => {
  if (Array.isArray(value)) return value.map(within)
  if (value instanceof Map) return new Map([...value].map(([key, part]) => [within(key), within(part)]))
  if (value instanceof Set) return new Set([...value].map(within))
  const parts = Object.entries(value).map(([key, part]) => [key, part, within(part)] as const)
  // What needs no words is written as it is: a copy would lack what only the original has.
  if (parts.every(([, part, words]) => part === words)) return value
  const written = parts.map(([key, , words]) => [key, { value: words, enumerable: true }] as const)
  return Object.create(Object.getPrototypeOf(value), Object.fromEntries(written))
}

const describeValue = (value: unknown, depth = deepest): string =>
  inspect(inWords(value, depth), { depth: deepest, compact: true, breakLength: Number.POSITIVE_INFINITY }).slice(
    0,
    longest,
  )

const describeFailure = (error: unknown, depth: number): string =>
  describeError(error instanceof Error ? error : inWords(error, depth))

/** An end in a line, for people. Ends that are written alike count as one outcome. */
export const describeExit = (exit: AnyExit, depth = deepest): string =>
  Exit.isSuccess(exit) ? `succeeded with ${describeValue(exit.value, depth)}` : describeCause(exit.cause, depth)

const describeCause = (cause: Cause.Cause<unknown>, depth: number): string => {
  if (Cause.hasDies(cause)) return `died of ${describeFailure(Cause.squash(cause), depth)}`
  if (Cause.hasFails(cause)) return `failed with ${describeFailure(Cause.squash(cause), depth)}`
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
