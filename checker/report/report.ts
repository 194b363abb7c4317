/**
 * The document that `--json` writes, version 1: what was explored and what it came to. Everything a machine may want to
 * know of a run is here; the report for people says the same in other words.
 */
import * as Schema from "effect/Schema"
import { Counterexample } from "../counterexample/schema.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Tool = Schema.Struct({ name: Schema.String, version: Schema.String })

/** One scenario at one bound, explored. */
export const ScenarioReport = Schema.Struct({
  id: Schema.String,
  strategy: Schema.String,
  /** Of a strategy that draws its schedules: enough, with their number, to draw the same. */
  seed: Schema.optionalKey(Schema.Int),
  bound: Schema.Record(Schema.String, Schema.Int),
  /** The seeded bug that was switched on. */
  mutant: Schema.NullOr(Schema.String),
  outcome: Schema.Literals(["holds", "violated", "inconclusive"]),
  /** Distinct states, where the strategy matches them. */
  states: Count,
  /** Complete executions, where the strategy enumerates them. */
  executions: Count,
  /** Executions that a reduction cut off: wasted work. */
  blocked: Count,
  /** Steps executed. */
  transitions: Count,
  /** The most steps in one execution. */
  maxDepth: Count,
  /**
   * Every schedule of at most so many preemptions, or delays, was run, and not every schedule beyond: what `holds` is
   * said of, what an inconclusive exploration has covered and, where a violation was found, that fewer break nothing.
   * Absent where nothing is left out.
   */
  within: Schema.optionalKey(Schema.Union([Schema.Struct({ preemptions: Count }), Schema.Struct({ delays: Count })])),
  /** The strategy that decided, where several took part. */
  decidedBy: Schema.optionalKey(Schema.String),
  /** Wall-clock seconds. */
  seconds: Schema.Finite,
  /** The most threads that explored at once, where several can. */
  workers: Schema.optionalKey(Count),
  /** The most bytes of memory that the process was seen to use. */
  peakMemory: Schema.optionalKey(Count),
  /** The odds that a state was missed because two fingerprints were equal are at most this. */
  missedStateOdds: Schema.Finite,
  /** How often each property was evaluated with its premise true. */
  exercised: Schema.Record(Schema.String, Count),
  /**
   * How often each step was taken, by name: 0 for those only reached and, where it holds, for those that monitors and
   * mutants name.
   */
  steps: Schema.Record(Schema.String, Count),
  /** Where it holds: the properties that were never exercised, and the steps that were never taken. */
  neverExercised: Schema.optionalKey(Schema.Array(Schema.String)),
  neverTaken: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Why the exploration is inconclusive. */
  reason: Schema.optionalKey(Schema.String),
  /** The id of the property that broke, and what happened. */
  property: Schema.optionalKey(Schema.String),
  message: Schema.optionalKey(Schema.String),
  /** The shrunk schedule that breaks it; absent where no one schedule shows it. */
  counterexample: Schema.optionalKey(Counterexample),
  /** Preemptive switches in that schedule. */
  preemptions: Schema.optionalKey(Count),
  /** Where the counterexample was saved. */
  file: Schema.optionalKey(Schema.String),
})
export type ScenarioReport = typeof ScenarioReport.Type

/** One saved counterexample, replayed. */
export const ReplayReport = Schema.Struct({
  file: Schema.String,
  scenario: Schema.String,
  mutant: Schema.NullOr(Schema.String),
  property: Schema.String,
  /** It broke as recorded; the schedule no longer fits the program; or it fits and nothing breaks. */
  outcome: Schema.Literals(["reproduced", "stale", "healed"]),
  message: Schema.String,
  /** After how many of its steps the property was broken already, where the schedule goes on needlessly. */
  brokenAfter: Schema.optionalKey(Count),
})
export type ReplayReport = typeof ReplayReport.Type

/** What the scenarios of a protocol leave out, all together: a hole in what is checked. */
export const ProtocolGaps = Schema.Struct({
  protocol: Schema.String,
  neverExercised: Schema.Array(Schema.String),
  neverTaken: Schema.Array(Schema.String),
})
export type ProtocolGaps = typeof ProtocolGaps.Type

/** A comparison of designs, run: of `docs`. */
export const ComparisonReport = Schema.Struct({
  comparison: Schema.String,
  /** The table: what the runs came to for each design at each point, as its page says it. */
  rows: Schema.Array(
    Schema.Struct({
      point: Schema.String,
      cells: Schema.Array(
        Schema.Struct({ outcome: Schema.Array(Schema.String), finding: Schema.optionalKey(Schema.String) }),
      ),
    }),
  ),
  /** The explorations that it rests on. What is asked may be other than the scenario's own properties. */
  runs: Schema.Array(ScenarioReport),
})
export type ComparisonReport = typeof ComparisonReport.Type

/** What a run of the checker came to. */
export const Report = Schema.Struct({
  formatVersion: Schema.Literal(1),
  tool: Tool,
  /** True when the run was interrupted: the document then says what was reached. */
  interrupted: Schema.optionalKey(Schema.Boolean),
  scenarios: Schema.Array(ScenarioReport),
  replays: Schema.optionalKey(Schema.Array(ReplayReport)),
  /** Of the bare command: for each protocol all of whose scenarios hold, what none of them exercised or took. */
  gaps: Schema.optionalKey(Schema.Array(ProtocolGaps)),
  /** Of `docs`: the comparisons that it explored for. Absent in the documents of older versions, and where there are none. */
  comparisons: Schema.optionalKey(Schema.Array(ComparisonReport)),
})
export type Report = typeof Report.Type

/** What there is to check: the document of `list --json`. */
export const Listing = Schema.Struct({
  formatVersion: Schema.Literal(1),
  tool: Tool,
  protocols: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      title: Schema.String,
      scenarios: Schema.Array(
        Schema.Struct({
          id: Schema.String,
          summary: Schema.String,
          parameters: Schema.Record(
            Schema.String,
            Schema.Struct({ description: Schema.String, default: Schema.Int, min: Schema.Int, max: Schema.Int }),
          ),
          properties: Schema.Array(Schema.String),
        }),
      ),
      properties: Schema.Array(
        Schema.Struct({
          id: Schema.String,
          kind: Schema.Literals([
            "invariant",
            "action",
            "atEnd",
            "progress",
            "leadsTo",
            "dataRaces",
            "lockOrder",
            "lockInversions",
          ]),
          statement: Schema.String,
          source: Schema.String,
        }),
      ),
      mutants: Schema.Array(
        Schema.Struct({
          id: Schema.String,
          title: Schema.String,
          source: Schema.String,
          /** What else it is known by: numbers of a catalogue, the commit that fixed it, its CVE. */
          references: Schema.Array(Schema.String),
          scenario: Schema.String,
          breaks: Schema.String,
        }),
      ),
    }),
  ),
})
export type Listing = typeof Listing.Type
