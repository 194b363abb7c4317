/** `mutants`: every mutant of protocols, made from their steps, and whether some property kills it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { elsewhere } from "../campaign/elsewhere.ts"
import { MemoryGuard } from "../campaign/memory.ts"
import type { SearchOptions } from "../explore/strategy.ts"
import { explorationsEach, exploreHere, isOpen } from "../mutation/attempt.ts"
import { MutationRun, secondAttempt, verdictTexts } from "../mutation/campaign.ts"
import type { Mutant, Rung } from "../mutation/learn.ts"
import { operators } from "../mutation/operators/index.ts"
import {
  countMutants,
  countsText,
  killRateOf,
  type MutantReport,
  type MutatedProtocol,
  type MutationReport,
} from "../report/mutation.ts"
import { boundTexts, count, figure, indent, type Paint, printable, seconds, wrap } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import type { Registry } from "../scenario/protocol.ts"
import { badInput, type ExitStatus, exitStatus, Unexpected } from "./errors.ts"
import { defaultSteps, worse } from "./explore.ts"
import { makeOutput, Output } from "./output.ts"
import { sourceOf } from "./programSource.ts"
import { type SelectedProtocol, selectProtocols } from "./select.ts"

/** The flags of `mutants`, parsed. */
export interface MutantsFlags {
  /** Protocols: ids, globs over ids, or files of programs of one's own. None is all of them. */
  readonly targets: ReadonlyArray<string>
  /** Only the mutants that this glob matches. */
  readonly only: string | undefined
  /** The most states of one exploration, at the first attempt. */
  readonly states: number
  readonly workers: number
  /** In bytes. */
  readonly memory: number | undefined
  readonly json: string | undefined
}

interface Progress {
  readonly done: Array<MutatedProtocol>
  current: { readonly run: MutationRun; readonly started: number } | undefined
}

/** Runs `mutants`. */
export const mutantsCommand = Effect.fnUntraced(function* (registry: Registry, flags: MutantsFlags) {
  const output = yield* makeOutput(flags.json)
  const progress: Progress = { done: [], current: undefined }
  const work = Effect.gen(function* () {
    for (const selected of yield* selectedBy(registry, flags.targets)) yield* mutate(selected, flags, progress)
  })
  yield* work.pipe(
    Effect.provideService(Output, output),
    Effect.onInterrupt(() => Effect.ignore(interrupted(progress, flags, output))),
  )
  const { done } = progress
  if (flags.only !== undefined && totalOf(done).mutants === 0) {
    const named = operators.map(({ name }) => name).join(", ")
    return yield* badInput(
      `--only ${printable(flags.only)} matches no mutant; a mutant is called by its operator and the step, as in 'leave-out unlock', and the operators are ${named}`,
    )
  }
  if (done.length > 1) yield* output.print(["", totalLine(done)])
  yield* output.document(reportOf(done, flags))
  const status = done.map(statusOf).reduce(worse, exitStatus.well)
  if (status !== exitStatus.well) return yield* new Unexpected({ status })
})

/** The protocols that are meant. Those that know nothing of steps have no mutants. */
const selectedBy = Effect.fnUntraced(function* (registry: Registry, targets: ReadonlyArray<string>) {
  const selected = yield* selectProtocols(registry, targets)
  for (const { protocol, file } of selected) {
    if (file !== undefined && protocol.scenarios.some(({ program }) => !program().inSteps)) {
      return yield* badInput(
        `mutants are made by changing steps, and ${printable(protocol.id)} is an Effect that knows nothing of them`,
      )
    }
  }
  return selected
})

/** Judges the mutants of a protocol, and prints what became of them. */
const mutate = Effect.fnUntraced(function* (
  { protocol, file }: SelectedProtocol,
  flags: MutantsFlags,
  progress: Progress,
) {
  const output = yield* Output
  const started = yield* Clock.currentTimeMillis
  const run = new MutationRun(protocol)
  progress.current = { run, started }
  const memory = new MemoryGuard(flags.memory)
  const status = output.status(() => statusLine(run))
  const report = yield* run.carryOut(
    { maxSteps: defaultSteps, maxStates: flags.states, lanes: flags.workers, only: flags.only },
    (mutant, rung, options) => exploreMutant(mutant, rung, options, file, memory, status),
    ({ id }) => output.status(() => `${protocol.id}: learning ${id}`),
  )
  const done = { ...report, seconds: ((yield* Clock.currentTimeMillis) - started) / 1000 }
  progress.done.push(done)
  progress.current = undefined
  const isAskedOf = flags.only === undefined || done.mutants.length > 0 || done.trouble.length > 0
  if (isAskedOf) yield* output.print(protocolLines(done, output))
})

