import type { Node } from "./node.ts"

/**
 * What to put back, newest last. Its arrays keep their length when moves are taken back, so that going the way again
 * allocates nothing.
 *
 * Representation: the first `depth` pairs of `marks` are how long the logs of the store and of the tracker were before
 * each move. The first `length` of `fibers` and `nodes` are positions and what stood there, nothing if none did; a move
 * that changes two fibers has two entries, the second one's position negative (~position).
 */
export class Trail {
  /** How many moves there are to take back. */
  depth = 0
  length = 0
  readonly fibers: Array<number> = []
  readonly nodes: Array<Node | undefined> = []
  readonly marks: Array<number> = []

  /** A move is made; the marks are of before. */
  begin(storeMark: number, trackerMark: number): void {
    const at = 2 * this.depth++
    this.marks[at] = storeMark
    this.marks[at + 1] = trackerMark
  }

  /** The position now is another's, or gets one. */
  note(fiber: number, node: Node | undefined): void {
    this.fibers[this.length] = fiber
    this.nodes[this.length++] = node
  }

  /** How long the log of the store was before a move, counted from 0. */
  storeMark(move: number): number {
    return this.marks[2 * move] ?? 0
  }

  /** Likewise the log of the tracker. */
  trackerMark(move: number): number {
    return this.marks[2 * move + 1] ?? 0
  }

  /** Nothing is left to take back. */
  forget(): void {
    this.depth = 0
    this.length = 0
  }
}
