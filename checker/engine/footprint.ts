/**
 * Which cells the next operation of a fiber reads and writes in the present state, its guard's reads included: for
 * choosing between schedules, not for proving anything of them. Cells are told apart as far as their bits do, which is
 * exact for the first 64; further ones share theirs. What a fork, join or interruption does to other fibers is none of
 * a cell's business.
 */
import type { Outcome } from "./node.ts"
import type { ReadTree } from "./readTree.ts"

/** Sets of cells, as halves of 64 bits. */
export class Footprint {
  readsLow = 0
  readsHigh = 0
  writesLow = 0
  writesHigh = 0

  /** Becomes what a guard reads, and a body reads and writes, in the present state. */
  become(
    guard: ReadTree<boolean> | undefined,
    body: ReadTree<Outcome> | undefined,
    outcome: Outcome | undefined,
  ): void {
    this.readsLow = 0
    this.readsHigh = 0
    guard?.addReads(this)
    body?.addReads(this)
    this.writesLow = outcome?.bitsLow ?? 0
    this.writesHigh = outcome?.bitsHigh ?? 0
  }

  /** Whether it has a cell in common with another one that one of the two writes. */
  conflictsWith({ readsLow, readsHigh, writesLow, writesHigh }: Footprint): boolean {
    const low = (this.writesLow & (readsLow | writesLow)) | (this.readsLow & writesLow)
    const high = (this.writesHigh & (readsHigh | writesHigh)) | (this.readsHigh & writesHigh)
    return (low | high) !== 0
  }
}
