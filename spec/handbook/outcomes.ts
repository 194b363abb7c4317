/** What comes out of explorations, in words: the cells of comparisons. Every one visits every state within its bound. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import {
  type Bound,
  explore,
  type Program,
  type Protocol,
  protocolOf,
  type SearchOptions,
  type Setup,
  scenario,
  strategies,
} from "../../checker/index.ts"

/** An exploration did not come to its end, or there is nothing of that name. */
export class Unanswered extends Data.TaggedError("Unanswered")<{ readonly message: string }> {}

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }

const figure = (value: number): string => value.toLocaleString("en-US")

const explored = Effect.fnUntraced(function* (program: Program) {
  const states = strategies.find(({ name }) => name === "states")
  if (states === undefined) return yield* new Unanswered({ message: "there is no strategy that visits states" })
  const target = program.breaks === undefined ? {} : { target: program.breaks }
  const result = yield* Effect.mapError(
    explore(program, states, { ...options, ...target }),
    ({ message }) => new Unanswered({ message }),
  )
  if (result.outcome !== "inconclusive") return result
  return yield* new Unanswered({ message: `${program.scenario} was not explored to its end: ${result.reason}` })
})

const scenarioIn = (protocol: Protocol, id: string) => {
  const found = protocol.scenarios.find((each) => each.id === id)
  return found === undefined
    ? Effect.fail(new Unanswered({ message: `${protocol.id} has no scenario ${id}` }))
    : Effect.succeed(found)
}

/**
 * What comes of a scenario.
 *
 * @param of the properties that the cell is about: how often each was put to the test is said too
 */
export const comesOut = Effect.fnUntraced(function* (
  protocol: Protocol,
  id: string,
  bound: Bound = {},
  of: ReadonlyArray<string> = [],
) {
  const entry = yield* scenarioIn(protocol, id)
  const { violation, statistics, exercised } = yield* explored(entry.program(bound))
  if (violation !== undefined) return [`${id}: violated, ${violation.property}: ${violation.message}`]
  const tested = of.map((property) => {
    const times = exercised.filter((each) => each.id === property).reduce((sum, { times }) => sum + times, 0)
    return `${property} holds in ${figure(times)} states in which it says something`
  })
  return [`${id}: holds in all ${figure(statistics.states)} states`, ...tested]
})

/** What comes of a seeded bug, in its scenario and at its bound. */
export const breaks = Effect.fnUntraced(function* (protocol: Protocol, id: string) {
  const bug = protocol.bugs.find((each) => each.id === id)
  if (bug === undefined) return yield* new Unanswered({ message: `${protocol.id} has no seeded bug ${id}` })
  const entry = yield* scenarioIn(protocol, bug.scenario)
  const { violation, statistics } = yield* explored(entry.program(bug.bound ?? {}, bug.id))
  return violation === undefined
    ? [`with ${id}: holds in all ${figure(statistics.states)} states`]
    : [`with ${id}: violated, ${violation.property}: ${violation.message}`]
})

/**
 * In which ways the runs of a program end, each once.
 *
 * @param say an end in words, or nothing where it is none that matters
 */
export const endings = Effect.fnUntraced(function* <World>(
  setup: () => Setup<World>,
  say: (world: World) => string | undefined,
) {
  const seen = new Set<string>()
  const [entry] = protocolOf(
    scenario({
      id: "endings",
      summary: "collects what runs come to",
      setup,
      properties: [
        {
          kind: "atEnd",
          id: "END",
          statement: "The run has ended.",
          source: "nothing is asked",
          holds: (world) => {
            const said = say(world)
            if (said !== undefined) seen.add(said)
            return true
          },
        },
      ],
    }),
  ).scenarios
  if (entry === undefined) return yield* new Unanswered({ message: "there is no scenario" })
  const { violation } = yield* explored(entry.program())
  if (violation !== undefined) return yield* new Unanswered({ message: violation.message })
  return [...seen].sort()
})
