import type { ScenarioEntry } from "../scenario/protocol.ts"
import type { Bound } from "../scenario/scenario.ts"

/** How much a bench measures: each takes in what the ones before it do. */
export const sizes = ["quick", "usual", "full"] as const
export type Size = (typeof sizes)[number]

/** Whether a bench of one size measures what belongs to another. */
export const includes = (bench: Size, size: Size): boolean => sizes.indexOf(size) <= sizes.indexOf(bench)

/** A scenario whose exploration by `states`, to its end, is measured. */
export interface Benchmark {
  readonly scenario: ScenarioEntry
  /** Where it is not the default. */
  readonly bound?: Bound
  /** What the exploration must count, where that is known. */
  readonly expected?: { readonly states: number; readonly transitions: number }
  /** The smallest bench that it is part of. */
  readonly size: Size
  /** The transitions that should be made, at least, in the time in which a bare Effect fiber is suspended and resumed once. */
  readonly perSuspension?: number
  /** How many times as fast two workers should be as one, at least: it is explored by two as well then. */
  readonly twoWorkers?: number
}
