/** `replay`: saved counterexamples, run again step by step. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { load } from "../counterexample/files.ts"
import { fibersIn } from "../counterexample/finding.ts"
import { BadFile } from "../counterexample/foreign.ts"
import { type Replayed, replay } from "../counterexample/replay.ts"
import type { Counterexample } from "../counterexample/schema.ts"
import { attempt } from "../engine/supervised.ts"
import type { ReplayReport } from "../report/report.ts"
import { boundTexts, count, printable } from "../report/text.ts"
import { violationLines } from "../report/violation.ts"
import type { Program } from "../scenario/program.ts"
import type { Registry, ScenarioEntry } from "../scenario/protocol.ts"
import { BadInput, badInput, exitStatus } from "./errors.ts"
import { Output } from "./output.ts"
import { resolvePath, SavedDirectory, shownPath } from "./place.ts"
import { checked, scenariosOf, unknownMutant, unknownScenario } from "./select.ts"
import { inSession, Session } from "./session.ts"
import { isProgramFile, loadProgram } from "./userProgram.ts"

/** A saved counterexample whose program is known. */
export interface Saved {
  /** How reports call the file. */
  readonly file: string
  readonly counterexample: Counterexample
  readonly scenario: ScenarioEntry
  readonly program: Program
  /** What it comes to when it is run again: once, however often that is asked. */
  readonly replayed: () => Replayed
}

/** Runs `replay`. Every file is read and checked before the first is replayed. */
export const replayCommand = Effect.fnUntraced(function* (
  registry: Registry,
  flags: {
    readonly files: ReadonlyArray<string>
    readonly program: string | undefined
    readonly json: string | undefined
  },
) {
  const work = Effect.gen(function* () {
    const session = yield* Session
    const output = yield* Output
    const own = flags.program === undefined ? registry : [yield* programOf(flags.program)]
    const paths = flags.files.length > 0 ? yield* Effect.forEach(flags.files, resolvePath) : yield* savedFiles()
    const saved = yield* readAll(paths, own)
    session.replays = []
    if (saved.length === 0) yield* output.print(["No counterexample is saved."])
    let asRecorded = true
    for (const each of saved) {
      const { report, replayed } = yield* replayOne(each)
      asRecorded &&= report.outcome === "reproduced"
      yield* output.print([
        yield* replayLine(report),
        ...(flags.files.length > 0 ? yield* replayLines(each, replayed) : []),
      ])
    }
    return asRecorded ? exitStatus.well : exitStatus.broken
  })
  return yield* inSession(flags.json, work)
})

const programOf = Effect.fnUntraced(function* (argument: string) {
  if (!isProgramFile(argument)) {
    return yield* badInput(`--program must name a TypeScript file, such as counter.ts, not ${printable(argument)}`)
  }
  return yield* loadProgram(yield* resolvePath(argument), argument)
})

/** The counterexamples of the repository, by name. */
export const savedFiles = Effect.fnUntraced(function* () {
  const files = yield* FileSystem.FileSystem
  const { join } = yield* Path.Path
  const directory = yield* SavedDirectory
  const names = yield* Effect.orElseSucceed(files.readDirectory(directory), (): Array<string> => [])
  return names
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => join(directory, name))
})

/** Reads counterexamples and finds their programs. Fails with a sentence for each that will not do. */
export const readAll = Effect.fnUntraced(function* (paths: ReadonlyArray<string>, registry: Registry) {
  const results = yield* Effect.forEach(paths, (path) => Effect.result(readOne(path, registry)))
  const [first, ...rest] = results.flatMap((result) => (Result.isFailure(result) ? [result.failure.message] : []))
  if (first !== undefined) return yield* new BadInput({ messages: [first, ...rest] })
  return results.flatMap((result) => (Result.isSuccess(result) ? [result.success] : []))
})

const readOne = Effect.fnUntraced(function* (path: string, registry: Registry) {
  const file = printable(yield* shownPath(path))
  const counterexample = yield* load(path, file)
  const bad = (reason: string) => new BadFile({ message: `${file} cannot be replayed: ${reason}` })
  const known = scenariosOf(registry)
  const scenario = known.find(({ id }) => id === counterexample.scenario)
  if (scenario === undefined) {
    const unknown = unknownScenario(counterexample.scenario, known)
    return yield* bad(
      unknown.endsWith("?") ? unknown : `${unknown}; a program of your own is named by --program FILE.ts`,
    )
  }
  const { mutant, bound } = counterexample
  if (mutant !== undefined && !scenario.bugs.some(({ id }) => id === mutant)) {
    return yield* bad(unknownMutant(mutant, scenario.bugs, ` of ${scenario.id}`))
  }
  const stranger = Object.keys(bound).find((name) => !Object.hasOwn(scenario.parameters, name))
  if (stranger !== undefined) return yield* bad(`scenario ${scenario.id} has no parameter ${printable(stranger, 60)}`)
  const program = yield* checked(scenario, bound, mutant, bad)
  let result: Replayed | undefined
  const replayed = () => {
    result ??= replay(program, counterexample)
    return result
  }
  return { file, counterexample, scenario, program, replayed } satisfies Saved
})

/** Replays one counterexample and notes what it comes to. */
export const replayOne = Effect.fnUntraced(function* ({ file, counterexample, replayed: run }: Saved) {
  const session = yield* Session
  const { scenario, mutant, property } = counterexample
  const replayed = yield* attempt(run)
  const report: ReplayReport = {
    file,
    scenario,
    mutant: mutant ?? null,
    property,
    outcome: replayed.kind,
    message: messageOf(replayed),
    ...(replayed.kind === "reproduced" && replayed.brokenAfter !== undefined
      ? { brokenAfter: replayed.brokenAfter }
      : {}),
  }
  session.replays?.push(report)
  return { report, replayed }
})

const messageOf = (replayed: Replayed): string => {
  switch (replayed.kind) {
    case "reproduced":
      return replayed.violation.message
    case "healed":
      return printable(replayed.message)
    case "stale": {
      const { step, expected, offered } = replayed
      return `step ${step} was ${printable(expected)}; now it is offered: ${printable(offered)}`
    }
  }
}

/** A replayed file in a line. */
export const replayLine = Effect.fnUntraced(function* (report: ReplayReport) {
  const { paint } = yield* Output
  const { file, outcome, message, property, brokenAfter } = report
  switch (outcome) {
    case "reproduced": {
      const early =
        brokenAfter === undefined ? "" : `, broken after ${count(brokenAfter, "step")} already: save it anew`
      return `${paint.good("replayed")}  ${file}  ${printable(property)}${early}`
    }
    case "stale":
      return `${paint.bad("stale")}     ${file}: ${message}`
    case "healed":
      return `${paint.bad("healed")}    ${file}: ${message}`
  }
})

const replayLines = Effect.fnUntraced(function* (
  { scenario, program, counterexample: { cycle } }: Saved,
  replayed: Replayed,
) {
  const { paint, width } = yield* Output
  if (replayed.kind !== "reproduced") return []
  const { steps, leftOut, violation } = replayed
  const { property, message } = violation
  const fibers = fibersIn(program, steps)
  const mutant = program.mutant === undefined ? "" : ` with ${program.mutant}`
  return [
    `  ${[`${printable(program.scenario)}${mutant}`, ...boundTexts(program.bound), count(steps.length, "step")].join(", ")}`,
    "",
    ...violationLines(
      scenario,
      { property, message, steps, leftOut, cycle, fibers, mutant: program.mutant },
      width,
      paint,
    ),
    "",
  ]
})
