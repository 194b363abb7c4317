import { inspect } from "node:util"
import { AssertionFailed, Forbidden } from "../program/operation.ts"
import { NotPlain } from "../program/plain.ts"
import { RuleBroken } from "../program/runtime.ts"
import { builtIn, type Violation } from "../property/violation.ts"

/** An error in a few words. */
export const describeError = (error: unknown): string => {
  if (error instanceof Error) return error.message === "" ? error.name : `${error.name}: ${error.message}`
  return typeof error === "object" ? describeObject(error) : String(error)
}

const describeObject = (object: object | null): string => {
  try {
    return JSON.stringify(object)
  } catch {
    return shortened(inspect(object, { customInspect: false, breakLength: Number.POSITIVE_INFINITY }))
  }
}

/** The longest description of an object that JSON does not know. */
const longest = 200

const shortened = (text: string): string => {
  const line = text.replace(/\s+/g, " ")
  return line.length <= longest ? line : `${line.slice(0, longest)}...`
}

/** The violation that an error thrown by program code stands for. `where` names the code. */
export const violationOf = (error: unknown, where: string): Violation => {
  if (error instanceof RuleBroken) return { property: builtIn.rules, message: `${where}: ${error.message}` }
  if (error instanceof NotPlain) {
    return {
      property: builtIn.rules,
      message: `${where} returned a value that is not plain data: ${error.message}; a step's result is all its fiber learns`,
    }
  }
  if (error instanceof AssertionFailed) return { property: builtIn.assertion, message: `${where}: ${error.message}` }
  if (error instanceof Forbidden) return { property: builtIn.context, message: `${where}: ${error.message}` }
  return { property: builtIn.defect, message: `${where} threw ${describeError(error)}` }
}

/** The violation of a program in which a schedule that was run before cannot be run again. */
export const notTheSame = (step: number): Violation => ({
  property: builtIn.rules,
  message: `at step ${step} a schedule that was run before finds another state when it is run again: the program must be the same every time it is set up, and depend on nothing outside`,
})

/** Thrown when the engine itself cannot go on within its limits; the exploration is then inconclusive. */
export class LimitReached extends Error {
  override readonly name = "LimitReached"
}

/** Thrown when a program breaks a rule that the memoised engine rests on, in a way that no one schedule shows. */
export class Unsound extends Error {
  override readonly name: string = "Unsound"
}

/** Thrown when the program treats names differently that it declares interchangeable. */
export class NotInterchangeable extends Unsound {
  override readonly name = "NotInterchangeable"
}

/** Thrown when a fiber does two things after the same results, as far as its last checkpoint counts them. */
export class NotDeterministic extends Unsound {
  override readonly name = "NotDeterministic"
  constructor(fiber: string, what: string) {
    super(
      `fiber ${fiber} is not deterministic: after the same results ${what}; it must depend on nothing but the results of its steps (no step's body may assign a variable), a checkpoint must name every value that is still needed, and a procedure must say everything by its result`,
    )
  }
}
