/** The bare command: every scenario, every seeded bug, every saved counterexample. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { MemoryGuard } from "../campaign/memory.ts"
import { save } from "../counterexample/files.ts"
import { states } from "../explore/states.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { gapsIn } from "../property/coverage.ts"
import type { ProtocolGaps } from "../report/report.ts"
import { type Column, column, row, titles } from "../report/table.ts"
import { boundText, boundTexts, figure, odds, printable, seconds, wrap } from "../report/text.ts"
import { sizeLines, violationLines } from "../report/violation.ts"
import type { BugEntry, Registry } from "../scenario/protocol.ts"
import { badInput, type ExitStatus, exitStatus } from "./errors.ts"
import { defaultSteps, sizeOf, worse } from "./explore.ts"
import { carryOut, type Explored, type Task } from "./exploring.ts"
import { propertiesOf } from "./list.ts"
import { Output } from "./output.ts"
import { SavedDirectory } from "./place.ts"
import { sourceOf } from "./programSource.ts"
import { readAll, replayLine, replayOne, savedFiles } from "./replay.ts"
import { checked, scenariosOf, unknownScenario } from "./select.ts"
import { inSession, Session } from "./session.ts"

const options: SearchOptions = { maxSteps: defaultSteps, seed: 1 }

interface Hunt {
  readonly bug: BugEntry
  readonly task: Task
}

/** Runs the bare command. */
export const checkCommand = Effect.fnUntraced(function* (
  registry: Registry,
  flags: {
    readonly save: boolean
    readonly json: string | undefined
    readonly workers: number
    /** In bytes. */
    readonly memory: number | undefined
  },
) {
  const work = Effect.gen(function* () {
    const session = yield* Session
    const output = yield* Output
    const { paint } = output
    const started = yield* Clock.currentTimeMillis
    const tasks = yield* scenarioTasks(registry, flags)
    const hunts = yield* huntsOf(registry, flags)
    // A file that cannot be read is better known now than after a minute of exploring; one about to be saved, later.
    const readSaved = Effect.flatMap(savedFiles(), (files) => readAll(files, registry))
    const early = flags.save ? undefined : yield* readSaved
    session.planned = tasks.length + hunts.length
    session.replays = []

    const holding = yield* exploreScenarios(tasks)
    const hunted = yield* huntBugs(hunts, flags.save)
    const replayed = yield* replayAll(early ?? (yield* readSaved))

    const elapsed = ((yield* Clock.currentTimeMillis) - started) / 1000
    const missed = session.scenarios.reduce((sum, { missedStateOdds }) => sum + missedStateOdds, 0)
    const gaps = gapsOf(registry, session)
    session.gaps = gaps
    const covered = { status: gaps.length === 0 ? exitStatus.well : exitStatus.broken }
    const status = [holding, hunted, replayed, covered].map((part) => part.status).reduce(worse)
    const verdict = [
      `${of(holding.good, tasks.length)} scenarios hold`,
      `${figure(hunted.good)} of ${figure(hunts.length)} seeded bugs found`,
      `${of(replayed.good, replayed.all)} counterexamples replayed`,
      ...(gaps.length === 0 ? [] : [`gaps in ${gaps.map(({ protocol }) => protocol).join(", ")}`]),
    ].join(", ")
    yield* output.print([
      ...holding.trouble,
      ...hunted.trouble,
      "",
      ...gaps.flatMap(gapSentences).flatMap((text) => wrap(text, output.width).map(paint.bad)),
      `The odds that a state was missed are at most ${odds(missed)} over all scenarios together.`,
      (status === exitStatus.well ? paint.good : paint.bad)(`${verdict}: ${seconds(elapsed)}`),
    ])
    return status
  })
  return yield* inSession(flags.json, work)
})

const of = (good: number, all: number): string => (good === all ? figure(good) : `${figure(good)} of ${figure(all)}`)

/** What bounds a check. */
interface Means {
  readonly workers: number
  readonly memory: number | undefined
}

