/** What steps wait for, read and change: as a part of the explorations shows it, without monitors and properties. */
import * as Effect from "effect/Effect"
import { learnAnew } from "../mutation/learn.ts"
import type { Touches } from "../report/handbook/subject.ts"
import type { Program } from "../scenario/program.ts"
import { defaultSteps } from "./explore.ts"

/** The states of a scenario that are visited for this, */
export const statesSeen = 3_000
/** and how many more where they do not take each of its steps. */
const furtherStates = 100_000

/**
 * What the steps of programs touch, by their names.
 *
 * @param wantedIn the steps that a program is known to take
 */
export const touchesIn = Effect.fnUntraced(function* (
  programs: ReadonlyArray<Program>,
  wantedIn: (program: Program) => ReadonlyArray<string>,
) {
  const touches = new Map<string, MutableTouches>()
  const look = Effect.fnUntraced(function* (program: Program, maxStates: number) {
    const { steps } = yield* learnAnew(unwatched(program), { maxSteps: defaultSteps, maxStates })
    for (const [name, { footprints, awaits }] of steps) {
      const of = touches.get(name) ?? { by: new Set(), awaits: new Set(), reads: new Set(), changes: new Set() }
      touches.set(name, of)
      for (const cell of awaits) of.awaits.add(cell)
      for (const [fiber, { reads, changes }] of footprints) {
        of.by.add(fiber)
        for (const cell of reads) of.reads.add(cell)
        for (const cell of changes) of.changes.add(cell)
      }
    }
  })
  for (const program of programs.filter(({ inSteps }) => inSteps)) {
    yield* look(program, statesSeen)
    if (wantedIn(program).some((name) => !touches.has(name))) yield* look(program, furtherStates)
  }
  return touches as ReadonlyMap<string, Touches>
})

type MutableTouches = { readonly [what in keyof Touches]: Set<string> }

/** The program alone: a monitor touches cells within the steps that it watches. */
const unwatched = (program: Program): Program => ({
  ...program,
  start: () => ({ ...program.start(), monitors: [], properties: [] }),
})
