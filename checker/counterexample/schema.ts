/**
 * The format of a saved counterexample, version 1.
 *
 * One JSON object: which program (scenario, its bound, a seeded bug if one was on), how it was found (strategy, seed),
 * the schedule that breaks it, and what broke. Of a run without an end the schedule is a prefix and, from `cycle` on, the
 * steps that repeat for ever. The schedule names fibers and labels, so that it means the same on every machine and says
 * where it no longer fits. There is no code in it and no path.
 */
import * as Schema from "effect/Schema"

/** The version of the format that this version of the tool reads and writes. */
export const formatVersion = 1

/** One step of a schedule. */
export const Step = Schema.Struct({
  fiber: Schema.String,
  label: Schema.String,
  /** Which option was taken, counted from 0, where the step is a choice. */
  choice: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
})

/** The schema of a saved counterexample. */
export const Counterexample = Schema.Struct({
  formatVersion: Schema.Literal(formatVersion),
  scenario: Schema.String,
  bound: Schema.Record(Schema.String, Schema.Int),
  mutant: Schema.optionalKey(Schema.String),
  strategy: Schema.String,
  seed: Schema.Int,
  property: Schema.String,
  message: Schema.String,
  schedule: Schema.Array(Step),
  /** Where the schedule is a lasso: how many steps come before those that repeat for ever, which are all the rest. */
  cycle: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  tool: Schema.Struct({ name: Schema.String, version: Schema.String }),
}).check(
  Schema.makeFilter(({ cycle, schedule }) =>
    cycle === undefined || cycle < schedule.length
      ? undefined
      : { path: ["cycle"], issue: "less than the number of steps of the schedule" },
  ),
)

/** A saved failing run. */
export type Counterexample = typeof Counterexample.Type
