/** `explore`: the scenarios that are named, one after the other. */
import * as Effect from "effect/Effect"
import { readHeader } from "../campaign/checkpoint.ts"
import { save } from "../counterexample/files.ts"
import type { Finding } from "../counterexample/finding.ts"
import type { Result } from "../explore/explore.ts"
import { states } from "../explore/states.ts"
import { defaultStrategy, strategies, takers, unfit } from "../explore/strategies.ts"
import { type SearchOptions, type Strategy, type StrategyOption, strategyOptions } from "../explore/strategy.ts"
import type { ScenarioReport } from "../report/report.ts"
import { boundText, boundTexts, count, indent, odds, printable, seconds, withinText, wrap } from "../report/text.ts"
import { sizeLines, violationLines } from "../report/violation.ts"
import type { BugEntry, Registry } from "../scenario/protocol.ts"
import { BadUsage, badInput, type ExitStatus, exitStatus } from "./errors.ts"
import { carryOut, type Explored, missedText, type Task } from "./exploring.ts"
import { figuresText, resumeHint } from "./figures.ts"
import { Output } from "./output.ts"
import { resolvePath, shownPath } from "./place.ts"
import { agreeing, type ResourceFlags, type Resumed, resourcesOf } from "./resources.ts"
import { bugsOf, parseSettings, programAt, type Selected, select, unknownMutant } from "./select.ts"
import { inSession, Session } from "./session.ts"
import { isProgramFile } from "./userProgram.ts"

/** The longest execution of a scenario, in steps: more means a loop without a checkpoint. */
export const defaultSteps = 10_000

/** The flag by which a strategy is told something, without its hyphens. */
export const flagName = (option: StrategyOption): string =>
  option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The flags of `explore`, parsed. */
export interface ExploreFlags extends ResourceFlags {
  readonly targets: ReadonlyArray<string>
  /** Without one, it is the program's kind that decides. */
  readonly strategy: Strategy | undefined
  readonly set: ReadonlyArray<string>
  readonly mutant: string | undefined
  readonly seed: number
  readonly executions: number | undefined
  readonly preemptions: number | undefined
  readonly delays: number | undefined
  readonly depth: number | undefined
  readonly breadthFirst: boolean
  readonly steps: number | undefined
  readonly paranoid: boolean
  readonly milliseconds: number | undefined
  readonly save: boolean
  readonly json: string | undefined
}

interface Planned extends Selected {
  readonly task: Task
  readonly bug: BugEntry | undefined
  /** Where checkpoints of it go, as the user calls the file. */
  readonly checkpoint: string | undefined
}

/** Runs `explore`. Everything that the command line names is looked up before the first exploration begins. */
export const exploreCommand = Effect.fnUntraced(function* (registry: Registry, flags: ExploreFlags) {
  // Of which kind the program in a file is shows when it is loaded.
  if (flags.strategy !== undefined || !flags.targets.some(isProgramFile))
    yield* checkFlags(flags, flags.strategy ?? states)
  const plan = Effect.gen(function* () {
    const planned = yield* planOf(registry, flags)
    return yield* carryOutAll(planned, flags)
  })
  return yield* inSession(flags.json, plan)
})

const checkFlags = Effect.fnUntraced(function* (flags: ExploreFlags, strategy: Strategy) {
  const { preemptions, delays, executions, depth, paranoid, breadthFirst } = flags
  const usage = (message: string) => new BadUsage({ message, command: "explore" })
  const campaign = {
    workers: flags.workers > 1,
    memory: flags.memory !== undefined,
    checkpoint: flags.checkpoint !== undefined,
    resume: flags.resume !== undefined,
  }
  const given: Readonly<Record<StrategyOption, boolean>> = {
    executions: executions !== undefined,
    preemptions: preemptions !== undefined,
    delays: delays !== undefined,
    depth: depth !== undefined,
    breadthFirst,
    paranoid,
    ...campaign,
  }
  const wrong = strategyOptions.find((option) => given[option] && !strategy.takes.has(option))
  if (wrong !== undefined) return yield* usage(`--${flagName(wrong)} is for ${takers(wrong)}, not for ${strategy.name}`)
  if (preemptions !== undefined && delays !== undefined) {
    return yield* usage("--preemptions and --delays are two bounds, of which a search has one")
  }
  const [resource] = Object.entries(campaign).find(([, is]) => is) ?? []
  if (breadthFirst && resource !== undefined)
    return yield* usage(`--${resource} and --breadth-first do not go together`)
})

