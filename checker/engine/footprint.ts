/**
 * Which cells the next operation of a fiber reads and writes in the present state, its guard's reads included: for
 * choosing between schedules, not for proving anything of them. Cells are told apart as far as their bits do, which is
 * exact for the first 64; further ones share theirs. What a fork, join or interruption does to other fibers is none of
 * a cell's business.
 */

import type { Operation } from "../program/operation.ts"
import type { Outcome } from "./node.ts"
import type { ReadTree } from "./readTree.ts"
import { type Move, moveOf } from "./system.ts"

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

/** The engine, as far as it is asked. */
interface Toucher {
  touch(move: Move, footprint: Footprint): void
  operation(fiber: number): Operation | undefined
}

/**
 * What the next steps of the fibers touch, along a path: each is looked up once, and again when a cell that it reads is
 * written.
 */
export class Footprints {
  private readonly engine: Toucher
  private readonly footprints: Array<Footprint> = []
  /** By fiber: the operation whose footprint is known. */
  private readonly known: Array<Operation | undefined> = []

  constructor(engine: Toucher) {
    this.engine = engine
  }

  /** Another path begins. */
  begin(): void {
    for (let fiber = 0; fiber < this.known.length; fiber++) this.known[fiber] = undefined
  }

  /** The footprint of a fiber that can go on; of a choice, that of its first option. */
  of(fiber: number): Footprint {
    const operation = this.engine.operation(fiber)
    while (this.footprints.length <= fiber) this.footprints.push(new Footprint())
    const footprint = this.footprints[fiber] as Footprint // pushed above, at the latest
    if (operation === undefined || this.known[fiber] !== operation) {
      this.engine.touch(moveOf(fiber, 0), footprint)
      this.known[fiber] = operation
    }
    return footprint
  }

  /** A fiber is about to take its step. */
  move(fiber: number): void {
    const { writesLow, writesHigh } = this.of(fiber)
    this.known[fiber] = undefined
    for (let other = 0; other < this.footprints.length; other++) {
      const { readsLow, readsHigh } = this.footprints[other] as Footprint // other is within
      if (((readsLow & writesLow) | (readsHigh & writesHigh)) !== 0) this.known[other] = undefined
    }
  }
}
