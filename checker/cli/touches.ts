/** What steps read and write: as a part of the explorations shows it, without monitors and properties. */
import * as Effect from "effect/Effect"
import type { Observer } from "../engine/operations.ts"
import { observe } from "../explore/observe.ts"
import type { Seen, Touches } from "../report/handbook/subject.ts"
import type { Program } from "../scenario/program.ts"
import { defaultSteps } from "./explore.ts"

/** The most states of a program that are visited for this. */
const maxStates = 100_000

/**
 * What the steps of programs touch, by their names: of those that were taken.
 *
 * @param looking told of each program's scenario before its states are visited
 */
export const touchesIn = Effect.fnUntraced(function* (
  programs: ReadonlyArray<Program>,
  looking: (scenario: string) => Effect.Effect<void> = () => Effect.void,
) {
  const touches = new Map<string, MutableTouches>()
  const of = (name: string): MutableTouches => {
    const known = touches.get(name) ?? { by: new Set(), guards: new Set(), reads: new Set(), writes: new Set() }
    touches.set(name, known)
    return known
  }
  const observer: Observer = {
    outcome: ({ operation, fiber }, read, { cells: written }) => {
      if (operation?.kind !== "step") return
      const { by, reads, writes } = of(operation.name)
      by.add(fiber.name)
      for (const { name } of read) reads.add(name)
      for (const { name } of written) writes.add(name)
    },
    guard: ({ operation }, read) => {
      if (operation?.kind !== "step") return
      const { guards } = of(operation.name)
      for (const { name } of read) guards.add(name)
    },
  }
  for (const program of programs.filter(({ inSteps }) => inSteps)) {
    yield* looking(program.scenario)
    yield* observe(unwatched(program), observer, { maxSteps: defaultSteps, maxStates })
  }
  return { states: maxStates, touches: new Map([...touches].filter(([, { by }]) => by.size > 0)) } satisfies Seen
})

type MutableTouches = { readonly [what in keyof Touches]: Set<string> }

/** The program alone: a monitor touches cells within the steps that it watches. Names that could change places keep theirs. */
const unwatched = (program: Program): Program => ({
  ...program,
  start: () => ({ ...program.start(), monitors: [], properties: [], interchangeable: [] }),
})