const scenarioTasks = (registry: Registry, { workers, memory }: Means) =>
  Effect.forEach(scenariosOf(registry), (scenario) =>
    Effect.gen(function* () {
      const program = yield* checked(scenario, {}, undefined, badInput)
      const source = yield* sourceOf(program, undefined)
      const resources = { workers, memory: new MemoryGuard(memory), ...(source === undefined ? {} : { source }) }
      return { scenario, program, strategy: states, options, budget: {}, resources } satisfies Task
    }),
  )

/** A hunt for each seeded bug, in its own scenario at its own bound. */
const huntsOf = (registry: Registry, { memory }: Means) =>
  Effect.forEach(
    registry.flatMap((protocol) => protocol.bugs.map((bug) => ({ protocol, bug }))),
    ({ protocol, bug }) =>
      Effect.gen(function* () {
        const scenario = protocol.scenarios.find(({ id }) => id === bug.scenario)
        if (scenario === undefined) {
          return yield* badInput(`mutant ${bug.id}: ${unknownScenario(bug.scenario, protocol.scenarios)}`)
        }
        const program = yield* checked(scenario, bug.bound ?? {}, bug.id, (message) =>
          badInput(`mutant ${bug.id}: ${message}`),
        )
        const task: Task = {
          scenario,
          program,
          strategy: states,
          options: { ...options, target: bug.breaks },
          budget: {},
          resources: { workers: 1, memory: new MemoryGuard(memory) },
        }
        return { bug, task } satisfies Hunt
      }),
  )

const exploreScenarios = Effect.fnUntraced(function* (tasks: ReadonlyArray<Task>) {
  const { paint, print, tableWidth } = yield* Output
  const columns: ReadonlyArray<Column> = [
    column(
      "scenario",
      tasks.map(({ program }) => program.scenario),
    ),
    column(
      "strategy",
      tasks.map(({ strategy }) => strategy.name),
    ),
    column("states", ["1,000,000"], "right"),
    column("transitions", [], "right"),
    column("outcome", ["inconclusive"]),
    column("time", ["100.0 s"], "right"),
    column(
      "bound",
      tasks.map(({ program }) => boundText(program.bound)),
    ),
  ]
  let status: ExitStatus = exitStatus.well
  let good = 0
  const trouble: Array<string> = []
  if (tasks.length > 0) yield* print(titles(columns, tableWidth).map(paint.faint))
  for (const task of tasks) {
    const explored = yield* carryOut(task)
    const { outcome, statistics } = explored.result
    const cells = [
      task.program.scenario,
      task.strategy.name,
      figure(statistics.states),
      figure(statistics.transitions),
      outcome,
      seconds(explored.result.seconds),
      boundText(task.program.bound),
    ]
    const colour = outcome === "holds" ? paint.good : outcome === "violated" ? paint.bad : paint.warn
    yield* print(row(columns, cells, tableWidth, (cell, position) => (position === 4 ? colour(cell) : cell)))
    if (outcome === "holds") good++
    else trouble.push(...(yield* troubleOf(explored)))
    if (outcome !== "holds")
      status = worse(status, outcome === "violated" ? exitStatus.broken : exitStatus.inconclusive)
  }
  return { status, good, trouble }
})

/** A scenario that does not hold, in full. */
const troubleOf = Effect.fnUntraced(function* ({ task, result, report, finding }: Explored) {
  const { paint, width } = yield* Output
  const { violation, reason } = result
  const head = ["", [paint.strong(task.program.scenario), ...boundTexts(report.bound)].join("  ")]
  if (violation === undefined) return [...head, ...wrap(`inconclusive: ${reason}`, width)]
  const broken = {
    property: violation.property,
    message: report.message ?? "",
    steps: finding?.steps,
    cycle: finding?.cycle,
    fibers: finding?.fibers ?? [],
    mutant: task.program.mutant,
  }
  return [
    ...head,
    "",
    ...violationLines(task.scenario, broken, width, paint),
    ...(finding === undefined ? [] : ["", ...sizeLines(sizeOf(finding, task), width)]),
  ]
})

