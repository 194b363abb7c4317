/** `bench`: the programs with published numbers, and how fast the checker is. */
import { availableParallelism, cpus } from "node:os"
import * as Effect from "effect/Effect"
import { type Benchmark, includes, type Size } from "../bench/benchmark.ts"
import { countBounded, countProgram, differences, skipped } from "../bench/counts.ts"
import { boundedPrograms } from "../bench/programs/bounded.ts"
import { families } from "../bench/programs/index.ts"
import { measureSpeeds } from "../bench/speed.ts"
import type { BenchReport, BoundedReport, ProgramReport, Rates, Ratio, SpeedReport } from "../report/bench.ts"
import { type Column, column, row, titles } from "../report/table.ts"
import { boundText, count, figure, indent, printable, seconds, wrap } from "../report/text.ts"
import { tool } from "../report/tool.ts"
import { exitStatus, Unexpected } from "./errors.ts"
import { makeOutput, Output } from "./output.ts"
import { sourceOf } from "./programSource.ts"
import { progressLine } from "./progress.ts"

/** What was measured so far. */
interface Progress {
  programs: Array<ProgramReport>
  bounded: Array<BoundedReport>
  speeds: ReadonlyArray<SpeedReport>
  rates: Rates | undefined
  ratios: ReadonlyArray<Ratio>
}

/** Runs `bench`. */
export const benchCommand = Effect.fnUntraced(function* (
  benchmarks: ReadonlyArray<Benchmark>,
  flags: { readonly size: Size; readonly json: string | undefined },
) {
  const output = yield* makeOutput(flags.json)
  const progress: Progress = { programs: [], bounded: [], speeds: [], rates: undefined, ratios: [] }
  const { size } = flags
  const work = Effect.gen(function* () {
    yield* countPrograms(progress, size)
    yield* countAllBounded(progress, size)
    yield* measure(progress, benchmarks, size)
  })
  yield* work.pipe(
    Effect.provideService(Output, output),
    Effect.onInterrupt(() =>
      Effect.ignore(
        Effect.andThen(
          output.print(["", `interrupted; ${count(progress.programs.length, "program")} counted`]),
          output.document({ ...reportOf(progress, size), interrupted: true }),
        ),
      ),
    ),
  )
  const verdicts = [...progress.programs, ...progress.bounded, ...progress.speeds].map(({ verdict }) => verdict)
  yield* output.print(["", summary(verdicts, output)])
  yield* output.document(reportOf(progress, size))
  if (verdicts.includes("differs")) return yield* new Unexpected({ status: exitStatus.broken })
})

const reportOf = ({ programs, bounded, speeds, rates, ratios }: Progress, size: Size): BenchReport => ({
  formatVersion: 1,
  tool,
  machine: {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: availableParallelism(),
  },
  size,
  programs,
  bounded,
  speeds,
  ...(rates === undefined ? {} : { rates }),
  ratios,
})

type Verdict = ProgramReport["verdict"]
const verdictTexts: Readonly<Record<Verdict, string>> = {
  agrees: "as expected",
  differs: "DIFFERS",
  skipped: "left out",
}

const summary = (verdicts: ReadonlyArray<Verdict>, { paint }: Output["Service"]): string => {
  const times = (verdict: Verdict) => verdicts.filter((each) => each === verdict).length
  const [agreeing, differing, left] = [times("agrees"), times("differs"), times("skipped")]
  const rest = left === 0 ? "" : `, ${left} left out at this size`
  return differing === 0
    ? paint.good(`${agreeing} programs and scenarios count what is expected${rest}`)
    : paint.bad(`${differing} of ${agreeing + differing} programs and scenarios differ from what is expected${rest}`)
}

/** The number, or a dash for what was left out. */
const shown = (measured: number | null) => (measured === null ? "-" : figure(measured))

