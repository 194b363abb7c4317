import { notTheSame } from "../engine/fault.ts"
import { execute, type LeftOut, type PlainExecution } from "../engine/plainExecution.ts"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { fiberOf, type Move, optionOf } from "../engine/system.ts"
import { labelOf } from "../program/operation.ts"
import type { Plain } from "../program/plain.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { Promises } from "../property/promises.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { Lasso } from "./lasso.ts"

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

/** A step that a seeded bug left out, at the place where its fiber came to it. */
export interface LeftOutStep extends LeftOut {
  /** After how many of the steps of the schedule. */
  readonly after: number
}

/** A schedule, run. */
export interface Run {
  readonly steps: ReadonlyArray<ScheduledStep>
  /** What a seeded bug left out on the way: these are no steps. */
  readonly leftOut: ReadonlyArray<LeftOutStep>
  /**
   * The violations of the last step and of the state that it leads to; if nothing can go on there, of the end too; of
   * a lasso, those of repeating its cycle for ever.
   */
  readonly violations: ReadonlyArray<Violation>
  /** How often the schedule turns away from a fiber that could go on. */
  readonly preemptions: number
}

/**
 * Runs a program along the moves by plain re-execution. Where a move is not possible, the run ends with a violation of
 * the rules: moves come from an exploration of the same program, which must be the same every time.
 *
 * @param cycle the position of the first of the moves that repeat for ever, where the run is a lasso
 */
export const runMoves = (program: Program, moves: ReadonlyArray<Move>, cycle?: number): Run =>
  withoutRealWorld(() => {
    const rerun = new Rerun(program, cycle)
    const { steps, leftOut } = rerun
    for (const move of moves) {
      if (!rerun.execution.moves().includes(move)) {
        return { steps, leftOut, violations: [notTheSame(steps.length + 1)], preemptions: rerun.preemptions }
      }
      rerun.take(move)
    }
    return { steps, leftOut, violations: rerun.violations(), preemptions: rerun.preemptions }
  })

/** A run by plain re-execution, with its promises and data races followed on the way. */
export class Rerun {
  readonly execution: PlainExecution
  readonly steps: Array<ScheduledStep> = []
  readonly leftOut: Array<LeftOutStep> = []
  /** How often the schedule has turned away from a fiber that could go on. */
  preemptions = 0
  private mover: number | undefined
  private readonly promises: Promises
  private readonly order: HappensBefore
  private readonly cycle: number | undefined
  private lasso: Lasso | undefined
  /** The violations of the last step and of the state that it led to. */
  private last: ReadonlyArray<Violation>

  /** @param cycle the number of the steps before those that repeat for ever, where there are such */
  constructor(program: Program, cycle?: number) {
    this.execution = execute(program)
    this.promises = new Promises(this.execution)
    this.order = new HappensBefore(this.execution)
    this.cycle = cycle
    this.last = [...this.execution.begin(), ...this.promises.begin()]
    this.noteLeftOut()
    this.enterCycle()
  }

  /** Makes a possible move. */
  take(move: Move): void {
    const { execution, mover } = this
    this.mover = fiberOf(move)
    const turns = mover !== undefined && mover !== this.mover
    if (turns && execution.moves().some((other) => fiberOf(other) === mover)) this.preemptions++
    const races = this.order.step(move)
    const [step, found] = takeStep(execution, move)
    this.last = [...found, ...races, ...this.promises.step()]
    this.steps.push(step)
    this.noteLeftOut()
    this.lasso?.step(step.fiber)
    this.enterCycle()
  }

  /** The violations of the last step and its state, of the end where it is one, and of repeating the cycle for ever. */
  violations(): ReadonlyArray<Violation> {
    const { execution, promises } = this
    const atEnd = execution.moves().length === 0 ? [...execution.end(), ...promises.end()] : []
    return [...this.last, ...atEnd, ...(this.lasso?.violations() ?? [])]
  }

  /** Why the steps that are said to repeat for ever cannot, or would not in a fair run. */
  get fault(): string | undefined {
    return this.lasso?.fault
  }

  private noteLeftOut(): void {
    const after = this.steps.length
    for (const leftOut of this.execution.leftOut) this.leftOut.push({ ...leftOut, after })
  }

  private enterCycle(): void {
    if (this.steps.length === this.cycle) this.lasso = new Lasso(this.execution, this.promises, this.steps.length)
  }
}

/** Makes a move and says what it was. */
const takeStep = (execution: PlainExecution, move: Move): [ScheduledStep, ReadonlyArray<Violation>] => {
  const fiber = fiberOf(move)
  const operation = execution.operation(fiber)
  const name = execution.fibers[fiber]?.name
  if (operation === undefined || name === undefined) throw new Error(`move ${move} is not possible`)
  const choice = operation.kind === "choice" ? optionOf(move) : undefined
  const violations = execution.take(move)
  const { changed = false } = operation
  return [{ fiber: name, label: labelOf(operation), choice, result: execution.lastResult, changed }, violations]
}

/** How many times a schedule switches away from a fiber that could have gone on. */
export const countPreemptions = (program: Program, moves: ReadonlyArray<Move>): number =>
  runMoves(program, moves).preemptions