const huntBugs = Effect.fnUntraced(function* (hunts: ReadonlyArray<Hunt>, saving: boolean) {
  const { paint, print, tableWidth } = yield* Output
  const columns: ReadonlyArray<Column> = [
    column(
      "seeded bug",
      hunts.map(({ bug }) => bug.id),
    ),
    column("", ["found", "MISSED"]),
    column("after", ["1,000,000 states"], "right"),
    column("steps", ["100"], "right"),
    column("preemptions", [], "right"),
    column("time", ["100.0 s"], "right"),
    column(
      "breaks",
      hunts.map(({ bug }) => bug.breaks),
    ),
  ]
  let good = 0
  const trouble: Array<string> = []
  if (hunts.length > 0) yield* print(["", ...titles(columns, tableWidth).map(paint.faint)])
  for (const { bug, task } of hunts) {
    const { result, finding } = yield* carryOut(task)
    const found = result.violation?.property === bug.breaks
    const cells = [
      bug.id,
      found ? "found" : "MISSED",
      `${figure(result.statistics.states)} states`,
      finding === undefined ? "-" : figure(finding.steps.length),
      finding === undefined ? "-" : figure(finding.preemptions),
      seconds(result.seconds),
      bug.breaks,
    ]
    const colour = found ? paint.good : paint.bad
    yield* print(row(columns, cells, tableWidth, (cell, position) => (position === 1 ? colour(cell) : cell)))
    if (found) good++
    else
      trouble.push(
        "",
        `seeded bug ${bug.id} was missed: ${missedText(bug, result.outcome, result.violation?.message ?? result.reason)}`,
      )
    if (saving && finding !== undefined) {
      yield* Effect.mapError(save(yield* SavedDirectory, finding.counterexample), ({ message }) =>
        badInput(`the counterexample cannot be saved: ${printable(message)}`),
      )
    }
  }
  return { status: good === hunts.length ? exitStatus.well : exitStatus.broken, good, trouble }
})

const missedText = ({ breaks, scenario }: BugEntry, outcome: string, why: string | undefined): string =>
  outcome === "holds" ? `${breaks} did not break in ${scenario}` : `${outcome}, ${why ?? "for no known reason"}`

const replayAll = Effect.fnUntraced(function* (saved: Effect.Success<ReturnType<typeof readAll>>) {
  const { print } = yield* Output
  let good = 0
  if (saved.length > 0) yield* print([""])
  for (const each of saved) {
    const { report } = yield* replayOne(each)
    yield* print([yield* replayLine(report)])
    if (report.outcome === "reproduced") good++
  }
  return { status: good === saved.length ? exitStatus.well : exitStatus.broken, good, all: saved.length, trouble: [] }
})

/** What all scenarios of a protocol together leave out, for each protocol of which all of them hold. */
const gapsOf = (registry: Registry, { scenarios }: Session["Service"]): ReadonlyArray<ProtocolGaps> =>
  registry.flatMap((protocol) => {
    const own = new Set(protocol.scenarios.map(({ id }) => id))
    const explored = scenarios.filter(({ id, mutant }) => mutant === null && own.has(id))
    if (explored.some(({ outcome }) => outcome !== "holds")) return []
    const gaps = gapsIn(propertiesOf(protocol), explored)
    const none = gaps.neverExercised.length + gaps.neverTaken.length === 0
    return none ? [] : [{ protocol: protocol.id, ...gaps }]
  })

const gapSentences = ({ protocol, neverExercised, neverTaken }: ProtocolGaps): ReadonlyArray<string> => {
  const sentence = (what: string, names: ReadonlyArray<string>, why: string) =>
    names.length === 0
      ? []
      : [`${what} in any scenario of ${protocol}: ${names.map((name) => printable(name)).join(", ")}. ${why}`]
  return [
    ...sentence("Never exercised", neverExercised, "That it holds says nothing: its premise was never true."),
    ...sentence("Never taken", neverTaken, "What such a step does was not checked, or its name is mistaken."),
  ]
}
