/** Exploring a program to learn of it. */
import * as Effect from "effect/Effect"
import type { Observer } from "../engine/operations.ts"
import { attempt } from "../engine/supervised.ts"
import type { Program } from "../scenario/program.ts"
import { SetupFailed } from "../scenario/program.ts"
import { letOthersRun } from "./explore.ts"
import { StatesSearch } from "./states.ts"
import type { Ending, SearchOptions } from "./strategy.ts"

/** States between two looks at whether somebody wants to stop. */
const slice = 5_000

/** Visits the states of a program and has an observer watch; `undefined` where it cannot be set up at its bound. */
export const observe = Effect.fnUntraced(function* (
  program: Program,
  observer: Observer,
  options: Pick<SearchOptions, "maxSteps" | "maxStates">,
) {
  const search = yield* Effect.catchIf(
    attempt(() => new StatesSearch(program, { ...options, seed: 1, observer })),
    (error) => error instanceof SetupFailed,
    () => Effect.succeed(undefined),
  )
  if (search === undefined) return undefined
  let ending: Ending | undefined
  while (ending === undefined) {
    ending = yield* attempt(() => search.advance(slice))
    yield* letOthersRun
  }
  return { search, ending }
})
