/** Compares schedules of the memoised engine with plain re-execution: for strategies that match no states. */
import { Execution } from "../engine/execution.ts"
import { notTheSame, Unsound } from "../engine/fault.ts"
import type { Move, System } from "../engine/system.ts"
import { Thinning } from "../engine/thinning.ts"
import { Promises } from "../property/promises.ts"
import type { Program } from "../scenario/program.ts"
import { decisive, type SearchOptions } from "./strategy.ts"

/** What a program does that means something else to the memoised engine than to plain re-execution. */
export const hidden =
  "some code of the program depends on more than the results of its steps, such as a variable that two fibers share"

/**
 * Takes a sample of the schedules of a search again, by plain re-execution: the property that breaks there and did not,
 * or the other state that it comes to, shows that the program breaks a rule that the memoised engine rests on. A sample,
 * so silence is no proof.
 */
export class SpotCheck {
  private readonly program: Program
  private readonly options: SearchOptions
  private readonly sample = new Thinning(24, 1.25)

  constructor(program: Program, options: SearchOptions) {
    this.program = program
    this.options = options
  }

  /**
   * Looks at the next schedule that has come to its end, and at which nothing broke, if it is one of the sample.
   *
   * @throws Unsound
   */
  look(system: System, path: ReadonlyArray<Move>): void {
    if (!this.sample.next()) return
    const { keepEnds = false, survey } = this.options
    const execution = new Execution(this.program, { keepEnds })
    const promises = new Promises(execution)
    const violations = [...execution.begin(), ...promises.begin()]
    for (const [position, move] of path.entries()) {
      if (!execution.moves().includes(move)) throw new Unsound(notTheSame(position + 1).message)
      violations.push(...execution.take(move), ...promises.step())
    }
    if (execution.moves().length > 0) throw new Unsound(notTheSame(path.length + 1).message)
    violations.push(...execution.end(), ...promises.end())
    const violation = survey === undefined ? decisive(violations, this.options) : undefined
    if (violation !== undefined) {
      throw new Unsound(
        `plain re-execution breaks ${violation.property} (${violation.message}) where the search found nothing: ${hidden}`,
      )
    }
    // Of a fiber that broke down on the way the two engines keep different things.
    if (execution.rest === "broken" && system.rest === "broken") return
    if (execution.low === system.low && execution.high === system.high) return
    throw new Unsound(`plain re-execution of a schedule comes to another state than the search: ${hidden}`)
  }
}
