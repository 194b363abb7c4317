/** What comes out of explorations, in words: the cells of comparisons. Every one visits every state within its bound. */
import * as Effect from "effect/Effect"
import {
  type Bound,
  boundText,
  exploreToEnd,
  type Program,
  type Protocol,
  protocolOf,
  type Result,
  type Scenario,
  scenario,
  Unanswered,
} from "../../checker/index.ts"

const figure = (value: number): string => value.toLocaleString("en-US")

/** What was explored, in words: `` `scenario` with `bug` at bound=1 ``. */
export const askedInWords = (id: string, bound: Bound, bug?: string): string => {
  const at = boundText(bound)
  return [`\`${id}\``, ...(bug === undefined ? [] : [`with \`${bug}\``]), ...(at === "" ? [] : [`at ${at}`])].join(" ")
}

const nameOf = ({ scenario, bound, mutant }: Program): string => askedInWords(scenario, bound, mutant)

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
  const program = entry.program(bound)
  const { violation, statistics, exercised } = yield* exploreToEnd(program)
  if (violation !== undefined) return [`${nameOf(program)}: violated, \`${violation.property}\`: ${violation.message}`]
  const tested = of.map((property) => testedIn(exercised, property))
  return [`${nameOf(program)}: holds in all ${figure(statistics.states)} states`, ...tested]
})

/**
 * What comes of a seeded bug at its bound.
 *
 * @param elsewhere another scenario, and the property that is asked there: the bug may break others, which do not count
 */
export const breaks = Effect.fnUntraced(function* (
  protocol: Protocol,
  id: string,
  elsewhere?: { readonly scenario: string; readonly property: string },
) {
  const bug = protocol.bugs.find((each) => each.id === id)
  if (bug === undefined) return yield* new Unanswered({ message: `${protocol.id} has no seeded bug ${id}` })
  const { scenario, property } = elsewhere ?? { scenario: bug.scenario, property: bug.breaks }
  const entry = yield* scenarioIn(protocol, scenario)
  const program = entry.program(bug.bound ?? {}, bug.id)
  const { violation, exercised } = yield* exploreToEnd(program, property)
  if (violation !== undefined) return [`${nameOf(program)}: violated, \`${violation.property}\`: ${violation.message}`]
  return [`${nameOf(program)}: holds, ${testedIn(exercised, property)}`]
})

/** How often a property was put to the test. */
const testedIn = (exercised: Result["exercised"], property: string): string => {
  const times = exercised.filter(({ id }) => id === property).reduce((sum, { times }) => sum + times, 0)
  return `\`${property}\` in ${figure(times)} states in which it says something`
}

/**
 * In which ways the runs of a scenario end, each once, where its properties hold.
 *
 * @param say an end in words, or nothing where it is none that matters
 */
export const endings = Effect.fnUntraced(function* <World>(
  shows: Scenario<World>,
  bound: Bound,
  say: (world: World) => string | undefined,
) {
  const seen = new Set<string>()
  const [entry] = protocolOf(
    scenario({
      ...shows,
      properties: [
        ...shows.properties,
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
  const program = entry.program(bound)
  const { violation, statistics } = yield* exploreToEnd(program)
  if (violation !== undefined) return yield* new Unanswered({ message: violation.message })
  return {
    holds: `${nameOf(program)}: holds in all ${figure(statistics.states)} states`,
    ends: [...seen].sort(),
  }
})