/** What is to be taken up again. */
const resumedBy = Effect.fnUntraced(function* ({ resume: file }: ExploreFlags) {
  if (file === undefined) return undefined
  const header = yield* Effect.mapError(readHeader(yield* resolvePath(file), file), ({ message }) => badInput(message))
  return { header, file } satisfies Resumed
})

/** A file never causes code to be loaded: a program of one's own is named on the command line. */
const resumedTarget = Effect.fnUntraced(function* ({ header, file }: Resumed) {
  if (header.program === undefined) return [header.scenario]
  const program = printable(header.program)
  return yield* badInput(`${printable(file)} is of a program of your own; name it: explore ${program} --resume FILE`)
})

const planOf = Effect.fnUntraced(function* (registry: Registry, given: ExploreFlags) {
  const resumed = yield* resumedBy(given)
  const flags = resumed === undefined ? given : yield* agreeing(given, resumed)
  const home = resumed === undefined ? homeOf(registry, flags.mutant) : resumedTarget(resumed)
  const targets = flags.targets.length > 0 ? flags.targets : yield* home
  const named: Array<Selected> = []
  for (const target of targets) {
    for (const selected of yield* select(registry, target)) {
      if (!named.some(({ scenario }) => scenario === selected.scenario)) named.push(selected)
    }
  }
  const chosen = yield* withMutant(named, flags.mutant)
  if (resumed !== undefined && (chosen.length !== 1 || chosen[0]?.scenario.id !== resumed.header.scenario)) {
    const message = `${printable(resumed.file)} is of ${printable(resumed.header.scenario)}, and ${chosen.map(({ scenario }) => printable(scenario.id)).join(", ")} is to be explored`
    return yield* new BadUsage({ message, command: "explore" })
  }
  if (flags.checkpoint !== undefined && chosen.length !== 1) {
    const message = `--checkpoint is for one scenario, and these are ${chosen.length}`
    return yield* new BadUsage({ message, command: "explore" })
  }
  const settings = yield* parseSettings(flags.set)
  return yield* Effect.forEach(chosen, ({ scenario, directory, file }) =>
    Effect.gen(function* () {
      const bug = scenario.bugs.find(({ id }) => id === flags.mutant)
      const bugBound = bug?.scenario === scenario.id ? bug.bound : undefined
      const program = yield* programAt(scenario, settings, bug?.id, bugBound)
      const options: SearchOptions = {
        maxSteps: flags.steps ?? defaultSteps,
        seed: resumed?.header.options.seed ?? flags.seed,
        ...(flags.paranoid || resumed?.header.options.paranoid === true ? { paranoid: true } : {}),
        ...(flags.executions === undefined ? {} : { executions: flags.executions }),
        ...(flags.preemptions === undefined ? {} : { preemptions: flags.preemptions }),
        ...(flags.delays === undefined ? {} : { delays: flags.delays }),
        ...(flags.depth === undefined ? {} : { depth: flags.depth }),
        ...(flags.breadthFirst ? { breadthFirst: true } : {}),
        ...(bug === undefined ? {} : { target: bug.breaks }),
      }
      const budget = flags.milliseconds === undefined ? {} : { milliseconds: flags.milliseconds }
      const strategy = flags.strategy ?? defaultStrategy(program)
      yield* checkFlags(flags, strategy)
      const reason = unfit(strategy, program, options)
      if (reason !== undefined) return yield* new BadUsage({ message: printable(reason, 400), command: "explore" })
      const task: Task = { scenario, program, strategy, options, budget }
      const checkpoint = flags.checkpoint ?? resumed?.file
      if (!strategy.takes.has("workers") || flags.breadthFirst)
        return { scenario, directory, task, bug, checkpoint } satisfies Planned
      const resources = yield* resourcesOf(program, options, file, flags, resumed)
      return { scenario, directory, task: { ...task, resources }, bug, checkpoint } satisfies Planned
    }),
  )
})

