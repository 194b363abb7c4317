/**
 * Shrinks what breaks to the few steps that matter: first the scenario's bound, then the number of preemptive switches,
 * then the number of steps. Deterministic. Where the program is small enough to search, the result is a simplest run at
 * the smallest bound; where it is not, what delta debugging makes of the run that was found.
 */

import * as Effect from "effect/Effect"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { fiberOf, type Move, optionOf } from "../engine/system.ts"
import { letOthersRun } from "../explore/explore.ts"
import { countPreemptions } from "../explore/schedule.ts"
import type { Program } from "../scenario/program.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import type { Bound } from "../scenario/scenario.ts"
import { shorten } from "./shorten.ts"
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
): Shrunk => {
  const shrinking = shrinkInSlices(scenario, program, property, moves)
  for (;;) {
    const { done, value } = withoutRealWorld(() => shrinking.next())
    if (done) return value
  }
}

/** As `shrink`, letting others run from time to time: it may take seconds. */
export const shrinkEffect = Effect.fnUntraced(function* (...args: Parameters<typeof shrink>) {
  const shrinking = shrinkInSlices(...args)
  for (;;) {
    const { done, value } = withoutRealWorld(() => shrinking.next())
    if (done) return value
    yield* letOthersRun
  }
})

function* shrinkInSlices(
  scenario: ScenarioEntry,
  program: Program,
  property: string,
  moves: ReadonlyArray<Move>,
): Generator<void, Shrunk> {
  const names = program.start().fibers.map(({ name }) => name)
  const schedule = moves.map((move) => ({ fiber: names[fiberOf(move)] ?? "", option: optionOf(move) }))
  let minimal = true
  for (const bound of boundsUpTo(scenario, program.bound)) {
    const smaller = scenario.program(bound, program.mutant)
    const simplest = yield* simplestRun(smaller, property, limit)
    if (simplest.kind === "found") return { program: smaller, ...simplest, minimal }
    if (simplest.kind === "none") continue
    minimal = false
    const shortened = yield* shorten(smaller, property, schedule)
    if (shortened !== undefined) return { program: smaller, ...shortened, minimal }
  }
  return { program, moves, preemptions: countPreemptions(program, moves), minimal: false }
}

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
  return bounds.filter((candidate) => scenario.requires(candidate) === undefined).toSorted((a, b) => sum(a) - sum(b))
}
