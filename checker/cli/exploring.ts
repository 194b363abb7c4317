/** One exploration, from the program to what there is to report: explored, shrunk, and put into words and data. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import {
  type Progress as CampaignProgress,
  type CampaignResult,
  campaign,
  type Resources,
} from "../campaign/campaign.ts"
import { elsewhere } from "../campaign/elsewhere.ts"
import { MemoryGuard } from "../campaign/memory.ts"
import type { Source } from "../campaign/source.ts"
import { type Finding, findingOf, type How, shownBy } from "../counterexample/finding.ts"
import type { Replayed } from "../counterexample/replay.ts"
import type { Counterexample } from "../counterexample/schema.ts"
import { shrinkEffect } from "../counterexample/shrink.ts"
import { attempt } from "../engine/supervised.ts"
import { type Budget, explore, type Result } from "../explore/explore.ts"
import { emptyStatistics, type SearchOptions, type Statistics, type Strategy } from "../explore/strategy.ts"
import { missedStateOdds } from "../explore/visited.ts"
import { addTimes, gapsIn } from "../property/coverage.ts"
import { builtIn } from "../property/violation.ts"
import type { ScenarioReport } from "../report/report.ts"
import { printable } from "../report/text.ts"
import type { Program } from "../scenario/program.ts"
import type { BugEntry, ScenarioEntry } from "../scenario/protocol.ts"
import { type BadInput, badInput } from "./errors.ts"
import { Output } from "./output.ts"
import { Progress, type Standing } from "./progress.ts"
import { type Exploring, Session, type Shrinking, statusOf } from "./session.ts"
import { suggestion } from "./suggest.ts"

/** What to explore, and how. */
export interface Task {
  readonly scenario: ScenarioEntry
  readonly program: Program
  readonly strategy: Strategy
  readonly options: SearchOptions
  readonly budget: Budget
  /** Where several threads can explore, and stop and go on another day: with what. */
  readonly resources?: Resources<BadInput, FileSystem.FileSystem>
  /**
   * The counterexamples that are saved already. Where one of this scenario and seeded bug still shows what is found, it is
   * what there is to report: nothing is shrunk once more.
   */
  readonly saved?: ReadonlyArray<{
    readonly program: Program
    readonly counterexample: Counterexample
    readonly replayed: () => Replayed
  }>
  /** Where another thread gets the program from that is to carry out all of it. */
  readonly elsewhere?: Source
}

/** What of it is explored. */
type Exploration = Omit<Task, "scenario" | "saved">

export interface Explored {
  readonly task: Task
  readonly result: Result
  /** Where a property broke and a schedule shows it. */
  readonly finding: Finding | undefined
  /** The entry in the document; already there. */
  readonly report: ScenarioReport
}

/** Why an exploration that hunted a seeded bug did not find it, as a sentence goes on behind a colon. */
export const missedText = ({ breaks }: BugEntry, { task: { scenario }, result }: Explored): string => {
  const known = [...scenario.properties.map(({ id }) => id), ...Object.values(builtIn)]
  if (!known.includes(breaks)) return `${scenario.id} has no property ${breaks}${suggestion(breaks, known, "")}`
  if (result.outcome === "holds") return `${breaks} did not break in ${scenario.id}`
  return `${result.outcome}, ${result.violation?.message ?? result.reason ?? "for no known reason"}`
}

/** How a status line calls a task. */
export const taskName = ({ program: { scenario, mutant } }: Pick<Task, "program">): string =>
  printable(mutant === undefined ? scenario : `${scenario} with ${mutant}`)

/**
 * Carries out a task, with its status line, and notes what it comes to.
 *
 * @param checkpoint how the user calls the file that the exploration can be taken up from, if there is one
 */
export const carryOut = Effect.fnUntraced(function* (task: Task, checkpoint?: string) {
  const session = yield* Session
  const { result, status } = yield* watched(task, checkpoint)
  const finding = (yield* savedFinding(task, result)) ?? (yield* shrunkFinding(task, result, status))
  const report = reportOf(task, result, finding)
  session.scenarios.push(report)
  return { task, result, finding, report } satisfies Explored
})

/** Explores for a comparison, with a status line, and notes the run among those that are cited. What is found is not shrunk. */
export const exploreCited = Effect.fnUntraced(function* (program: Program, strategy: Strategy, options: SearchOptions) {
  const session = yield* Session
  const exploration = { program, strategy, options, budget: {} }
  const { result } = yield* watched(exploration, undefined, true)
  session.cited.push({ ...coveredBy(exploration, result), ...outcomeOf(result, undefined) })
  return result
})

/** Explores, and keeps the status line and the session at what is going on. */
const watched = Effect.fnUntraced(function* (task: Exploration, checkpoint: string | undefined, isCited = false) {
  const session = yield* Session
  const output = yield* Output
  const { milliseconds } = task.budget
  const what = taskName(task)
  const progress = new Progress(what, emptyStatistics(), milliseconds === undefined ? undefined : milliseconds / 1000)
  const current: Exploring = {
    phase: "exploring",
    isCited,
    what,
    line: () => progress.line,
    shortLine: () => progress.shortLine,
    checkpoint,
    statistics: emptyStatistics(),
    seconds: 0,
    soFar: (statistics, seconds) => ({
      ...figures(task, statistics, seconds, [], new Map()),
      outcome: "inconclusive",
      reason: "interrupted",
    }),
  }
  session.underWay.add(current)
  const status = output.status(() => statusOf(session))
  yield* status
  const result = yield* resultOf(task, (statistics, seconds, standing) => {
    current.statistics = statistics
    current.seconds = seconds
    progress.note(statistics, seconds, standing)
    return status
  })
  session.underWay.delete(current)
  return { result, status }
})

