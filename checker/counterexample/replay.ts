/**
 * Strict replay by plain re-execution: at every step the named fiber must offer the named label, and at the end the
 * recorded property must break. Where steps are recorded as repeating for ever, they must do so in a fair run.
 */
import type { PlainExecution } from "../engine/plainExecution.ts"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { type Move, moveOf } from "../engine/system.ts"
import { type LeftOutStep, Rerun, type ScheduledStep } from "../explore/schedule.ts"
import { labelOf } from "../program/operation.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import type { Counterexample } from "./schema.ts"

/** What came of a replay. */
export type Replayed =
  /** It behaves as recorded. */
  | {
      readonly kind: "reproduced"
      readonly steps: ReadonlyArray<ScheduledStep>
      readonly leftOut: ReadonlyArray<LeftOutStep>
      readonly moves: ReadonlyArray<Move>
      readonly preemptions: number
      readonly violation: Violation
      /** After how many of the steps the property was broken already, where the schedule goes on needlessly. */
      readonly brokenAfter: number | undefined
    }
  /** The schedule no longer fits the program: at `step` (counted from 1) something else was offered. */
  | {
      readonly kind: "stale"
      readonly step: number
      readonly expected: string
      readonly offered: string
    }
  /** The schedule fits, and the property does not break where it did. */
  | { readonly kind: "healed"; readonly steps: ReadonlyArray<ScheduledStep>; readonly message: string }

/** Replays a schedule. Throws what the scenario's setup throws. */
export const replay = (program: Program, file: Pick<Counterexample, "schedule" | "property" | "cycle">): Replayed =>
  withoutRealWorld(() => {
    const run = new Rerun(program, file.cycle)
    const { execution, steps, leftOut } = run
    const moves: Array<Move> = []
    const broken = () => run.violations().find(({ property }) => property === file.property)
    let brokenAfter: number | undefined
    for (const [position, expected] of file.schedule.entries()) {
      const fiber = execution.fibers.findIndex(({ name }) => name === expected.fiber)
      const move = moveOf(fiber, expected.choice ?? 0)
      const operation = fiber < 0 ? undefined : execution.operation(fiber)
      const fits =
        operation !== undefined &&
        labelOf(operation) === expected.label &&
        (operation.kind === "choice") === (expected.choice !== undefined) &&
        execution.moves().includes(move)
      if (!fits) {
        return {
          kind: "stale",
          step: position + 1,
          expected: `${expected.fiber} at ${expected.label}${expected.choice === undefined ? "" : `, option ${expected.choice}`}`,
          offered: offers(execution, expected.fiber),
        }
      }
      if (file.cycle === undefined && brokenAfter === undefined && broken() !== undefined) brokenAfter = position
      run.take(move)
      moves.push(move)
    }
    const violation = broken()
    const { preemptions } = run
    if (violation !== undefined) {
      return { kind: "reproduced", steps, leftOut, moves, preemptions, violation, brokenAfter }
    }
    return { kind: "healed", steps, message: run.fault ?? `after the ${steps.length} steps ${file.property} holds` }
  })

/** What the fiber could do instead, and what the others could. */
const offers = (execution: PlainExecution, name: string): string => {
  const moves = execution.moves()
  const described = execution.fibers.map((fiber, position) => {
    const operation = execution.operation(position)
    if (operation === undefined) return `${fiber.name} has ended`
    const options = operation.kind === "choice" ? `, one of ${operation.options.length} options` : ""
    const enabled = moves.some((move) => move === moveOf(position, 0))
    return `${fiber.name} ${enabled ? "at" : "waiting in"} ${labelOf(operation)}${options}`
  })
  const own = execution.fibers.findIndex((fiber) => fiber.name === name)
  if (own < 0) return `there is no fiber ${name}; ${described.join(", ")}`
  return described[own] ?? ""
}
