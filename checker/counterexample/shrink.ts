/**
 * Shrinks what breaks to the few steps that matter: first the scenario's bound, then the number of preemptive switches,
 * then the number of steps. Deterministic. Where the program is small enough to search, the result is a simplest run at
 * the smallest bound; where it is not, what delta debugging makes of the run that was found.
 */

import * as Effect from "effect/Effect"
import { execute } from "../engine/plainExecution.ts"
import { withoutRealWorld } from "../engine/realWorld.ts"
import { attempt, stretchTime } from "../engine/supervised.ts"
import { type Move, optionOf } from "../engine/system.ts"
import { letOthersRun } from "../explore/explore.ts"
import { livenessSearch } from "../explore/liveness.ts"
import { countPreemptions, runMoves } from "../explore/schedule.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import type { Program } from "../scenario/program.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import type { Bound } from "../scenario/scenario.ts"
import { shorten } from "./shorten.ts"
import { simplestRun } from "./simplest.ts"

/** How many pairs of a state and a fiber are looked at for each bound. */
const limit = 400_000

/** How many runs, where a program without steps is executed again for each of them. */
const executionLimit = 20_000

/** How many steps of a search of infinite runs to take between two pauses. */
const slice = 5_000

/** How many smaller bounds are tried. */
const boundLimit = 200

/** A failing run, made as simple as could be. */
export interface Shrunk {
  readonly program: Program
  readonly moves: ReadonlyArray<Move>
  /** Where it is a lasso: the position of the first of the moves that repeat for ever. */
  readonly cycle: number | undefined
  readonly preemptions: number
  /** False when the limits ended the search for something simpler. */
  readonly minimal: boolean
}

/**
 * Finds the simplest run that breaks the same property as the given one. Of a promise it is the shortest that the search
 * of infinite runs finds, which need not be the shortest there is.
 *
 * @param cycle where the run is a lasso: the position of the first of the moves that repeat for ever
 */
export const shrink = (
  scenario: ScenarioEntry,
  program: Program,
  property: string,
  moves: ReadonlyArray<Move>,
  cycle?: number,
): Shrunk => {
  const shrinking = shrinkInSlices(scenario, program, property, moves, cycle)
  for (;;) {
    const { done, value } = withoutRealWorld(() => shrinking.next())
    if (done) return value
  }
}

/**
 * As `shrink`, letting others run from time to time: it may take seconds.
 *
 * @param onProgress done from time to time
 */
export const shrinkEffect = Effect.fnUntraced(function* (
  args: Parameters<typeof shrink>,
  onProgress: Effect.Effect<void>,
) {
  const shrinking = shrinkInSlices(...args)
  for (;;) {
    yield* onProgress
    const { done, value } = yield* attempt(() => {
      const until = performance.now() + stretchTime
      for (;;) {
        const next = shrinking.next()
        if (next.done || performance.now() >= until) return next
      }
    })
    if (done) return value
    yield* letOthersRun
  }
})

function* shrinkInSlices(
  scenario: ScenarioEntry,
  program: Program,
  property: string,
  moves: ReadonlyArray<Move>,
  cycle: number | undefined,
): Generator<void, Shrunk> {
  const { properties } = program.start()
  if (properties.some(({ id, kind }) => id === property && kind === "leadsTo")) {
    return yield* shrinkBroken(scenario, program, property, moves, cycle)
  }
  const { steps } = runMoves(program, moves)
  const schedule = moves.map((move, position) => ({ fiber: steps[position]?.fiber ?? "", option: optionOf(move) }))
  let minimal = true
  for (const smaller of programsUpTo(scenario, program)) {
    let decided = true
    for (const first of beginningsOf(smaller)) {
      const simplest = yield* simplestRun(smaller, property, smaller.inSteps ? limit : executionLimit, first)
      if (simplest.kind === "found") return { program: smaller, ...simplest, cycle: undefined, minimal }
      if (simplest.kind === "tooLarge") decided = minimal = false
    }
    if (decided) continue
    const shortened = yield* shorten(smaller, property, schedule)
    if (shortened !== undefined) return { program: smaller, ...shortened, cycle: undefined, minimal }
  }
  return { program, moves, cycle: undefined, preemptions: countPreemptions(program, moves), minimal: false }
}

/**
 * The moves with which a simplest run is looked for, the better ones first: what an Effect program can do in today's runtime
 * is better than what is only simpler.
 */
const beginningsOf = (program: Program): ReadonlyArray<Move | undefined> =>
  program.inSteps ? [undefined] : execute(program).moves()

/** Shrinks a run that breaks a promise. */
function* shrinkBroken(
  scenario: ScenarioEntry,
  program: Program,
  property: string,
  moves: ReadonlyArray<Move>,
  cycle: number | undefined,
): Generator<void, Shrunk> {
  const options: SearchOptions = { maxSteps: limit, seed: 1, target: property }
  for (const smaller of programsUpTo(scenario, program)) {
    const search = livenessSearch(smaller, options, limit)
    let ending = search?.advance(slice)
    for (; search !== undefined && ending === undefined; ending = search.advance(slice)) yield
    if (ending?.kind !== "violated") continue
    const preemptions = countPreemptions(smaller, ending.moves)
    return { program: smaller, moves: ending.moves, cycle: ending.cycle, preemptions, minimal: false }
  }
  return { program, moves, cycle, preemptions: countPreemptions(program, moves), minimal: false }
}

/** The program at each bound that exceeds its own nowhere, as far as it can be set up there. */
function* programsUpTo(scenario: ScenarioEntry, { bound, mutant }: Program): Generator<Program> {
  for (const smaller of boundsUpTo(scenario, bound)) {
    const program = scenario.program(smaller, mutant)
    if (starts(program)) yield program
  }
}

/** Whether the scenario can be set up at this bound. */
const starts = (program: Program): boolean => {
  try {
    program.start()
    return true
  } catch {
    return false
  }
}

/** The bounds that exceed the given one nowhere, smallest sum first; at most `boundLimit` of them, and itself. */
function* boundsUpTo(scenario: ScenarioEntry, bound: Bound): Generator<Bound> {
  const parameters = Object.entries(scenario.parameters).map(([name, { min }]) => ({
    name,
    min,
    spare: (bound[name] ?? min) - min,
  }))
  const most = parameters.reduce((sum, { spare }) => sum + spare, 0)
  let count = 0
  for (let excess = 0; excess <= most; excess++) {
    for (const candidate of distribute(parameters, excess)) {
      if (scenario.requires(candidate) !== undefined) continue
      if (++count > boundLimit) return yield bound
      yield candidate
    }
  }
}

/** All ways to give out the excess over the parameters' minima. */
function* distribute(
  [first, ...rest]: ReadonlyArray<{ readonly name: string; readonly min: number; readonly spare: number }>,
  excess: number,
): Generator<Bound> {
  if (first === undefined) {
    if (excess === 0) yield {}
    return
  }
  for (let own = 0; own <= Math.min(first.spare, excess); own++) {
    for (const others of distribute(rest, excess - own)) yield { [first.name]: first.min + own, ...others }
  }
}
