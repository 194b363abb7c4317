/**
 * Which cells the next operation of a fiber reads and writes in the present state, its guard's reads included: for
 * choosing between schedules, not for proving anything of them. Cells are told apart as far as their bits do, which is
 * exact for the first 64; further ones share theirs. What a fork, join or interruption does to other fibers is none of
 * a cell's business.
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
