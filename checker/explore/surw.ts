/**
 * Strategy `surw`: the selectively uniform random walk. Zhao, Wolff, Mathur and Roychoudhury, "Selectively uniform
 * concurrency testing", ASPLOS 2025, algorithm 2.
 *
 * For each schedule one cell is drawn, by how often it is accessed, and the steps that access it are the interesting
 * ones. Whose interesting step is the next is drawn with odds as the numbers of those that the fibers have left, which
 * makes all orders of them equally likely; the other fibers wait when they come to one. Of the rest each step has a
 * priority of its own, and the highest is taken.
 *
 * Where it differs: the numbers are the greatest of the first sixteen schedules, not those of one run, and the very
 * first takes all steps by priority. A cell is drawn only if two fibers access it and one writes it; where there is none
 * such, all steps are taken by priority. Cells beyond the first 64 share their marks, and are drawn together.
 */
import type { Memoised } from "../engine/memoised.ts"
import { moveOf } from "../engine/system.ts"
import { Priorities } from "./priorities.ts"
import { type Chance, defaultExecutions, type Sampler, sampling } from "./sampling.ts"

/** How many cells have a mark of their own, and in how many schedules accesses are counted. */
const marks = 64
const profiled = 16

/** By cell, how often it is accessed. */
type Accesses = Uint32Array

class Surw implements Sampler {
  private readonly random: () => number
  private readonly engine: Memoised
  private readonly priorities: Priorities
  private schedules = 0
  /** By fiber: the most accesses of a schedule, and those of this one; and by cell, whether it is written. */
  private readonly most: Array<Accesses> = []
  private readonly now: Array<Accesses> = []
  private readonly written: Accesses = new Uint32Array(marks)
  /** The cells that may be drawn, and how often they are accessed by all fibers together. */
  private readonly cells: Array<number> = []
  private readonly weights: Array<number> = []
  /** By fiber: who forked it; -1 for those of the start. */
  private readonly parents: Array<number> = []
  /** The cell that was drawn, as a mark. */
  private low = 0
  private high = 0
  /** By fiber: interesting steps left, with those of fibers that it will fork; and whether it waits at one. */
  private readonly left: Array<number> = []
  private readonly waits: Array<boolean> = []
  /** Whose interesting step is the next; -1 until it is drawn. */
  private intended = -1
  /** How many fibers there are, and who took the last step. */
  private fibers = 0
  private last = -1

  constructor({ random, engine }: Chance) {
    this.random = random
    this.engine = engine
    this.priorities = new Priorities(random)
  }

  begin(): void {
    const { cells, left, most, parents } = this
    this.priorities.begin()
    const cell = cells.length < 2 ? (cells[0] ?? -1) : (cells[this.drawBy(this.weights, this.weights)] ?? -1)
    this.low = cell >= 0 && cell < 32 ? 1 << cell : 0
    this.high = cell >= 32 ? 1 << cell : 0
    for (let fiber = 0; fiber < most.length; fiber++) left[fiber] = most[fiber]?.[cell] ?? 0
    for (let fiber = most.length - 1; fiber >= 0; fiber--) {
      const parent = parents[fiber] ?? -1
      if (parent >= 0 && parent < fiber) left[parent] = (left[parent] ?? 0) + (left[fiber] ?? 0)
    }
    this.wake()
    this.fibers = 0
    this.last = -1
  }

  pick(ways: ReadonlyArray<number>): number {
    if (ways.length > this.fibers) this.meet(ways.length)
    const fiber = this.next(ways)
    if (this.schedules < profiled) this.count(fiber)
    this.priorities.draw(fiber)
    this.last = fiber
    return fiber
  }

  end(): void {
    if (this.schedules++ < profiled) this.learn()
  }

