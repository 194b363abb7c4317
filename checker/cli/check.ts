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
import { boundText, boundTexts, count, figure, odds, printable, seconds, wrap } from "../report/text.ts"
import { sizeLines, violationLines } from "../report/violation.ts"
import { type BugEntry, propertiesOf, type Registry } from "../scenario/protocol.ts"
import { type BadInput, badInput, type ExitStatus, exitStatus } from "./errors.ts"
import { defaultSteps, sizeOf, worse } from "./explore.ts"
import { carryOut, type Explored, missedText, type Task } from "./exploring.ts"
import { Output } from "./output.ts"
import { SavedDirectory } from "./place.ts"
import { sourceOf } from "./programSource.ts"
import { readAll, replayLine, replayOne, type Saved, savedFiles } from "./replay.ts"
import { checked, scenariosOf, unknownScenario } from "./select.ts"
import { inSession, Session } from "./session.ts"

const options: SearchOptions = { maxSteps: defaultSteps, seed: 1 }

interface Hunt {
  readonly bug: BugEntry
  readonly task: Task
}

/** Runs the bare command. */
export const checkCommand = (registry: Registry, flags: CheckFlags & { readonly json: string | undefined }) =>
  inSession(flags.json, checkAll(registry, flags))

interface CheckFlags {
  readonly save: boolean
  readonly workers: number
  /** In bytes. */
  readonly memory: number | undefined
}

/**
 * Checks everything in a registry, and prints it; what it comes to is in the session then.
 *
 * @param isOwn which of the saved counterexamples are the registry's, by the names of their files
 */
export const checkAll = Effect.fnUntraced(function* (
  registry: Registry,
  flags: CheckFlags,
  isOwn: (file: string) => boolean = () => true,
) {
  const session = yield* Session
  const output = yield* Output
  const { paint } = output
  const started = yield* Clock.currentTimeMillis
  const tasks = yield* scenarioTasks(registry, flags)
  // A file that cannot be read is better known now than after a minute of exploring; one about to be saved, later.
  const readSaved = Effect.flatMap(savedFiles(), (files) => readAll(files.filter(isOwn), registry))
  const early = flags.save ? undefined : yield* readSaved
  const hunts = yield* huntsOf(registry, flags, early ?? [])
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
    `${of(holding.good, tasks.length)} ${tasks.length === 1 ? "scenario holds" : "scenarios hold"}`,
    `${figure(hunted.good)} of ${count(hunts.length, "seeded bug")} found`,
    `${of(replayed.good, replayed.all)} ${replayed.all === 1 ? "counterexample" : "counterexamples"} replayed`,
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
      const task: Task = { scenario, program, strategy: states, options, budget: {}, resources }
      return task
    }),
  )

/**
 * A hunt for each seeded bug, in its own scenario at its own bound.
 *
 * @param saved the counterexamples that there are
 */
const huntsOf = (registry: Registry, { memory }: Means, saved: ReadonlyArray<Saved>) =>
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
        const source = yield* sourceOf(program, undefined)
        const task: Task = {
          saved,
          scenario,
          program,
          strategy: states,
          options: { ...options, target: bug.breaks },
          budget: {},
          resources: { workers: 1, memory: new MemoryGuard(memory), ...(source === undefined ? {} : { source }) },
        }
        return { bug, task } satisfies Hunt
      }),
  )

/** A part of the report: rows that are printed in their order, whatever the order in which they come. */
interface Section<A> {
  readonly titles: ReadonlyArray<string>
  /** Carried out as soon as a task has come to something. */
  readonly note: (explored: Explored) => Effect.Effect<void, BadInput, A>
  readonly row: (explored: Explored, position: number) => Effect.Effect<void, never, Output>
}

/** A task of a section, and what it comes to. */
interface Job<A> {
  readonly section: Section<A>
  readonly task: Task
  explored: Explored | undefined
}

/**
 * Carries out everything. Where there are more tasks than workers, each of them explores one task after the other in a
 * thread of its own, for most are too short to be shared; this thread shrinks, prints and hears signals.
 */
