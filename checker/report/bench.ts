/** The document that `bench --json` writes, version 1: what was counted, and how fast. */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Rate = Schema.Finite.check(Schema.isGreaterThan(0))

/** What a bench of this size leaves out is `null`. */
const Measured = Schema.NullOr(Count)
const Pair = Schema.Struct({ expected: Count, measured: Measured })
/** What is not published is `null` too. */
const Published = Schema.Struct({ expected: Schema.NullOr(Count), measured: Measured })

/** A program with published numbers, counted. */
export const ProgramReport = Schema.Struct({
  name: Schema.String,
  family: Schema.String,
  /** Distinct states, no histories merged. */
  states: Published,
  /** Distinct states with the ends of a fiber merged: no more than those. */
  merged: Measured,
  /** Schedules without any reduction. */
  schedules: Published,
  /** Classes of schedules that differ only in the order of independent steps: in which all fibers end, and in which not. */
  classes: Schema.Struct({ complete: Pair, stuck: Pair }),
  /** Where a fiber waits for ever; `null` where nothing is published of it. */
  deadlocked: Schema.Struct({
    expected: Schema.NullOr(Schema.Struct({ states: Count, schedules: Count })),
    states: Measured,
    schedules: Measured,
  }),
  /** Whether all that was measured is as expected, unless nothing was. */
  verdict: Schema.Literals(["agrees", "differs", "skipped"]),
  /** A sentence for each thing that differs. */
  differences: Schema.Array(Schema.String),
})
export type ProgramReport = typeof ProgramReport.Type

/** A program whose schedules of at most 0, 1, 2 ... preemptions, or delays, strategy `bounded` counted. */
export const BoundedReport = Schema.Struct({
  name: Schema.String,
  by: Schema.Literals(["preemptions", "delays"]),
  expected: Schema.Array(Count),
  measured: Schema.Array(Measured),
  verdict: Schema.Literals(["agrees", "differs", "skipped"]),
  differences: Schema.Array(Schema.String),
})
export type BoundedReport = typeof BoundedReport.Type

/** A scenario explored by `states` to its end. Times are medians of the rounds. */
export const SpeedReport = Schema.Struct({
  id: Schema.String,
  bound: Schema.Record(Schema.String, Schema.Int),
  outcome: Schema.Literals(["holds", "violated", "inconclusive"]),
  states: Count,
  transitions: Count,
  /** Threads that explored. */
  workers: Count,
  expected: Schema.NullOr(Schema.Struct({ states: Count, transitions: Count })),
  /** Whether it holds, with the numbers that are expected, if there are any. */
  verdict: Schema.Literals(["agrees", "differs"]),
  /** A sentence for each thing that differs, between rounds too. */
  differences: Schema.Array(Schema.String),
  /** Wall-clock seconds. */
  seconds: Schema.Finite,
  statesPerSecond: Schema.Finite,
  transitionsPerSecond: Schema.Finite,
  /** Bytes by which the process's resident memory grew at most, above what it was when the exploration began. */
  memory: Count,
})
export type SpeedReport = typeof SpeedReport.Type

/** Rates per second, medians of the rounds. */
export const Rates = Schema.Struct({
  /** A bare Effect fiber suspended and resumed. */
  suspensions: Rate,
  /** Schedules of the program of two fibers: by fast-check's scheduler, and by strategies of this checker. */
  twoFibers: Schema.Struct({ program: Schema.String, fastCheck: Rate, random: Rate, dfs: Rate }),
  /** Steps of schedules of so many that a sampler draws. */
  samplers: Schema.Array(Schema.Struct({ strategy: Schema.String, steps: Count, rate: Rate })),
  /** Steps that `optimal` takes on executions of so many, and those of the executions that it covers so. */
  optimal: Schema.Array(Schema.Struct({ steps: Count, taken: Rate, covered: Rate })),
})
export type Rates = typeof Rates.Type

/** One rate over another. */
export const Ratio = Schema.Struct({
  of: Schema.String,
  over: Schema.String,
  ratio: Schema.Finite,
  /** What it should be at least. */
  target: Schema.NullOr(Schema.Finite),
})
export type Ratio = typeof Ratio.Type

/** What a bench came to. */
export const BenchReport = Schema.Struct({
  formatVersion: Schema.Literal(1),
  tool: Schema.Struct({ name: Schema.String, version: Schema.String }),
  machine: Schema.Struct({ node: Schema.String, platform: Schema.String, cpu: Schema.String, cpus: Count }),
  size: Schema.Literals(["quick", "usual", "full"]),
  /** True when the bench was interrupted: the document then says what was measured. */
  interrupted: Schema.optionalKey(Schema.Boolean),
  programs: Schema.Array(ProgramReport),
  bounded: Schema.Array(BoundedReport),
  speeds: Schema.Array(SpeedReport),
  /** Absent when the bench was interrupted before. */
  rates: Schema.optionalKey(Rates),
  ratios: Schema.Array(Ratio),
})
export type BenchReport = typeof BenchReport.Type
