/**
 * Where each fiber stands in the memoised engine, with the trail of moves by which it came there.
 *
 * What a move changes of the cells and of what properties observed is in the logs of the store and of the tracker; the
 * trail says how long these were. Its arrays keep their length when moves are taken back, so that going the way again
 * allocates nothing.
 */
import type { Plain } from "../program/plain.ts"
import type { Node } from "./node.ts"
import type { Others } from "./system.ts"

/**
 * See above.
 *
 * Representation: each node in `at` is counted in the fingerprint of its part, and no other is. The first `depth` pairs
 * of `marks` are how long the logs of the store and of the tracker were before each move. The first `length` of `fibers`
 * and `nodes` are positions and what stood there, nothing if none did, newest last; a move that changes two fibers has
 * two entries, the second one's position negative (~position).
 */
export class Whereabouts implements Others {
  readonly at: Array<Node>
  /** Counts the changes of where fibers stand. */
  changes = 0
  /** How many moves there are to take back. */
  depth = 0
  private length = 0
  private readonly fibers: Array<number> = []
  private readonly nodes: Array<Node | undefined> = []
  private readonly marks: Array<number> = []

  constructor(at: Array<Node>) {
    this.at = at
    for (const node of at) addOrTakeAway(node)
  }

  named(fiber: string): Node | undefined {
    return this.at.find((node) => node.fiber.name === fiber)
  }

  valueOf(fiber: string): Plain {
    return this.named(fiber)?.value
  }

  isRunning(fiber: string): boolean {
    return this.named(fiber)?.ended === false
  }

  /** A move is made; the marks are of before. */
  begin(storeMark: number, trackerMark: number): void {
    const at = 2 * this.depth++
    this.marks[at] = storeMark
    this.marks[at + 1] = trackerMark
  }

  /** Moves the fiber whose move it is. */
  move(fiber: number, from: Node, to: Node): void {
    this.note(fiber, from)
    const { part } = to
    part.low ^= from.low ^ to.low
    part.high ^= from.high ^ to.high
    this.changes++
    this.at[fiber] = to
  }

  /** Moves a second fiber within the same move. */
  moveToo(fiber: number, to: Node): void {
    this.note(~fiber, this.at[fiber])
    this.put(fiber, to)
  }

  /** Takes the last move back, as far as fibers go. */
  undo(): void {
    if (this.depth === 0) throw new Error("there is no move to take back")
    this.depth--
    for (let fiber = -1; fiber < 0; ) {
      fiber = this.fibers[--this.length] as number // each move has one at least
      this.put(fiber < 0 ? ~fiber : fiber, this.nodes[this.length])
    }
  }

  /** How long the log of the store was before a move, counted from 0. */
  storeMark(move: number): number {
    return this.marks[2 * move] ?? 0
  }

  /** Likewise the log of the tracker. */
  trackerMark(move: number): number {
    return this.marks[2 * move + 1] ?? 0
  }

  /** Puts fibers where they stood once. No move can be taken back then. */
  restore(at: ReadonlyArray<Node>): void {
    for (let fiber = Math.max(at.length, this.at.length) - 1; fiber >= 0; fiber--) {
      if (this.at[fiber] !== at[fiber]) this.put(fiber, at[fiber])
    }
    this.depth = 0
    this.length = 0
  }

  private note(fiber: number, node: Node | undefined): void {
    this.fibers[this.length] = fiber
    this.nodes[this.length++] = node
  }

  /**
   * Puts a fiber somewhere, or takes away the last one. In another state the position may be another fiber's, which
   * belongs to another name: fibers that are forked stand in the order in which they were.
   */
  private put(fiber: number, node: Node | undefined): void {
    const before = this.at[fiber]
    if (before !== undefined) addOrTakeAway(before)
    if (node !== undefined) addOrTakeAway(node)
    this.changes++
    if (node === undefined) this.at.length = fiber
    else this.at[fiber] = node
  }
}

/** Adds a fiber's node to the fingerprint of the part that it belongs to, or takes it away: with XOR that is one. */
const addOrTakeAway = ({ part, low, high }: Node): void => {
  part.low ^= low
  part.high ^= high
}
