/** Explorations that answer a question: every state is visited, or there is no answer. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Program } from "../scenario/program.ts"
import { explore, type Result } from "./explore.ts"
import { states } from "./states.ts"
import type { SearchOptions, Strategy } from "./strategy.ts"

/** An exploration did not come to its end, or there is nothing of that name. */
export class Unanswered extends Data.TaggedError("Unanswered")<{ readonly message: string }> {}

/** How such an exploration is carried out: the command line shows how far it is, and keeps what it came to. */
export const CarriesOut = Context.Reference<
  (program: Program, strategy: Strategy, options: SearchOptions) => Effect.Effect<Result, { readonly message: string }>
>("shootdown/explore/CarriesOut", {
  defaultValue:
    () =>
    (...asked) =>
      explore(...asked),
})

/**
 * Explores a program by visiting its states, until they are exhausted or a property is violated. Fails with `Unanswered`
 * otherwise.
 *
 * @param target the property that is to break, if no other counts
 */
export const exploreToEnd = Effect.fnUntraced(function* (program: Program, target?: string) {
  const carryOut = yield* CarriesOut
  const options: SearchOptions = { maxSteps: 10_000, seed: 1, ...(target === undefined ? {} : { target }) }
  const result = yield* Effect.mapError(
    carryOut(program, states, options),
    ({ message }) => new Unanswered({ message }),
  )
  if (result.outcome !== "inconclusive") return result
  const why = result.reason ?? "unknown why"
  return yield* new Unanswered({ message: `${program.scenario} was not explored to its end: ${why}` })
})
