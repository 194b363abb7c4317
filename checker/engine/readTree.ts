/**
 * What a pure function of cells comes to, learnt: a decision tree over the cells that it reads.
 *
 * A body, guard or property that reads the same contents does the same again. So it is run once for each combination of
 * contents that it meets, and what it read becomes a path of a tree: inner nodes name the cell that is read next (which
 * depends on what was read before), branches are contents, leaves are outcomes. Later a walk of a few array look-ups
 * takes its place, and no code of the program runs.
 */
import type { StoredCell } from "../program/store.ts"

class TreeNode<A> {
  /** The cell that is read next; none at a leaf. */
  readonly cell: StoredCell | undefined
  readonly outcome: A | undefined
  /** By the index of the cell's entry. */
  readonly branches: Array<TreeNode<A> | undefined> = []

  constructor(cell: StoredCell | undefined, outcome: A | undefined) {
    this.cell = cell
    this.outcome = outcome
  }
}

/** Leaves between two looks at whether learning pays. */
const trial = 1024

/** How often a leaf must be found, on average, for learning to pay. */
const worthwhile = 2

/** How many leaves a tree has at most. */
const largest = 100_000

export class ReadTree<A> {
  private root: TreeNode<A> | undefined = undefined
  /** How many outcomes are known. */
  leaves = 0
  /** Finds and leaves since learning was last found to pay. */
  private found = 0
  private recent = 0
  /** Set when what is read hardly ever comes again: nothing more is learnt then. */
  private abandoned = false

  /** The outcome for the present contents, if it is known. */
  find(): A | undefined {
    let node = this.root
    while (node !== undefined) {
      if (node.cell === undefined) {
        this.found++
        return node.outcome
      }
      node = node.branches[node.cell.entry.index]
    }
    return undefined
  }

  /**
   * Notes an outcome.
   *
   * @param reads the cells that the function read before it wrote them, in order
   * @param indexOf the index of the entry that a cell had then
   * @returns false when it read other cells after the same contents than before: it is no function of cells
   */
  learn(reads: ReadonlyArray<StoredCell>, indexOf: (cell: StoredCell) => number, outcome: A): boolean {
    if (this.abandoned || this.leaves >= largest || this.isWasted()) return true
    this.leaves++
    this.recent++
    const nodeAt = (depth: number) => new TreeNode(reads[depth], depth === reads.length ? outcome : undefined)
    this.root ??= nodeAt(0)
    let node = this.root
    for (const [depth, cell] of reads.entries()) {
      if (node.cell !== cell) return false
      const index = indexOf(cell)
      const next: TreeNode<A> = node.branches[index] ?? nodeAt(depth + 1)
      node.branches[index] = next
      node = next
    }
    return node.cell === undefined
  }

  private isWasted(): boolean {
    if (this.recent < trial) return false
    this.abandoned = this.found < worthwhile * this.recent
    if (this.abandoned) this.root = undefined
    this.recent = 0
    this.found = 0
    return this.abandoned
  }
}
