/**
 * Shrinks what breaks to the few steps that matter: first the scenario's bound, then the number of preemptive switches,
 * then the number of steps. Deterministic, and not a heuristic: within its limits the result is a simplest run at the
 * smallest bound.
 */
import { withoutRealWorld } from "../engine/realWorld.ts"
import type { Move } from "../engine/system.ts"
import { countPreemptions } from "../explore/schedule.ts"
import type { Program } from "../scenario/program.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import type { Bound } from "../scenario/scenario.ts"
import { simplestRun } from "./simplest.ts"

/** How many pairs of a state and a fiber are looked at for each bound. */
const limit = 400_000

export interface Shrunk {
  readonly program: Program
  readonly moves: ReadonlyArray<Move>
  readonly preemptions: number
  /** False when the limits ended the search for something simpler. */
  readonly minimal: boolean
}

/** Finds the simplest run that breaks the same property as the given one. */
export const shrink = (
  scenario: ScenarioEntry,
  program: Program,
  property: string,
  moves: ReadonlyArray<Move>,
): Shrunk =>
  withoutRealWorld(() => {
    let minimal = true
    for (const bound of boundsUpTo(scenario, program.bound)) {
      const smaller = scenario.program(bound, program.mutant)
      const simplest = simplestRun(smaller, property, limit)
      if (simplest.kind === "found") return { program: smaller, ...simplest, minimal }
      if (simplest.kind === "tooLarge") minimal = false
    }
    return { program, moves, preemptions: countPreemptions(program, moves), minimal: false }
  })

/** All bounds that exceed the given one nowhere: smallest sum first, then by the parameters in their order. */
const boundsUpTo = (scenario: ScenarioEntry, bound: Bound): ReadonlyArray<Bound> => {
  const names = Object.keys(scenario.parameters)
  let bounds: ReadonlyArray<Bound> = [{}]
  for (const name of names) {
    const min = scenario.parameters[name]?.min ?? 0
    const values = Array.from({ length: (bound[name] ?? min) - min + 1 }, (_, i) => min + i)
    bounds = bounds.flatMap((partial) => values.map((value) => ({ ...partial, [name]: value })))
  }
  const sum = (of: Bound) => Object.values(of).reduce((total, value) => total + value, 0)
  return bounds.toSorted((a, b) => sum(a) - sum(b))
}