  private next(ways: ReadonlyArray<number>): number {
    const { left, priorities, waits } = this
    for (;;) {
      const fiber = priorities.highest(ways, waits)
      if (fiber < 0) {
        // The one whose turn it is cannot take an interesting step now.
        this.wake()
        continue
      }
      if (!this.isInteresting(fiber)) return fiber
      if ((left[fiber] ?? 0) <= 0) left[fiber] = 1
      if (this.intended < 0) this.intended = this.drawBy(left, ways)
      if (fiber === this.intended) {
        left[fiber] = (left[fiber] ?? 0) - 1
        this.wake()
        return fiber
      }
      waits[fiber] = true
    }
  }

  private isInteresting(fiber: number): boolean {
    if ((this.low | this.high) === 0) return false
    const { readsLow, readsHigh, bitsLow, bitsHigh } = this.engine.footprint(moveOf(fiber, 0))
    return (((readsLow | bitsLow) & this.low) | ((readsHigh | bitsHigh) & this.high)) !== 0
  }

  /** Nobody waits, and nobody's turn it is. */
  private wake(): void {
    const { waits } = this
    for (let fiber = 0; fiber < waits.length; fiber++) waits[fiber] = false
    this.intended = -1
  }

  /** A position, with odds as the numbers there, which are not all 0; of those only that are not 0 among the others. */
  private drawBy(numbers: ReadonlyArray<number>, others: ReadonlyArray<number>): number {
    let sum = 0
    let drawn = -1
    for (let at = 0; at < others.length; at++) {
      const number = others[at] === 0 ? 0 : (numbers[at] as number) // as long as the others, at least
      if (number === 0) continue
      sum += number
      drawn = at
    }
    let wanted = this.random() * sum
    for (let at = 0; at < drawn; at++) {
      if (others[at] !== 0) wanted -= numbers[at] as number
      if (wanted < 0) return at
    }
    return drawn
  }

  /** There are more fibers than before: those of the start, or forked by the last step, with their share of its steps. */
  private meet(fibers: number): void {
    const { last, left } = this
    for (let fiber = this.fibers; fiber < fibers; fiber++) {
      this.parents[fiber] = last
      this.waits[fiber] = false
      const own = left[fiber] ?? 0
      left[fiber] = own
      if (last < 0) continue
      const all = left[last] ?? 0
      if (this.intended === last && this.random() * all < own) this.intended = fiber
      left[last] = Math.max(0, all - own)
    }
    this.fibers = fibers
  }

  /** Counts the accesses of a step that is about to be taken. */
  private count(fiber: number): void {
    const { readsLow, readsHigh, bitsLow, bitsHigh } = this.engine.footprint(moveOf(fiber, 0))
    const accesses = this.now[fiber] ?? new Uint32Array(marks)
    this.now[fiber] = accesses
    for (let cell = 0; cell < marks; cell++) {
      const mark = 1 << cell
      const writes = ((cell < 32 ? bitsLow : bitsHigh) & mark) !== 0
      if (writes) this.written[cell] = 1
      if (writes || ((cell < 32 ? readsLow : readsHigh) & mark) !== 0) accesses[cell] = (accesses[cell] ?? 0) + 1
    }
  }

  /** Notes what was counted in a schedule. */
  private learn(): void {
    const { cells, most, now, weights, written } = this
    now.forEach((accesses, fiber) => {
      most[fiber] = accesses.map((times, cell) => Math.max(times, most[fiber]?.[cell] ?? 0))
      accesses.fill(0)
    })
    cells.length = 0
    weights.length = 0
    for (let cell = 0; cell < marks; cell++) {
      const times = most.map((accesses) => accesses[cell] ?? 0)
      if (written[cell] === 0 || times.filter((each) => each > 0).length < 2) continue
      cells.push(cell)
      weights.push(times.reduce((sum, each) => sum + each, 0))
    }
  }
}

export const surw = sampling(
  {
    name: "surw",
    needsSteps: true,
    summary: `nothing is ever proved: --executions N schedules (default ${defaultExecutions}) drawn from --seed N showed no violation; in each, the accesses to one cell come in any order with the same odds`,
  },
  (chance) => new Surw(chance),
)
