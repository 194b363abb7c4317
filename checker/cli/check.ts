/** The bare command: every scenario, every seeded bug, every saved counterexample. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
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
import { type BadInput, badInput, type ExitStatus, exitStatus } from "./errors.ts"
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

    const scenarioRows = yield* scenarioSection(tasks)
    const huntRows = yield* huntSection(hunts, flags.save)
    yield* carryOutAll(tasks, hunts, flags.workers, scenarioRows, huntRows)
    const [holding, hunted] = [scenarioRows.tally, huntRows.tally]
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

/** A part of the report: rows that are printed in their order, whatever the order in which they come. */
interface Section<A> {
  readonly titles: ReadonlyArray<string>
  readonly length: number
  readonly row: (explored: Explored, position: number) => Effect.Effect<void, BadInput, A>
}

/**
 * Carries out everything. With several workers this thread hunts, then helps with the scenarios, while each of the
 * others explores one scenario after the other by itself: most are too short to be shared.
 */
const carryOutAll = Effect.fnUntraced(function* <A, B>(
  tasks: ReadonlyArray<Task>,
  hunts: ReadonlyArray<Hunt>,
  workers: number,
  scenarioRows: Section<A>,
  huntRows: Section<B>,
) {
  const { print } = yield* Output
  const session = yield* Session
  const scenarios = [...tasks.entries()]
  const hunted = hunts.map(({ task }, position) => [position, task] as const)
  const explored: Array<Explored | undefined> = tasks.map(() => undefined)
  const found: Array<Explored | undefined> = hunts.map(() => undefined)
  // One scenario or two are explored sooner by all the workers together.
  const canPart = tasks.length > workers && tasks.every(({ resources }) => resources?.source !== undefined)
  const lanes = canPart ? workers : 1
  const next = (here: boolean) => {
    const scenario = () => take(scenarios, explored)
    const hunt = () => (here ? take(hunted, found) : undefined)
    return lanes === 1 ? (scenario() ?? hunt()) : (hunt() ?? scenario())
  }
  const printing = yield* Semaphore.make(1)
  const printRows = printing.withPermits(1)(
    Effect.gen(function* () {
      if (yield* scenarioPrinter) yield* huntPrinter
    }),
  )
  const scenarioPrinter = inOrder(scenarioRows, explored, print)
  const huntPrinter = inOrder(huntRows, found, print)
  const lane = Effect.fnUntraced(function* (here: boolean) {
    for (let job = next(here); job !== undefined; job = next(here)) {
      const { resources } = job.task
      const own =
        lanes > 1 && resources !== undefined ? { ...job.task, resources: { ...resources, workers: 1 } } : job.task
      job.note(yield* carryOut(here ? own : { ...own, resources: { workers: 1, ...own.resources, elsewhere: true } }))
      yield* printRows
    }
  })
  yield* printRows
  const others = Array.from({ length: lanes - 1 }, () => lane(false))
  yield* Effect.all([lane(true), ...others], { concurrency: "unbounded", discard: true })
  const order = new Map(
    [...tasks, ...hunts.map(({ task }) => task)].map((task, position) => [idOf(task.program), position]),
  )
  session.scenarios.sort((a, b) => (order.get(idOf(a)) ?? 0) - (order.get(idOf(b)) ?? 0))
})

const idOf = (of: { readonly id: string; readonly mutant: string | null } | Task["program"]): string =>
  "id" in of ? `${of.id} ${of.mutant ?? ""}` : `${of.scenario} ${of.mutant ?? ""}`

/** Takes the next task off a queue, with the place for what it comes to. */
const take = (queue: Array<readonly [number, Task]>, results: Array<Explored | undefined>) => {
  const first = queue.shift()
  if (first === undefined) return undefined
  const [position, task] = first
  const note = (explored: Explored) => {
    results[position] = explored
  }
  return { task, note }
}

/** Prints, each time it is performed, what of a section has come; whether that is all of it. */
const inOrder = <A>(
  { titles, length, row }: Section<A>,
  results: ReadonlyArray<Explored | undefined>,
  print: Output["Service"]["print"],
) => {
  let printed = 0
  let begun = false
  return Effect.gen(function* () {
    if (!begun && length > 0) yield* print(titles)
    begun = true
    for (let result = results[printed]; result !== undefined; result = results[printed]) {
      yield* row(result, printed++)
    }
    return printed === length
  })
}

const scenarioSection = Effect.fnUntraced(function* (tasks: ReadonlyArray<Task>) {
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
  const tally: Tally = { status: exitStatus.well, good: 0, trouble: [] }
  const rowOf = Effect.fnUntraced(function* (explored: Explored) {
    const { program, strategy } = explored.task
    const { outcome, statistics } = explored.result
    const cells = [
      program.scenario,
      strategy.name,
      figure(statistics.states),
      figure(statistics.transitions),
      outcome,
      seconds(explored.result.seconds),
      boundText(program.bound),
    ]
    const colour = outcome === "holds" ? paint.good : outcome === "violated" ? paint.bad : paint.warn
    yield* print(row(columns, cells, tableWidth, (cell, position) => (position === 4 ? colour(cell) : cell)))
    if (outcome === "holds") {
      tally.good++
      return
    }
    tally.trouble.push(...(yield* troubleOf(explored)))
    tally.status = worse(tally.status, outcome === "violated" ? exitStatus.broken : exitStatus.inconclusive)
  })
  return { tally, titles: titles(columns, tableWidth).map(paint.faint), length: tasks.length, row: rowOf }
})

/** What a part of the check comes to; grows while it runs. */
interface Tally {
  status: ExitStatus
  good: number
  readonly trouble: Array<string>
}

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

const huntSection = Effect.fnUntraced(function* (hunts: ReadonlyArray<Hunt>, saving: boolean) {
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
  const tally: Tally = { status: exitStatus.well, good: 0, trouble: [] }
  const rowOf = Effect.fnUntraced(function* ({ result, finding }: Explored, position: number) {
    const bug = hunts[position]?.bug
    if (bug === undefined) return
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
    yield* print(row(columns, cells, tableWidth, (cell, at) => (at === 1 ? colour(cell) : cell)))
    if (found) tally.good++
    else {
      const why = missedText(bug, result.outcome, result.violation?.message ?? result.reason)
      tally.trouble.push("", `seeded bug ${bug.id} was missed: ${why}`)
      tally.status = exitStatus.broken
    }
    if (saving && finding !== undefined) {
      yield* Effect.mapError(save(yield* SavedDirectory, finding.counterexample), ({ message }) =>
        badInput(`the counterexample cannot be saved: ${printable(message)}`),
      )
    }
  })
  return { tally, titles: ["", ...titles(columns, tableWidth).map(paint.faint)], length: hunts.length, row: rowOf }
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
