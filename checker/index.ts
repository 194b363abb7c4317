/** Shootdown's public entry: what programs, scenarios, specs and tests are written with. */

export type { Benchmark } from "./bench/benchmark.ts"
export { type Replayed, replay } from "./counterexample/replay.ts"
export { Counterexample, formatVersion } from "./counterexample/schema.ts"
export { type Shrunk, shrink } from "./counterexample/shrink.ts"
export { type Budget, explore, type Outcome, type Result, Unfit } from "./explore/explore.ts"
export { countPreemptions, type LeftOutStep, type Run, runMoves, type ScheduledStep } from "./explore/schedule.ts"
export { defaultStrategy, strategies } from "./explore/strategies.ts"
export type { SearchOptions, Statistics, Strategy, Survey } from "./explore/strategy.ts"
export { exploreToEnd, Unanswered } from "./explore/toTheEnd.ts"
export { missedStateOdds } from "./explore/visited.ts"
export { type ExploreMutant, exploreHere } from "./mutation/attempt.ts"
export { type MutationBudget, MutationRun } from "./mutation/campaign.ts"
export { learn, type Mutant, programOf as mutantAt, statesToLearn } from "./mutation/learn.ts"
export * from "./program/index.ts"
export type { Operation } from "./program/operation.ts"
export {
  type ActionInvariant,
  type AtEnd,
  actionInvariant,
  type DataRaces,
  dataRaces,
  type Fibers,
  type Invariant,
  type LeadsTo,
  type LockInversions,
  type LockOrder,
  lockInversions,
  lockOrder,
  type Progress,
  type Property,
  type Waiting,
} from "./property/property.ts"
export { builtIn, type Violation } from "./property/violation.ts"
export { BenchReport } from "./report/bench.ts"
export type {
  Chapter,
  Comparison,
  ComparisonCell,
  ComparisonRow,
  HandbookSource,
} from "./report/handbook/comparison.ts"
export { MutationReport } from "./report/mutation.ts"
export { ComparisonReport, Listing, ReplayReport, Report, ScenarioReport } from "./report/report.ts"
export { boundText } from "./report/text.ts"
export { traceLines } from "./report/trace.ts"
export {
  type EffectProgram,
  type EffectProgramDefinition,
  type ExitProperty,
  effectProgram,
} from "./scenario/effectProgram.ts"
export { type Program, SetupFailed, withoutFiber } from "./scenario/program.ts"
export {
  type About,
  type BugEntry,
  type Descriptions,
  type Protocol,
  protocol,
  protocolOf,
  type Registry,
  type ScenarioEntry,
  type Survivors,
} from "./scenario/protocol.ts"
export {
  BadBound,
  type Bound,
  type Monitor,
  type Parameter,
  type Parameters,
  type Scenario,
  type Setup,
  scenario,
  type Taken,
} from "./scenario/scenario.ts"
export {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  moveBehind,
  type Replacement,
  type Replacements,
  type SeededBug,
} from "./scenario/seededBug.ts"
