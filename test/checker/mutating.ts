/** Mutants of small programs, judged. */
import * as Effect from "effect/Effect"
import {
  type Cell,
  type ExploreMutant,
  exploreHere,
  guardedStep,
  type MutationBudget,
  MutationRun,
  type Parameters,
  type Property,
  protocol,
  type Scenario,
  type Setup,
  type Survivors,
  scenario,
  step,
} from "../../checker/index.ts"

interface More {
  readonly survivors?: Survivors
  readonly steps?: ReadonlyArray<string>
  readonly environment?: ReadonlyArray<string>
  readonly parameters?: Parameters
  readonly budget?: Partial<MutationBudget> | undefined
  readonly exploreMutant?: ExploreMutant<Effect.Error<ReturnType<typeof exploreHere>>, never>
}

/** As if no property killed any, so that whatever can be proved is. */
export const killsNothing: ExploreMutant<never, never> = () =>
  Effect.succeed({
    outcome: "holds",
    violation: undefined,
    reason: undefined,
    statistics: { states: 1, executions: 0, blocked: 0, transitions: 0, maxDepth: 0 },
  })

/** What becomes of all mutants of a program. */
export const mutate = async <World>(
  setup: (bound: { readonly [name: string]: number }) => Setup<World>,
  properties: ReadonlyArray<Property<World>> = [],
  { parameters = {}, budget, ...more }: More = {},
) => {
  const only = scenario<World, Parameters>({ id: "test", summary: "a test", parameters, setup, properties })
  return mutateAll([only], { budget, ...more })
}

/** What becomes of all mutants of scenarios. */
export const mutateAll = async <World>(
  scenarios: ReadonlyArray<Scenario<World>>,
  { budget, exploreMutant = exploreHere, ...more }: Omit<More, "parameters"> = {},
) => {
  const run = new MutationRun(protocol({ id: "test", title: "a test", scenarios, ...more }))
  const report = await Effect.runPromise(run.carryOut({ maxSteps: 500, maxStates: 10_000, ...budget }, exploreMutant))
  const verdicts = Object.fromEntries(
    report.mutants.map(({ id, verdict, property, reason }) => [id, [verdict, property ?? reason].join(" ").trim()]),
  )
  return { ...report, verdicts }
}

/** Takes a lock, which says who holds it. */
export const lock = (held: Cell<string>, name: string) =>
  guardedStep(
    "lock",
    [],
    () => held.value === "",
    () => {
      held.value = name
    },
    { on: "lock", kind: "lock", sleeps: false, hindrances: () => [] },
  )

export const unlock = (held: Cell<string>) =>
  step("unlock", () => {
    held.value = ""
  })