const countPrograms = Effect.fnUntraced(function* (progress: Progress, size: Size) {
  const { paint, print, status, tableWidth, width } = yield* Output
  const all = families.flatMap(({ title, programs }) => programs.map((program) => ({ title, program })))
  const columns: ReadonlyArray<Column> = [
    column(
      "program",
      all.map(({ program }) => program.name),
    ),
    column("states", ["100,000"], "right"),
    column("expected", ["100,000"], "right"),
    column("merged", ["100,000"], "right"),
    column("schedules", ["100,000"], "right"),
    column(
      "expected",
      all.map(({ program }) => shown(program.schedules ?? null)),
      "right",
    ),
    column("deadlocked", [], "right"),
    column("classes", ["100,000"], "right"),
    column("expected", ["100,000"], "right"),
    column("", Object.values(verdictTexts)),
  ]
  yield* print(titles(columns, tableWidth).map(paint.faint))
  for (const { title, program } of all) {
    yield* status(() => `counting ${program.name}, ${progress.programs.length + 1} of ${all.length}`)
    const counts = yield* countProgram(program, size)
    const found = differences(program, counts)
    const { deadlocked = { states: 0, schedules: 0 }, name } = program
    const report: ProgramReport = {
      name,
      family: title,
      states: { expected: program.states ?? null, measured: counts.states ?? null },
      merged: counts.merged ?? null,
      schedules: { expected: program.schedules ?? null, measured: counts.schedules ?? null },
      classes: {
        complete: { expected: program.complete, measured: counts.classes?.complete ?? null },
        stuck: { expected: program.stuck ?? 0, measured: counts.classes?.stuck ?? null },
      },
      deadlocked: {
        expected: deadlocked === "unpublished" ? null : deadlocked,
        states: counts.deadlocked.states ?? null,
        schedules: counts.deadlocked.schedules ?? null,
      },
      verdict: skipped(counts) ? "skipped" : found.length === 0 ? "agrees" : "differs",
      differences: found,
    }
    progress.programs.push(report)
    const { classes, states, merged, schedules } = report
    const cells = [
      name,
      shown(states.measured),
      shown(states.expected),
      shown(merged),
      shown(schedules.measured),
      shown(schedules.expected),
      shown(report.deadlocked.schedules),
      shown(classes.complete.measured),
      shown(classes.complete.expected),
      verdictTexts[report.verdict],
    ]
    const colour = { agrees: paint.good, differs: paint.bad, skipped: paint.faint }[report.verdict]
    yield* print(row(columns, cells, tableWidth, (cell, position) => (position === 7 ? colour(cell) : cell)))
    yield* print(differenceLines(report, width))
  }
})

/** Schedules within bounds: a row for each program, by preemptions and by delays. */
const countAllBounded = Effect.fnUntraced(function* (progress: Progress, size: Size) {
  const { paint, print, status, tableWidth, width } = yield* Output
  const all = boundedPrograms.flatMap((program) => (["preemptions", "delays"] as const).map((by) => ({ program, by })))
  const bounds = boundedPrograms[0]?.preemptions ?? []
  const columns: ReadonlyArray<Column> = [
    column(
      "schedules of",
      all.map(({ program }) => program.name),
    ),
    column("at most", ["preemptions"]),
    ...bounds.map((_, most) => column(String(most), ["100,000"], "right" as const)),
    column("", Object.values(verdictTexts)),
  ]
  yield* print(["", ...titles(columns, tableWidth).map(paint.faint)])
  for (const { program, by } of all) {
    yield* status(() => `counting schedules of ${program.name} by ${by}`)
    const report = yield* countBounded(program, by, size)
    progress.bounded.push(report)
    const cells = [program.name, by, ...report.measured.map(shown), verdictTexts[report.verdict]]
    yield* print(row(columns, cells, tableWidth))
    yield* print(differenceLines(report, width))
  }
})

const differenceLines = ({ differences }: Pick<ProgramReport, "differences">, width: number): ReadonlyArray<string> =>
  differences.flatMap((difference) => indent(wrap(printable(difference), width - 2), 2))

