/**
 * A check in a test: what was saved is replayed first, then the program is explored, and what breaks is shrunk and saved.
 * Nothing in here knows the test runner.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { load, nameOf, save } from "../counterexample/files.ts"
import { type Finding, findingOf, shownBy } from "../counterexample/finding.ts"
import { replay } from "../counterexample/replay.ts"
import { shrinkEffect } from "../counterexample/shrink.ts"
import { attempt } from "../engine/supervised.ts"
import { explore, type Result as Outcome } from "../explore/explore.ts"
import { defaultStrategy, takers } from "../explore/strategies.ts"
import type { SearchOptions, Strategy } from "../explore/strategy.ts"
import { gapsIn } from "../property/coverage.ts"
import { boundTexts, count, indent, noPaint, printable, withinText } from "../report/text.ts"
import { sizeLines, violationLines } from "../report/violation.ts"
import type { Program } from "../scenario/program.ts"
import type { ScenarioEntry } from "../scenario/protocol.ts"
import { BadBound, type Bound } from "../scenario/scenario.ts"

/** Columns of what a failing test prints. */
const width = 100

/** The strategy does not take an option that was given. */
export class BadOption extends Data.TaggedError("BadOption")<{ readonly message: string }> {}

/** What is checked, and how. */
export interface Checked {
  readonly entry: ScenarioEntry
  readonly bound: Bound
  /** Without one, it is the program's kind that decides. */
  readonly strategy: Strategy | undefined
  readonly options: SearchOptions
  /** Wall-clock milliseconds. */
  readonly milliseconds: number
  /** Where counterexamples are saved, and looked for. */
  readonly directory: string
}

/** What a check came to. */
export interface Verdict {
  readonly passed: boolean
  /** Why it failed, or what a pass that proves less than everything means. */
  readonly text: string | undefined
  /** What is to be said of files that no longer show anything. */
  readonly notes: ReadonlyArray<string>
}

/** Checks a program. Fails where its setup throws, its bound is none, or a file cannot be read. */
export const check = Effect.fnUntraced(function* (checked: Checked) {
  const notes: Array<string> = []
  for (const file of yield* savedFiles(checked)) {
    const replayed = yield* replayFile(checked, file)
    if (replayed.failure !== undefined) return { passed: false, text: replayed.failure, notes } satisfies Verdict
    notes.push(replayed.note)
  }
  const program = yield* boundTo(checked.entry, checked.bound)
  const strategy = checked.strategy ?? defaultStrategy(program)
  yield* agree(strategy, checked.options)
  const result = yield* explore(program, strategy, checked.options, { milliseconds: checked.milliseconds })
  const text = yield* textOf(checked, program, strategy, result)
  return { ...text, notes } satisfies Verdict
})

/** The program at a bound. */
const boundTo = (entry: ScenarioEntry, bound: Bound): Effect.Effect<Program, BadBound> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(entry.program(bound))
    } catch (error) {
      if (error instanceof BadBound) return Effect.fail(error)
      throw error
    }
  })

/** An option that a strategy does not take would be passed over in silence. */
const agree = (strategy: Strategy, options: SearchOptions): Effect.Effect<void, BadOption> => {
  const wrong = (["executions", "preemptions"] as const).find(
    (each) => options[each] !== undefined && !strategy.takes.has(each),
  )
  return wrong === undefined
    ? Effect.void
    : Effect.fail(new BadOption({ message: `${wrong} is for ${takers(wrong)}, not for ${strategy.name}` }))
}

const shown = Effect.fnUntraced(function* (file: string) {
  const { relative } = yield* Path.Path
  const shorter = relative(process.cwd(), file)
  return printable(shorter.startsWith("..") ? file : shorter)
})

/** The counterexamples of a program that are saved, by name. */
const savedFiles = Effect.fnUntraced(function* ({ directory, entry }: Checked) {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const names = yield* Effect.orElseSucceed(files.readDirectory(directory), (): Array<string> => [])
  return names
    .filter((name) => name.startsWith(`${nameOf(entry.id)}--`) && name.endsWith(".json"))
    .sort()
    .map((name) => join(directory, name))
})