/** Explores a mutant in another thread, where that can have the program. */
const exploreMutant = Effect.fnUntraced(function* (
  mutant: Mutant,
  rung: Rung,
  options: SearchOptions,
  file: string | undefined,
  memory: MemoryGuard,
  status: Effect.Effect<void>,
) {
  yield* status
  const source = yield* sourceOf(rung.program, file, mutant.mutation)
  if (source === undefined) return yield* exploreHere(mutant, rung, options)
  return yield* Effect.scoped(elsewhere({ source, options, budget: {}, memory, onProgress: () => status })).pipe(
    Effect.catchTag("WorkersFailed", ({ message }) =>
      Effect.fail(badInput(`the worker threads cannot explore ${printable(rung.scenario.id)}: ${printable(message)}`)),
    ),
  )
})

/** Whether the spec owes an explanation. */
const isUnexplained = (mutant: MutantReport): boolean => isOpen(mutant) && mutant.explanation === undefined

const totalOf = (protocols: ReadonlyArray<MutatedProtocol>) => countMutants(protocols.flatMap(({ mutants }) => mutants))

const reportOf = (protocols: ReadonlyArray<MutatedProtocol>, flags: MutantsFlags): MutationReport => {
  const counts = totalOf(protocols)
  return {
    formatVersion: 1,
    tool,
    budget: { exploration: flags.states, mutant: flags.states * explorationsEach, secondAttempt },
    operators: Object.fromEntries(operators.map(({ name, sentence }) => [name, sentence])),
    protocols,
    counts,
    killRate: killRateOf(counts),
  }
}

const statusOf = ({ trouble, mutants }: MutatedProtocol): ExitStatus => {
  const unexplained = mutants.filter(isUnexplained)
  if (trouble.length > 0 || unexplained.some(({ verdict }) => verdict === "survived")) return exitStatus.broken
  return unexplained.length > 0 ? exitStatus.inconclusive : exitStatus.well
}

const interrupted = Effect.fnUntraced(function* (
  { done, current }: Progress,
  flags: MutantsFlags,
  output: Output["Service"],
) {
  const now = yield* Clock.currentTimeMillis
  const reached = current === undefined ? [] : [{ ...current.run.report, seconds: (now - current.started) / 1000 }]
  const all = [...done, ...reached]
  const planned = current === undefined ? "" : ` in ${placeOf(current.run)}`
  yield* output.print(["", `interrupted${planned}; ${totalLine(all)}`])
  yield* output.document({ ...reportOf(all, flags), interrupted: true })
})

const placeOf = ({ protocol, planned }: MutationRun): string =>
  `${printable(protocol.id)} (${planned === 0 ? "being learnt" : count(planned, "mutant")})`

const statusLine = (run: MutationRun): string => {
  const { mutants, counts } = run.report
  return `${printable(run.protocol.id)}: ${figure(mutants.length)} of ${count(run.planned, "mutant")}, ${figure(counts.killed)} killed`
}

const totalLine = (protocols: ReadonlyArray<MutatedProtocol>): string => countsText(totalOf(protocols))

const protocolLines = (report: MutatedProtocol, { paint, width }: Output["Service"]): ReadonlyArray<string> => {
  const { protocol, counts, mutants, trouble } = report
  const colour = statusOf(report) === exitStatus.well ? paint.good : paint.bad
  return [
    `${paint.strong(protocol)}  ${colour(countsText(counts))}  ${seconds(report.seconds)}`,
    ...mutants.flatMap((mutant) => mutantLines(mutant, paint, width)),
    ...trouble.flatMap((text) => indent(wrap(printable(text, Number.POSITIVE_INFINITY), width - 2), 2)),
  ]
}

const verdictWidth = 2 + Math.max(...Object.values(verdictTexts).map(({ length }) => length))

/** What became of a mutant, and by which property or for what reason; the verdict in a column of its own. */
const mutantLines = (mutant: MutantReport, paint: Paint, width: number): ReadonlyArray<string> => {
  const verdict = verdictTexts[mutant.verdict].padEnd(verdictWidth)
  const [first = "", ...others] = wrap(
    [printable(mutant.id), ...whyTexts(mutant)].join(": "),
    Math.max(20, width - 2 - verdictWidth),
  )
  return [`  ${isUnexplained(mutant) ? paint.bad(verdict) : verdict}${first}`, ...indent(others, 2 + verdictWidth)]
}

const whyTexts = ({
  property,
  scenario = "",
  bound = {},
  reason,
  explanation,
}: MutantReport): ReadonlyArray<string> => {
  const where = [scenario, ...boundTexts(bound)].join(" ")
  const texts = [property === undefined ? undefined : `${property} in ${where}`, reason, explanation]
  return texts.flatMap((text) => (text === undefined ? [] : printable(text, Number.POSITIVE_INFINITY)))
}