const measure = Effect.fnUntraced(function* (progress: Progress, benchmarks: ReadonlyArray<Benchmark>, size: Size) {
  const { paint, print, status, tableWidth } = yield* Output
  const wanted = benchmarks.filter((benchmark) => includes(size, benchmark.size))
  const found = yield* measureSpeeds(
    wanted,
    size,
    (program) => sourceOf(program, undefined),
    (what, statistics, elapsed) =>
      status(() => (statistics === undefined ? what : progressLine(what, statistics, elapsed ?? 0))),
  ).pipe(Effect.catchTag("WorkersFailed", ({ message }) => Effect.die(new Error(message))))
  Object.assign(progress, found)
  if (found.speeds.length > 0) yield* print(["", ...speedLines(found.speeds, tableWidth, paint.faint)])
  yield* print(["", ...rateLines(found.rates)])
  yield* print(["", ...ratioLines(found.ratios, tableWidth, paint.faint)])
})

const speedLines = (
  speeds: ReadonlyArray<SpeedReport>,
  width: number,
  faint: (text: string) => string,
): ReadonlyArray<string> => {
  const columns: ReadonlyArray<Column> = [
    column(
      "scenario",
      speeds.map(({ id }) => id),
    ),
    column(
      "states",
      speeds.map(({ states }) => figure(states)),
      "right",
    ),
    column(
      "transitions",
      speeds.map(({ transitions }) => figure(transitions)),
      "right",
    ),
    column("time", ["100.0 s"], "right"),
    column("states/s", ["1,000,000"], "right"),
    column("transitions/s", [], "right"),
    column("memory", ["1,000 MiB"], "right"),
    column("workers", [], "right"),
    column("", Object.values(verdictTexts)),
    column(
      "bound",
      speeds.map(({ bound }) => boundText(bound)),
    ),
  ]
  const cells = (speed: SpeedReport) => [
    speed.id,
    figure(speed.states),
    figure(speed.transitions),
    seconds(speed.seconds),
    figure(speed.statesPerSecond),
    figure(speed.transitionsPerSecond),
    `${figure(Math.ceil(speed.memory / 2 ** 20))} MiB`,
    figure(speed.workers),
    verdictTexts[speed.verdict],
    boundText(speed.bound),
  ]
  return [
    ...titles(columns, width).map(faint),
    ...speeds.flatMap((speed) => [...row(columns, cells(speed), width), ...differenceLines(speed, width)]),
  ]
}

const rateLines = ({ suspensions, twoFibers, optimal, samplers }: Rates): ReadonlyArray<string> => {
  const rates: ReadonlyArray<readonly [number, string]> = [
    [suspensions, "suspensions of a bare Effect fiber"],
    [twoFibers.fastCheck, `schedules of ${twoFibers.program} by fast-check's scheduler`],
    [twoFibers.random, `schedules of ${twoFibers.program} by strategy random`],
    [twoFibers.dfs, `schedules of ${twoFibers.program} by strategy dfs`],
    ...optimal.flatMap(({ steps, taken, covered }) => [
      [taken, `steps that optimal takes on executions of ${steps}`] as const,
      [covered, `steps of the executions of ${steps} that it covers`] as const,
    ]),
    ...samplers.map(({ strategy, steps, rate }) => [rate, `steps of ${strategy} on schedules of ${steps}`] as const),
  ]
  return rates.map(([rate, what]) => `${figure(Math.round(rate)).padStart(11)}/s  ${what}`)
}

const ratioLines = (
  ratios: ReadonlyArray<Ratio>,
  width: number,
  faint: (text: string) => string,
): ReadonlyArray<string> => {
  const columns: ReadonlyArray<Column> = [
    column("ratio", ["1,000.00"], "right"),
    column("at least", [], "right"),
    column("", ["below"]),
    column("per second", []),
  ]
  const cells = ({ of, over, ratio, target }: Ratio) => [
    ratio.toFixed(2),
    target === null ? "" : figure(target),
    target !== null && ratio < target ? "below" : "",
    `${of}, over ${over}`,
  ]
  return [...titles(columns, width).map(faint), ...ratios.flatMap((ratio) => row(columns, cells(ratio), width))]
}
