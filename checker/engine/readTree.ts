/**
 * What a pure function of cells comes to, learnt: a decision tree over the cells that it reads.
 *
 * A body, guard or property that reads the same contents does the same again. So it is run once for each combination of
 * contents that it meets, and what it read becomes a path of a tree: inner nodes name the cell that is read next (which
 * depends on what was read before), branches are contents, leaves are outcomes. Later a walk of a few array look-ups
 * takes its place, and no code of the program runs.
 */
import { type Bits, bitsOf, type Entry, type Store, type StoredCell } from "../program/store.ts"

/** Leaves between two looks at whether learning pays. */
const trial = 1024

/** How often a leaf must be found, on average, for learning to pay. */
const worthwhile = 2

/** How many leaves a tree has at most. */
const largest = 100_000

/** What stands for a branch of which nothing is known. */
const unknown = 0

/**
 * See above.
 *
 * Representation: a branch is the place of an inner node in `nodes`, which is above 0; or -1 - n for the leaf with
 * `outcomes[n]`; or `unknown`. An inner node is the position of the cell that is read next, how many branches there is
 * room for, and the branches by the index of the cell's entry.
 */
export class ReadTree<A> implements Bits {
  /** The cells that were read on any path. */
  bitsLow = 0
  bitsHigh = 0
  private readonly store: Store
  private root = unknown
  private nodes: Array<number> = [unknown]
  private outcomes: Array<A> = []
  /** Finds and leaves since learning was last found to pay. */
  private found = 0
  private recent = 0
  /** Set when what is read hardly ever comes again: nothing more is learnt then. */
  private abandoned = false

  constructor(store: Store) {
    this.store = store
  }

  /** How many outcomes are known. */
  get leaves(): number {
    return this.outcomes.length
  }

  /** The outcome for the present contents, if it is known. */
  find(): A | undefined {
    const { nodes } = this
    const { indices } = this.store
    let at = this.root
    while (at > unknown) {
      const index = indices[nodes[at] as number] as number // inner nodes are in `nodes`, cells in the store
      at = index < (nodes[at + 1] as number) ? (nodes[at + 2 + index] as number) : unknown
    }
    if (at === unknown) return undefined
    this.found++
    return this.outcomes[-1 - at]
  }

  /** Adds the cells that are read for the present contents; where nothing is known of these, all that were ever read. */
  addReads(reads: { readsLow: number; readsHigh: number }): void {
    const { nodes } = this
    const { indices } = this.store
    let [low, high] = [0, 0]
    let at = this.root
    while (at > unknown) {
      const position = nodes[at] as number // as in `find`
      const index = indices[position] as number
      if ((position & 32) === 0) low |= 1 << position
      else high |= 1 << position
      at = index < (nodes[at + 1] as number) ? (nodes[at + 2 + index] as number) : unknown
    }
    reads.readsLow |= at === unknown ? this.bitsLow : low
    reads.readsHigh |= at === unknown ? this.bitsHigh : high
  }

  /**
   * The outcome for other contents, if it is known.
   *
   * @param entryOf what a cell holds
   */
  findIn(entryOf: (cell: StoredCell) => Entry): A | undefined {
    const { nodes } = this
    const { cells } = this.store
    let at = this.root
    while (at > unknown) {
      const { index } = entryOf(cells[nodes[at] as number] as StoredCell) // as in `find`
      at = index < (nodes[at + 1] as number) ? (nodes[at + 2 + index] as number) : unknown
    }
    return at === unknown ? undefined : this.outcomes[-1 - at]
  }

  /**
   * Notes an outcome.
   *
   * @param reads the cells that the function read before it wrote them, in order; they have their contents of then
   * @returns false when it read other cells after the same contents than before: it is no function of cells
   */
  learn(reads: ReadonlyArray<StoredCell>, outcome: A): boolean {
    const { bitsLow, bitsHigh } = bitsOf(reads)
    this.bitsLow |= bitsLow
    this.bitsHigh |= bitsHigh
    if (this.abandoned || this.leaves >= largest || this.isWasted()) return true
    const { nodes } = this
    // The place of the branch that was taken last; at first that to the root.
    let branch = 0
    let at = this.root
    for (const { position, entry } of reads) {
      if (at < unknown) return false
      if (at === unknown) at = this.newNode(branch, position, entry.index + 1)
      if (nodes[at] !== position) return false
      if (entry.index >= (nodes[at + 1] ?? 0)) at = this.widen(branch, at, entry.index + 1)
      branch = at + 2 + entry.index
      at = nodes[branch] ?? unknown
    }
    if (at > unknown) return false
    if (at === unknown) this.lead(branch, -this.outcomes.push(outcome))
    this.recent++
    return true
  }

  private newNode(branch: number, position: number, room: number): number {
    const at = this.nodes.push(position, room) - 2
    for (let index = 0; index < room; index++) this.nodes.push(unknown)
    this.lead(branch, at)
    return at
  }

  /** Makes room for more branches of a node, in another place. */
  private widen(branch: number, from: number, least: number): number {
    const { nodes } = this
    const room = nodes[from + 1] ?? 0
    const at = this.newNode(branch, nodes[from] ?? 0, Math.max(least, 2 * room))
    for (let index = 0; index < room; index++) nodes[at + 2 + index] = nodes[from + 2 + index] ?? unknown
    return at
  }

  /** Lets a branch lead somewhere. */
  private lead(branch: number, to: number): void {
    if (branch === 0) this.root = to
    else this.nodes[branch] = to
  }

  private isWasted(): boolean {
    if (this.recent < trial) return false
    this.abandoned = this.found < worthwhile * this.recent
    if (this.abandoned) this.clear()
    this.recent = 0
    this.found = 0
    return this.abandoned
  }

  private clear(): void {
    this.root = unknown
    this.nodes = []
    this.outcomes = []
  }
}