/** Without a target, a mutant's own scenario is meant. */
const homeOf = Effect.fnUntraced(function* (registry: Registry, mutant: string | undefined) {
  if (mutant === undefined) {
    return yield* new BadUsage({
      message: "name what to explore: a scenario's id, a glob over ids such as '**', or a FILE.ts of your own",
      command: "explore",
    })
  }
  const bugs = bugsOf(registry)
  const bug = bugs.find(({ id }) => id === mutant)
  return bug === undefined ? yield* badInput(unknownMutant(mutant, bugs, "")) : [bug.scenario]
})

/** The scenarios that have the mutant; one at least must. */
const withMutant = Effect.fnUntraced(function* (named: ReadonlyArray<Selected>, mutant: string | undefined) {
  if (mutant === undefined) return named
  const having = named.filter(({ scenario }) => scenario.bugs.some(({ id }) => id === mutant))
  if (having.length > 0) return having
  const known = named.flatMap(({ scenario }) => scenario.bugs)
  const [only] = named.length === 1 ? named : []
  return yield* badInput(unknownMutant(mutant, known, only === undefined ? "" : ` of ${only.scenario.id}`))
})

const carryOutAll = Effect.fnUntraced(function* (planned: ReadonlyArray<Planned>, flags: ExploreFlags) {
  const session = yield* Session
  const output = yield* Output
  session.planned = planned.length
  let status: ExitStatus = exitStatus.well
  for (const [position, plan] of planned.entries()) {
    if (position > 0) yield* output.print([""])
    const explored = yield* carryOut(plan.task, plan.checkpoint)
    yield* output.print(yield* exploredLines(explored, plan.bug))
    yield* afterwards(plan, explored, flags)
    status = worse(status, statusOf(explored, plan.bug))
  }
  return status
})

/** Saves the counterexample, or says how to. */
const afterwards = Effect.fnUntraced(function* (plan: Planned, { finding, report }: Explored, flags: ExploreFlags) {
  const output = yield* Output
  if (report.outcome === "inconclusive" && plan.checkpoint !== undefined) {
    yield* output.print([`  ${resumeHint(plan.checkpoint)}`])
  }
  if (finding === undefined) return
  const program = flags.targets.find(isProgramFile)
  const own = program === undefined ? "" : ` --program ${printable(program)}`
  if (!flags.save) {
    const hint = wrap("--save keeps this schedule as a file that replays.", output.width - 2)
    yield* output.print(["", ...indent(hint, 2)])
    return
  }
  const file = yield* Effect.mapError(save(plan.directory, finding.counterexample), ({ message }) =>
    badInput(`the counterexample cannot be saved: ${printable(message)}`),
  )
  const shown = yield* shownPath(file)
  const session = yield* Session
  session.scenarios[session.scenarios.indexOf(report)] = { ...report, file: shown }
  yield* output.print(["", `  saved as ${shown}; replay it with`, `    npm run check -- replay ${shown}${own}`])
})