const how = ({ strategy, options }: Exploration): How => ({ strategy: strategy.name, seed: options.seed })

const resultOf = (
  { program, strategy, options, budget, resources, elsewhere: source }: Exploration,
  onProgress: (statistics: Statistics, seconds: number, standing: Standing) => Effect.Effect<void>,
) =>
  resources === undefined
    ? Effect.mapError(explore(program, strategy, options, budget, onProgress), (error) =>
        error._tag === "Unfit" ? badInput(printable(error.message, 400)) : error,
      )
    : Effect.suspend(() => {
        const told = ({ statistics, seconds, ...standing }: CampaignProgress) =>
          onProgress(statistics, seconds, standing)
        if (source === undefined) return campaign(program, options, resources, budget, told)
        const { memory = new MemoryGuard() } = resources
        return Effect.scoped(elsewhere({ source, options, budget, memory, onProgress: told }))
      }).pipe(
        Effect.catchTag("WorkersFailed", ({ message }) =>
          Effect.fail(
            badInput(`the worker threads cannot explore ${printable(program.scenario)}: ${printable(message)}`),
          ),
        ),
      )

/** A saved counterexample that still shows what was found. */
const savedFinding = Effect.fnUntraced(function* (task: Task, { violation, moves }: Result) {
  if (violation === undefined || moves === undefined) return undefined
  const { scenario, mutant } = task.program
  for (const { program, counterexample, replayed: run } of task.saved ?? []) {
    const { property, cycle } = counterexample
    if (program.scenario !== scenario || program.mutant !== mutant || property !== violation.property) continue
    const replayed = yield* attempt(run)
    if (replayed.kind === "reproduced") return shownBy(how(task), replayed, { program, cycle, minimal: false })
  }
  return undefined
})

/** What was found, as simple as it can be made. */
const shrunkFinding = Effect.fnUntraced(function* (task: Task, result: Result, status: Effect.Effect<void>) {
  const { violation, moves, cycle, statistics } = result
  if (violation === undefined || moves === undefined) return undefined
  const session = yield* Session
  const { property } = violation
  const found = findingOf(how(task), property, { program: task.program, moves, cycle, minimal: false })
  const what = taskName(task)
  const shrinking: Shrinking = {
    phase: "shrinking",
    what,
    line: () => `${what}: shrinking`,
    shortLine: () => `${what}: shrinking`,
    violation,
    statistics,
    report: reportOf(task, result, found),
  }
  session.underWay.add(shrinking)
  const shrunk = yield* shrinkEffect([task.scenario, task.program, property, moves, cycle], status)
  session.underWay.delete(shrinking)
  // Fibers that share a variable can make the memoised engine, which shrinks, find runs that do not exist. The run
  // that the search found is confirmed already.
  return findingOf(how(task), property, shrunk) ?? found
})

const figures = (
  { program, strategy, options }: Exploration,
  { states, executions, blocked, transitions, maxDepth }: Statistics,
  seconds: number,
  exercised: Result["exercised"],
  steps: Result["steps"],
) => ({
  id: program.scenario,
  strategy: strategy.name,
  ...(strategy.exhaustive ? {} : { seed: options.seed }),
  bound: program.bound,
  mutant: program.mutant ?? null,
  states,
  executions,
  blocked,
  transitions,
  maxDepth,
  seconds,
  missedStateOdds: missedStateOdds(states),
  exercised: totals(exercised),
  steps: Object.fromEntries(steps),
})

/** Times by id: two properties of one id count together. */
const totals = (exercised: Result["exercised"]): Readonly<Record<string, number>> => {
  const total = new Map<string, number>()
  for (const { id, times } of exercised) addTimes(total, id, times)
  return Object.fromEntries(total)
}

const coveredBy = (task: Exploration, { statistics, graphStates, seconds, exercised, steps }: Result) => ({
  ...figures(task, statistics, seconds, exercised, steps),
  missedStateOdds: missedStateOdds(statistics.states) + missedStateOdds(graphStates),
})

const reportOf = (task: Task, result: Result | CampaignResult, finding: Finding | undefined): ScenarioReport => {
  const covered = coveredBy(task, result)
  const gaps = result.outcome === "holds" ? gapsIn(task.scenario.properties, [covered]) : {}
  return { ...covered, ...gaps, ...outcomeOf(result, finding) }
}

const outcomeOf = (result: Result | CampaignResult, finding: Finding | undefined) => ({
  ...("workers" in result ? { workers: result.workers, peakMemory: result.peakMemory } : {}),
  outcome: result.outcome,
  ...(result.within === undefined ? {} : { within: result.within }),
  ...(result.decidedBy === undefined ? {} : { decidedBy: result.decidedBy }),
  ...(result.reason === undefined ? {} : { reason: result.reason }),
  ...(result.violation === undefined
    ? {}
    : {
        property: result.violation.property,
        message: finding?.counterexample.message ?? result.violation.message,
      }),
  ...(finding === undefined ? {} : { counterexample: finding.counterexample, preemptions: finding.preemptions }),
})
