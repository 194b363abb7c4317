/** What a handbook says of a protocol, gathered: from its definition, from a run's document, and from replaying it. */
import * as Effect from "effect/Effect"
import { replay } from "../counterexample/replay.ts"
import { attempt } from "../engine/supervised.ts"
import { filesOf, type SourceFile, sourcesOf } from "../report/handbook/stepSources.ts"
import type { Hunted, ProtocolSubject } from "../report/handbook/subject.ts"
import type { MutationReport } from "../report/mutation.ts"
import type { Report, ScenarioReport } from "../report/report.ts"
import { noPaint, printable } from "../report/text.ts"
import { violationLines } from "../report/violation.ts"
import type { BugEntry, Protocol } from "../scenario/protocol.ts"
import { badInput } from "./errors.ts"
import { originsIn } from "./origins.ts"
import { actorsOf, cellsOf } from "./participants.ts"
import { checked } from "./select.ts"
import { touchesIn } from "./touches.ts"

/** The columns of a trace on a page. */
const traceWidth = 110

/**
 * Gathers what there is of a protocol. Fails where a counterexample of the document does not show what it says.
 *
 * @param looking told of each scenario before its steps are looked at
 */
export const subjectOf = Effect.fnUntraced(function* (
  protocol: Protocol,
  report: Report,
  mutation: MutationReport | undefined,
  sources: { readonly root: URL; readonly files: ReadonlyArray<SourceFile> } | undefined,
  looking: (scenario: string) => Effect.Effect<void>,
) {
  const order = new Map(protocol.scenarios.map(({ id }, position) => [id, position]))
  const own = report.scenarios
    .filter(({ id }) => order.has(id))
    .toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
  const explorations = own.filter(({ mutant }) => mutant === null)
  const hunts = yield* Effect.forEach(protocol.bugs, (bug) =>
    huntedOf(
      protocol,
      bug,
      own.find(({ mutant, id }) => mutant === bug.id && id === bug.scenario),
    ),
  )
  const explored = protocol.scenarios.filter(({ id }) => explorations.some((each) => each.id === id))
  const programs = yield* Effect.forEach(explored, (scenario) => checked(scenario, {}, undefined, badInput))
  const names = explorations.flatMap(({ steps }) => Object.keys(steps))
  const met = new Set<string>()
  const origins = yield* Effect.forEach(programs, (program) => {
    if (sources === undefined) return Effect.succeed([])
    const taken = explorations.filter(({ id }) => id === program.scenario).flatMap(({ steps }) => takenOf(steps))
    // What another scenario has shown need not be waited for.
    const wanted = taken.filter((name) => !met.has(name))
    return Effect.tap(
      attempt(() => originsIn(program, wanted, sources.root)),
      (made) => Effect.sync(() => made.forEach(({ name }) => void met.add(name))),
    )
  })
  return {
    protocol,
    explorations,
    hunts,
    actors: yield* attempt(() => actorsOf(programs)),
    cells: cellsOf(programs),
    mutated: mutation?.protocols.find((mutated) => mutated.protocol === protocol.id),
    operations: sourcesOf([...new Set(names)].sort(), origins.flat(), filesOf(protocol.id, sources?.files ?? [])),
    seen: yield* touchesIn(programs, looking),
  } satisfies ProtocolSubject
})

/** The names of the operations that an exploration took. */
const takenOf = (steps: ScenarioReport["steps"]): ReadonlyArray<string> =>
  Object.entries(steps).flatMap(([name, times]) => (times > 0 ? [name] : []))

const huntedOf = Effect.fnUntraced(function* (protocol: Protocol, bug: BugEntry, report: ScenarioReport | undefined) {
  if (report === undefined) return { bug } satisfies Hunted
  const { counterexample } = report
  const scenario = protocol.scenarios.find(({ id }) => id === bug.scenario)
  if (counterexample === undefined || scenario === undefined) return { bug, report } satisfies Hunted
  const bad = (why: string) =>
    badInput(`the counterexample of ${printable(bug.id)} in the document does not fit this version: ${why}`)
  const program = yield* checked(scenario, counterexample.bound, bug.id, bad)
  const replayed = yield* attempt(() => replay(program, counterexample))
  if (replayed.kind === "stale") {
    return yield* bad(`at step ${replayed.step} ${printable(replayed.expected)} is not what can be taken`)
  }
  if (replayed.kind === "healed") return yield* bad(printable(replayed.message))
  const { steps, leftOut, violation } = replayed
  const broken = {
    property: violation.property,
    message: violation.message,
    steps,
    leftOut,
    cycle: counterexample.cycle,
    fibers: program.start().fibers.map(({ name }) => name),
    mutant: bug.id,
  }
  return { bug, report, trace: violationLines(scenario, broken, traceWidth, noPaint) } satisfies Hunted
})
