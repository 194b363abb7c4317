/**
 * Which cells the next operation of a fiber reads and writes in the present state, its guard's reads included: for
 * choosing between schedules, not for proving anything of them. A sampler asks this at every step, so it is no more than
 * the bits that an outcome has anyway: exact for the first 64 cells; further ones share theirs.
 *
 * `dependence.ts` is what a reduction may leave out executions by: it tells all cells apart, and knows properties and
 * fibers as well. Here what properties see, and what a fork, join or interruption does to other fibers, is left out.
 */
import type { Outcome } from "./node.ts"
import type { ReadTree } from "./readTree.ts"

/** Sets of cells, as halves of 64 bits. What an operation without a guard comes to is its own footprint. */
export interface RoughFootprint {
  readonly readsLow: number
  readonly readsHigh: number
  /** The cells that are written. */
  readonly bitsLow: number
  readonly bitsHigh: number
}

export const noFootprint: RoughFootprint = { readsLow: 0, readsHigh: 0, bitsLow: 0, bitsHigh: 0 }

/** That of an operation with a guard. */
export const guardedFootprint = (guard: ReadTree<boolean>, { readsLow, readsHigh, bitsLow, bitsHigh }: Outcome) => {
  const footprint = { readsLow, readsHigh, bitsLow, bitsHigh }
  guard.addReads(footprint)
  return footprint
}

/** Whether two have a cell in common that one of them writes. */
export const conflict = (one: RoughFootprint, other: RoughFootprint): boolean =>
  ((one.bitsLow & (other.readsLow | other.bitsLow)) |
    (one.readsLow & other.bitsLow) |
    (one.bitsHigh & (other.readsHigh | other.bitsHigh)) |
    (one.readsHigh & other.bitsHigh)) !==
  0
