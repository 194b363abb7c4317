/** A question that is put to a scenario of one of the designs, and its answer: what comes out when it is explored. */
import * as Effect from "effect/Effect"
import {
  type Bound,
  exploreToEnd,
  type Property,
  protocol,
  runMoves,
  type Scenario,
  type ScenarioEntry,
  type SeededBug,
  scenario,
  shrink,
  traceLines,
  Unanswered,
} from "../../../checker/index.ts"
import { type Bill, billOf, costsOf, type Tariff } from "./cost.ts"

/** What is asked of a scenario, at a bound. */
export interface Question {
  /** The scenario that shows it. */
  readonly scenario: string
  readonly bound: Bound
  /** A seeded bug that is documented behaviour, switched on. */
  readonly bug: string | undefined
  readonly asks: ReadonlyArray<Pick<Property<never>, "id" | "statement" | "source">>
  /** The scenario with that and nothing else to be judged, by its own name, and by another. */
  readonly asked: ScenarioEntry
  readonly named: (id: string) => ScenarioEntry
  /** The scenario with a bill for each complete run; the names of its steps are known by then. */
  readonly billed: (steps: Iterable<string>, paid: (bill: Bill) => void) => ScenarioEntry
}

/** What comes out. */
export type Answer =
  /** In every state within the bound; how often the situation arose that it is about. */
  | { readonly kind: "holds"; readonly times: number }
  /** Never within the bound is there the situation that it is about. */
  | { readonly kind: "never arises"; readonly property: string }
  | {
      readonly kind: "violated"
      readonly property: string
      readonly message: string
      /** The run that shows it, made as simple as could be at that bound, and how it prints. */
      readonly steps: number
      readonly preemptions: number
      readonly trace: ReadonlyArray<string>
    }

const traceWidth = 100

/**
 * Asks a scenario something.
 *
 * @param asks properties of the scenario by their ids, or others
 */
export const question = <World>(definition: {
  readonly scenario: Scenario<World>
  readonly bugs: ReadonlyArray<SeededBug<World>>
  readonly bound: Bound
  readonly bug?: string
  readonly asks: ReadonlyArray<string | Property<World>>
  readonly tariff: Tariff
  /** Whether somebody has direct access, which can be revoked. */
  readonly held: (world: World) => boolean
  readonly now?: (world: World) => number
}): Question => {
  const { scenario: shows, bugs, bound, tariff, held, now = () => 0 } = definition
  const asks = definition.asks.map((asked) => {
    if (typeof asked !== "string") return asked
    const found = shows.properties.find(({ id }) => id === asked)
    if (found === undefined) throw new RangeError(`${shows.id} has no property ${asked}`)
    return found
  })
  return {
    scenario: shows.id,
    bound,
    bug: definition.bug,
    asks,
    asked: entryOf({ ...shows, properties: asks }, bugs),
    named: (id) => entryOf({ ...shows, id, properties: asks }, bugs),
    billed: (steps, paid) =>
      entryOf(
        scenario({
          ...shows,
          setup: (at) => {
            const { world, monitors = [], ...setup } = shows.setup(at)
            const { bill, monitor } = billOf(
              tariff,
              steps,
              () => held(world),
              () => now(world),
            )
            return { ...setup, world: { ...world, bill }, monitors: [...monitors, monitor] }
          },
          properties: [
            {
              kind: "atEnd",
              id: "BILL",
              statement: "Every complete run has its bill.",
              source: "what a design costs",
              holds: ({ bill }) => {
                paid({ ...bill })
                return true
              },
            },
          ],
        }),
        bugs,
      ),
  }
}

const entryOf = <World>(shown: Scenario<World>, bugs: ReadonlyArray<SeededBug<World>>): ScenarioEntry => {
  const [entry] = protocol({ id: shown.id, title: shown.summary, scenarios: [shown], bugs }).scenarios
  if (entry === undefined) throw new RangeError(`${shown.id} is no scenario`)
  return entry
}

const exploreAll = Effect.fnUntraced(function* (entry: ScenarioEntry, bound: Bound, bug: string | undefined) {
  const program = entry.program(bound, bug)
  return { program, result: yield* exploreToEnd(program) }
})

/**
 * Explores the scenario, asked that, to its end.
 *
 * @returns also the names of the steps that were met
 * Fails with `Unanswered` where it does not come to an end, or breaks without a schedule that shows it.
 */
export const answer = Effect.fnUntraced(function* ({ asked, bound, bug, asks }: Question) {
  const { program, result } = yield* exploreAll(asked, bound, bug)
  const steps = [...result.steps.keys()]
  if (result.outcome === "holds") {
    const { exercised } = result
    const times = asks.map(({ id }) => exercised.find((each) => each.id === id)?.times ?? 0)
    const never = asks[times.indexOf(0)]
    const held: Answer =
      never === undefined ? { kind: "holds", times: Math.min(...times) } : { kind: "never arises", property: never.id }
    return { answer: held, steps }
  }
  const { violation, moves, cycle } = result
  if (violation === undefined || moves === undefined) {
    return yield* new Unanswered({ message: `${asked.id} breaks, and no schedule shows it: ${violation?.message}` })
  }
  const shown = shrink(atBound(asked, bound), program, violation.property, moves, cycle)
  const run = runMoves(shown.program, shown.moves, shown.cycle)
  const broken: Answer = {
    kind: "violated",
    property: violation.property,
    message: run.violations.find(({ property }) => property === violation.property)?.message ?? violation.message,
    steps: shown.moves.length,
    preemptions: shown.preemptions,
    trace: traceLines(run.steps, traceWidth, { cycle: shown.cycle }),
  }
  return { answer: broken, steps }
})

/** A scenario that has no smaller bound: what is shown is to be shown there. */
const atBound = (entry: ScenarioEntry, bound: Bound): ScenarioEntry => ({
  ...entry,
  parameters: Object.fromEntries(
    Object.entries(entry.parameters).map(([name, parameter]) => [
      name,
      { ...parameter, min: bound[name] ?? parameter.min },
    ]),
  ),
})

/** What all complete runs of the question's scenario cost. Fails as `answer` does. */
export const costsIn = Effect.fnUntraced(function* ({ billed, bound, bug }: Question, steps: Iterable<string>) {
  const bills = new Map<string, Bill>()
  const entry = billed(steps, (bill) => bills.set(JSON.stringify(bill), bill))
  const { result } = yield* exploreAll(entry, bound, bug)
  if (result.outcome === "holds") return costsOf(bills.values())
  return yield* new Unanswered({ message: `${entry.id} has no complete runs only: ${result.violation?.message}` })
})
