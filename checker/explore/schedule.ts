import { Execution } from "../engine/execution.ts"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { fiberOf, type Move, optionOf } from "../engine/system.ts"
import { labelOf } from "../program/operation.ts"
import type { Plain } from "../program/plain.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"

/** A step that was taken: by which fiber, at which operation, and what came of it. */
export interface ScheduledStep {
  readonly fiber: string
  readonly label: string
  /** The position of the chosen option, for a choice. */
  readonly choice: number | undefined
  /** What the step returned, or the option that was chosen. */
  readonly result: Plain
  /** Whether a seeded bug took it in the place of what the protocol does there. */
  readonly changed: boolean
}

/** A schedule, run. */
export interface Run {
  readonly steps: ReadonlyArray<ScheduledStep>
  /** The violations of the last step and of the state that it leads to; if nothing can go on there, of the end too. */
  readonly violations: ReadonlyArray<Violation>
}

/**
 * Runs a program along the moves by plain re-execution. Where a move is not possible, the run ends with a violation of
 * the rules: moves come from an exploration of the same program, which must be the same every time.
 */
export const runMoves = (program: Program, moves: ReadonlyArray<Move>): Run =>
  withoutRealWorld(() => {
    const execution = new Execution(program)
    let violations = execution.begin()
    const steps: Array<ScheduledStep> = []
    for (const move of moves) {
      if (!execution.moves().includes(move)) return { steps, violations: [notTheSame(steps.length + 1)] }
      const [step, found] = takeStep(execution, move)
      violations = found
      steps.push(step)
    }
    return { steps, violations: [...violations, ...endViolations(execution)] }
  })

/** The violation of a program in which a schedule that was run before cannot be run again. */
export const notTheSame = (step: number): Violation => ({
  property: builtIn.rules,
  message: `at step ${step} a schedule that was run before finds another state when it is run again: the program must be the same every time it is set up, and depend on nothing outside`,
})

/** Makes a move and says what it was. */
export const takeStep = (execution: Execution, move: Move): [ScheduledStep, ReadonlyArray<Violation>] => {
  const fiber = fiberOf(move)
  const operation = execution.operation(fiber)
  const name = execution.fibers[fiber]?.name
  if (operation === undefined || name === undefined) throw new Error(`move ${move} is not possible`)
  const choice = operation.kind === "choice" ? optionOf(move) : undefined
  const violations = execution.take(move)
  const { changed = false } = operation
  return [{ fiber: name, label: labelOf(operation), choice, result: execution.lastResult, changed }, violations]
}

/** The violations of the end, if the execution is at one. */
export const endViolations = (execution: Execution): ReadonlyArray<Violation> =>
  execution.moves().length === 0 ? execution.end() : []

/** How many times a schedule switches away from a fiber that could have gone on. */
export const countPreemptions = (program: Program, moves: ReadonlyArray<Move>): number =>
  withoutRealWorld(() => {
    const execution = new Execution(program)
    execution.begin()
    let count = 0
    let last: number | undefined
    for (const move of moves) {
      if (last !== undefined && fiberOf(move) !== last && execution.moves().some((other) => fiberOf(other) === last))
        count++
      last = fiberOf(move)
      execution.take(move)
    }
    return count
  })
