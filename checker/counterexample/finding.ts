/** A violation, as a schedule shows it: what reports print and what is saved. */
import { type LeftOutStep, runMoves, type ScheduledStep } from "../explore/schedule.ts"
import type { Violation } from "../property/violation.ts"
import { tool } from "../report/tool.ts"
import type { Program } from "../scenario/program.ts"
import { type Counterexample, formatVersion } from "./schema.ts"
import type { Shrunk } from "./shrink.ts"

/** A violation as one schedule shows it, after shrinking. */
export interface Finding {
  readonly steps: ReadonlyArray<ScheduledStep>
  readonly leftOut: ReadonlyArray<LeftOutStep>
  /** How many of the steps come before those that repeat for ever, where they do. */
  readonly cycle: number | undefined
  readonly preemptions: number
  /** False when the limits of shrinking ended the search for something simpler. */
  readonly minimal: boolean
  /** The names of the program's fibers. */
  readonly fibers: ReadonlyArray<string>
  readonly counterexample: Counterexample
}

/** How a violation was found. */
export interface How {
  readonly strategy: string
  readonly seed: number
}

/** The finding, if plain re-execution of the moves breaks the property. */
export const findingOf = (
  how: How,
  property: string,
  { program, moves, cycle, minimal }: Omit<Shrunk, "preemptions">,
): Finding | undefined => {
  const { steps, leftOut, violations, preemptions } = runMoves(program, moves, cycle)
  const violation = violations.find((other) => other.property === property)
  if (violation === undefined || steps.length < moves.length) return undefined
  return shownBy(how, { steps, leftOut, preemptions, violation }, { program, cycle, minimal })
}

/** A run by plain re-execution that breaks a property. */
interface Breaking {
  readonly steps: ReadonlyArray<ScheduledStep>
  readonly leftOut: ReadonlyArray<LeftOutStep>
  readonly preemptions: number
  readonly violation: Violation
}

/** The finding that a run shows. */
export const shownBy = (
  how: How,
  { steps, leftOut, preemptions, violation }: Breaking,
  { program, cycle, minimal }: Pick<Shrunk, "program" | "cycle" | "minimal">,
): Finding => ({
  steps,
  leftOut,
  cycle,
  preemptions,
  minimal,
  fibers: fibersIn(program, steps),
  counterexample: {
    formatVersion,
    scenario: program.scenario,
    bound: program.bound,
    ...(program.mutant === undefined ? {} : { mutant: program.mutant }),
    ...how,
    property: violation.property,
    message: violation.message,
    schedule: steps.map(({ fiber, label, choice }) => ({
      fiber,
      label,
      ...(choice === undefined ? {} : { choice }),
    })),
    ...(cycle === undefined ? {} : { cycle }),
    tool,
  },
})

/** The names of the fibers that were there from the start; of a program without steps, of those that came too. */
export const fibersIn = (program: Program, steps: ReadonlyArray<ScheduledStep>): ReadonlyArray<string> => {
  const first = program.start().fibers.map(({ name }) => name)
  return program.inSteps ? first : [...new Set([...first, ...steps.map(({ fiber }) => fiber)])]
}