const replayFile = Effect.fnUntraced(function* ({ entry }: Checked, path: string) {
  const file = yield* shown(path)
  const counterexample = yield* load(path, file)
  if (counterexample.scenario !== entry.id) return { failure: undefined, note: `${file} is of another program` }
  const program = yield* Effect.result(boundTo(entry, counterexample.bound))
  if (Result.isFailure(program)) return { failure: undefined, note: `${file} is stale: ${program.failure.message}` }
  const replayed = yield* attempt(() => replay(program.success, counterexample))
  if (replayed.kind === "reproduced") {
    const { cycle, property, strategy, seed } = counterexample
    const shown = { program: program.success, cycle, minimal: false }
    const finding = yield* attempt(() => shownBy({ strategy, seed }, replayed, shown))
    const trace = traceOf(entry, finding)
    const title = [printable(entry.id), ...boundTexts(counterexample.bound)].join("  ")
    const violated = `${title}: ${printable(property)} is violated as before`
    return { failure: [violated, "", ...trace, "", `  It was saved before, as ${file}`].join("\n"), note: "" }
  }
  const why =
    replayed.kind === "healed"
      ? replayed.message
      : `step ${replayed.step} was ${replayed.expected}; now it is offered: ${replayed.offered}`
  return { failure: undefined, note: `${file} is ${replayed.kind}: ${printable(why)}` }
})

const traceOf = (
  entry: ScenarioEntry,
  { steps, leftOut, cycle, fibers, counterexample }: Finding,
): ReadonlyArray<string> => {
  const { property, message, mutant } = counterexample
  return violationLines(entry, { property, message, steps, leftOut, cycle, fibers, mutant }, width, noPaint)
}

const textOf = Effect.fnUntraced(function* (checked: Checked, program: Program, strategy: Strategy, result: Outcome) {
  const title = [printable(program.scenario), ...boundTexts(program.bound)].join("  ")
  const { executions, states } = result.statistics
  const figures = states > 0 ? count(states, "state") : count(executions, "execution")
  switch (result.outcome) {
    case "violated": {
      const lines = yield* violatedLines(checked, program, strategy, result)
      const property = printable(result.violation?.property ?? "")
      return { passed: false, text: [`${title}: ${property} is violated, after ${figures}`, "", ...lines].join("\n") }
    }
    case "inconclusive": {
      // A sample is one that was asked for by its size: without that nobody knows what a pass would have meant.
      const sampled = !strategy.exhaustive && executions >= (checked.options.executions ?? Number.POSITIVE_INFINITY)
      const reason = printable(result.reason ?? "", Number.POSITIVE_INFINITY)
      if (sampled) return { passed: true, text: `${title}: no violation, and nothing is proved: ${reason}` }
      return { passed: false, text: `${title}: inconclusive: ${reason}; no violation until then, after ${figures}` }
    }
    case "holds": {
      const idle = gapsIn(checked.entry.properties, [coverageOf(result)]).neverExercised
      if (idle.length > 0) {
        const names = idle.map((id) => printable(id)).join(", ")
        return { passed: false, text: `${title}: nothing breaks, but these properties never said anything: ${names}` }
      }
      const within = withinText(result.within)
      return { passed: true, text: within === "" ? undefined : `${title}: holds in ${strategy.covers}${within}` }
    }
  }
})

const coverageOf = ({ exercised, steps }: Outcome) => ({
  exercised: Object.fromEntries(exercised.map(({ id, times }) => [id, times])),
  steps: Object.fromEntries(steps),
})

/** The simplest schedule that shows the violation, saved. */
const violatedLines = Effect.fnUntraced(function* (
  { entry, options, directory }: Checked,
  program: Program,
  { name: strategy }: Strategy,
  { violation, moves, cycle }: Outcome,
) {
  const { property = "", message = "" } = violation ?? {}
  const how = { strategy, seed: options.seed }
  if (moves === undefined) return [`  ${message}`]
  const shrunk = yield* shrinkEffect([entry, program, property, moves, cycle], Effect.void)
  const simplest = yield* attempt(() => findingOf(how, property, shrunk))
  const finding =
    simplest ?? (yield* attempt(() => findingOf(how, property, { program, moves, cycle, minimal: false })))
  if (finding === undefined) return [`  ${message}`]
  const file = yield* save(directory, finding.counterexample)
  const { steps, preemptions, minimal, counterexample } = finding
  const smaller = boundTexts(counterexample.bound).filter((text) => !boundTexts(program.bound).includes(text))
  const atBound = smaller.map((text) => `, at the smaller bound ${text}`).join("")
  const size = { steps: steps.length, cycle: finding.cycle, preemptions, minimal, atBound }
  return [...traceOf(entry, finding), "", ...sizeLines(size, width), ...indent([`saved as ${yield* shown(file)}`], 2)]
})