/** What an exploration came to, for people. */
const exploredLines = Effect.fnUntraced(function* (explored: Explored, bug?: BugEntry) {
  const { task, result, finding, report } = explored
  const { paint, width } = yield* Output
  const mutant = bug === undefined ? "" : ` with ${bug.id}`
  const seed = report.seed === undefined ? "" : `, seed ${report.seed}`
  const figures = `${figuresText(result.statistics)}, ${seconds(result.seconds)}${seed}`
  const lines = [[`${paint.strong(printable(task.program.scenario))}${mutant}`, ...boundTexts(report.bound)].join("  ")]
  const checked = comparedLines(result, width)
  if (result.outcome === "holds") {
    const missed = bug === undefined ? [] : wrap(`seeded bug missed: ${missedText(bug, explored)}`, width - 2)
    return [
      ...lines,
      ...indent(missed.map(paint.bad), 2),
      ...holdsLines(task, report, figures, width, paint.good, paint.warn),
      ...checked,
    ]
  }
  if (result.outcome === "inconclusive") {
    const sentence = wrap(
      `${printable(result.reason ?? "", Number.POSITIVE_INFINITY)}; no violation until then`,
      width - 16,
    )
    const [first, ...rest] = sentence
    const covered = result.within === undefined ? [] : [`  every schedule${withinText(result.within)} was run`]
    return [
      ...lines,
      `  ${paint.warn("inconclusive")}: ${first}`,
      ...indent(rest, 16),
      ...covered,
      `  ${figures}`,
      ...checked,
    ]
  }
  const { violation } = result
  return [
    ...lines,
    `  ${paint.bad("violated")}: ${printable(violation?.property ?? "")} after ${figures}`,
    "",
    ...violationLines(
      task.scenario,
      {
        property: violation?.property ?? "",
        message: report.message ?? "",
        steps: finding?.steps,
        leftOut: finding?.leftOut,
        cycle: finding?.cycle,
        fibers: finding?.fibers ?? [],
        mutant: task.program.mutant,
      },
      width,
      paint,
    ),
    "",
    ...(finding === undefined
      ? ["  There is no counterexample: no one schedule shows this."]
      : sizeLines(sizeOf(finding, task), width)),
  ]
})

/** What `--paranoid` checked. */
const comparedLines = ({ compared }: Result, width: number): ReadonlyArray<string> => {
  if (compared === undefined) return []
  const { histories, steps, paths } = compared
  const text = `paranoid: ${count(histories, "fiber")} run again, ${count(steps, "step")} compared, ${count(paths, "path")} taken by plain re-execution`
  return indent(wrap(text, width - 2), 2)
}

/** How long the schedule of a finding is, and at which bound. */
export const sizeOf = ({ steps, cycle, preemptions, minimal, counterexample }: Finding, { program }: Task) => {
  const bound = boundText(counterexample.bound)
  const atBound = bound === boundText(program.bound) ? "" : `, at the smaller bound ${bound}`
  return { steps: steps.length, cycle, preemptions, minimal, atBound }
}

const holdsLines = (
  { strategy }: Task,
  report: ScenarioReport,
  figures: string,
  width: number,
  good: (text: string) => string,
  warn: (text: string) => string,
): ReadonlyArray<string> => {
  const { covers } = strategies.find(({ name }) => name === report.decidedBy) ?? strategy
  const decided = report.decidedBy === undefined ? "" : `, as ${report.decidedBy} says`
  const covered = `${covers}${withinText(report.within)}${decided}`
  const odd =
    report.states === 0 ? [] : [`  the odds that a state was missed are at most ${odds(report.missedStateOdds)}`]
  const note = (what: string, names: ReadonlyArray<string> = []) =>
    names.length === 0 ? [] : wrap(`${what}: ${names.map((name) => printable(name)).join(", ")}`, width - 2)
  const gaps = [...note("never exercised", report.neverExercised), ...note("never taken", report.neverTaken)]
  return [`  ${good("holds")} in ${covered}: ${figures}`, ...odd, ...indent(gaps.map(warn), 2)]
}

const statusOf = ({ result }: Explored, bug: BugEntry | undefined): ExitStatus => {
  if (result.outcome === "violated") return exitStatus.broken
  if (result.outcome === "inconclusive") return exitStatus.inconclusive
  return bug === undefined ? exitStatus.well : exitStatus.broken
}

/** Of two statuses the one to end with: what broke counts more than what stayed open. */
export const worse = (a: ExitStatus, b: ExitStatus): ExitStatus =>
  ([exitStatus.broken, exitStatus.inconclusive, exitStatus.well] as const).find((each) => each === a || each === b) ?? a
