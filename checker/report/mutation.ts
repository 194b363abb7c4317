/** The document of `mutants --json`, version 1: every mutant of the protocols, and what became of it. */
import * as Schema from "effect/Schema"
import { count, figure } from "./text.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** One mutant. */
export const MutantReport = Schema.Struct({
  /** The operator, the step and what else it changes: `swap smp_mb | test_bit`. */
  id: Schema.String,
  operator: Schema.String,
  /**
   * A property broke; none did, and every exploration came to its end; it does the same as the correct program; it is no
   * program any more, as it breaks a rule of their language; or a budget ended an exploration before it was decided.
   */
  verdict: Schema.Literals(["killed", "survived", "equivalent", "invalid", "inconclusive"]),
  /** What killed it, and where. */
  property: Schema.optionalKey(Schema.String),
  message: Schema.optionalKey(Schema.String),
  scenario: Schema.optionalKey(Schema.String),
  bound: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)),
  /** Why it is equivalent, invalid or inconclusive. */
  reason: Schema.optionalKey(Schema.String),
  /** Why the spec says that it may survive. */
  explanation: Schema.optionalKey(Schema.String),
  /** States visited in all explorations of it together. */
  states: Count,
})
export type MutantReport = typeof MutantReport.Type

/** How many mutants came to what. */
export const MutantCounts = Schema.Struct({
  mutants: Count,
  killed: Count,
  equivalent: Count,
  invalid: Count,
  survived: Count,
  inconclusive: Count,
  /** Of those that survived or stayed inconclusive: how many the spec explains. */
  explained: Count,
})
export type MutantCounts = typeof MutantCounts.Type

/** The mutants of one protocol. */
export const MutatedProtocol = Schema.Struct({
  protocol: Schema.String,
  counts: MutantCounts,
  /** Killed, of those that are programs and not equivalent; 1 where there are none. */
  killRate: Schema.Finite,
  mutants: Schema.Array(MutantReport),
  /** Sentences about what is wrong with the protocol as it is, and with what its spec says of survivors. */
  trouble: Schema.Array(Schema.String),
  seconds: Schema.Finite,
})
export type MutatedProtocol = typeof MutatedProtocol.Type

/** What a run of `mutants` came to. */
export const MutationReport = Schema.Struct({
  formatVersion: Schema.Literal(1),
  tool: Schema.Struct({ name: Schema.String, version: Schema.String }),
  /** True when the run was interrupted: the document then says what was reached. */
  interrupted: Schema.optionalKey(Schema.Boolean),
  /**
   * The most states of one exploration, and of all explorations of one mutant, at the first attempt; and how many times
   * that at the second, of mutants that were open then, if there was one.
   */
  budget: Schema.Struct({ exploration: Count, mutant: Count, secondAttempt: Schema.optionalKey(Count) }),
  /** The operators, by name, each in a sentence. */
  operators: Schema.Record(Schema.String, Schema.String),
  protocols: Schema.Array(MutatedProtocol),
  counts: MutantCounts,
  killRate: Schema.Finite,
})
export type MutationReport = typeof MutationReport.Type

/** Counts mutants. */
export const countMutants = (mutants: ReadonlyArray<MutantReport>): MutantCounts => {
  const are = (verdict: MutantReport["verdict"]) => mutants.filter((mutant) => mutant.verdict === verdict).length
  return {
    mutants: mutants.length,
    killed: are("killed"),
    equivalent: are("equivalent"),
    invalid: are("invalid"),
    survived: are("survived"),
    inconclusive: are("inconclusive"),
    explained: mutants.filter(({ explanation }) => explanation !== undefined).length,
  }
}

/** The share of the mutants that were killed, of those that could be. */
export const killRateOf = ({ killed, survived, inconclusive }: MutantCounts): number =>
  killed + survived + inconclusive === 0 ? 1 : killed / (killed + survived + inconclusive)

/** What became of mutants, in a line. */
export const countsText = (counts: MutantCounts): string => {
  const texts = [
    `${figure(counts.killed)} killed`,
    `${figure(counts.equivalent)} equivalent`,
    `${figure(counts.survived)} survived`,
    ...(counts.inconclusive === 0 ? [] : [`${figure(counts.inconclusive)} inconclusive`]),
    ...(counts.invalid === 0 ? [] : [`${figure(counts.invalid)} no program`]),
    ...(counts.survived + counts.inconclusive === 0 ? [] : [`${figure(counts.explained)} explained`]),
  ]
  const couldBe = counts.killed + counts.survived + counts.inconclusive
  const rate = couldBe === 0 ? "" : `; ${(100 * killRateOf(counts)).toFixed(1)} % killed of those that can be`
  return `${count(counts.mutants, "mutant")}: ${texts.join(", ")}${rate}`
}