const carryOutAll = Effect.fnUntraced(function* <A, B>(
  tasks: ReadonlyArray<Task>,
  hunts: ReadonlyArray<Hunt>,
  workers: number,
  scenarioRows: Section<A>,
  huntRows: Section<B>,
) {
  const session = yield* Session
  const scenarioJobs = tasks.map((task): Job<A> => ({ section: scenarioRows, task, explored: undefined }))
  const huntJobs = hunts.map(({ task }): Job<B> => ({ section: huntRows, task, explored: undefined }))
  const jobs: ReadonlyArray<Job<A | B>> = [...scenarioJobs, ...huntJobs]
  const canPart = workers > 1 && jobs.length > workers && jobs.every(({ task }) => task.resources?.source !== undefined)
  const printScenarios = yield* printerOf(scenarioRows, scenarioJobs)
  const printHunts = yield* printerOf(huntRows, huntJobs)
  const printing = yield* Semaphore.make(1)
  const printRows = printing.withPermits(1)(
    Effect.gen(function* () {
      if (yield* printScenarios(false)) yield* printHunts(false)
    }),
  )
  const queue = [...jobs]
  const lane = Effect.gen(function* () {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      job.explored = yield* carryOut(canPart ? apart(job.task) : job.task)
      yield* job.section.note(job.explored)
      yield* printRows
    }
  })
  yield* printRows
  const lanes = Array.from({ length: canPart ? workers : 1 }, () => lane)
  yield* Effect.all(lanes, { concurrency: "unbounded", discard: true }).pipe(
    // What has come, and stood behind something that has not.
    Effect.onInterrupt(() => Effect.andThen(printScenarios(true), printHunts(true))),
  )
  const order = new Map(jobs.map(({ task }, position) => [idOf(task.program), position]))
  session.scenarios.sort((a, b) => (order.get(idOf(a)) ?? 0) - (order.get(idOf(b)) ?? 0))
})

/** The task as another thread carries it out. */
const apart = (task: Task): Task => {
  const source = task.resources?.source
  return source === undefined ? task : { ...task, elsewhere: source }
}

const idOf = (of: { readonly id: string; readonly mutant: string | null } | Task["program"]): string =>
  "id" in of ? `${of.id} ${of.mutant ?? ""}` : `${of.scenario} ${of.mutant ?? ""}`

/**
 * Prints, each time it is performed, what of a section has come, up to the first that has not, or all of it. Says whether
 * that is the whole section.
 */
const printerOf = Effect.fnUntraced(function* <A>(section: Section<A>, jobs: ReadonlyArray<Job<A>>) {
  const { print } = yield* Output
  const left = [...jobs.entries()]
  let begun = false
  return Effect.fnUntraced(function* (all: boolean) {
    for (let at = 0; at < left.length && (all || at === 0); ) {
      const [position, { explored }] = left[at] as (typeof left)[number] // within the length
      if (explored === undefined) {
        at++
        continue
      }
      left.splice(at, 1)
      if (!begun) yield* print(section.titles)
      begun = true
      yield* section.row(explored, position)
    }
    return left.length === 0
  })
})

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
  const note = () => Effect.void
  return { tally, titles: titles(columns, tableWidth).map(paint.faint), note, row: rowOf }
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
    leftOut: finding?.leftOut,
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
  const rowOf = Effect.fnUntraced(function* (explored: Explored, position: number) {
    const bug = hunts[position]?.bug
    if (bug === undefined) return
    const { result, finding } = explored
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
      tally.trouble.push("", `seeded bug ${bug.id} was missed: ${missedText(bug, explored)}`)
      tally.status = exitStatus.broken
    }
  })
  const note = Effect.fnUntraced(function* ({ finding }: Explored) {
    if (!saving || finding === undefined) return
    yield* Effect.mapError(save(yield* SavedDirectory, finding.counterexample), ({ message }) =>
      badInput(`the counterexample cannot be saved: ${printable(message)}`),
    )
  })
  return { tally, titles: ["", ...titles(columns, tableWidth).map(paint.faint)], note, row: rowOf }
})

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
