import type { Lock } from "./lock.ts"
import { canonicalText, type Hash, highOf, lowOf, type Plain } from "./plain.ts"
import { breakRule, runtime } from "./runtime.ts"

/** What the code that is running may do with cells. */
export const Access = { none: 0, read: 1, write: 2 } as const
export type Access = (typeof Access)[keyof typeof Access]

/**
 * A content that a cell has had. A cell keeps one object for each, so that matching contents and undoing writes are
 * comparisons of references, and what a content adds to the fingerprint is computed once.
 */
export interface Entry {
  readonly content: Plain
  /** Counts the contents of this cell in the order in which they came up: 0 for the first one. */
  readonly index: number
  /** What the cell adds to the fingerprint of its part while it has this content. */
  readonly low: number
  readonly high: number
}

/** A part of the state whose fingerprint is kept by itself. */
export interface Part {
  low: number
  high: number
}

/** Where a cell belongs: its part, and what its contents add there. */
export interface Place {
  readonly part: Part
  /** `index` is that of the content's entry. */
  readonly contributionOf: (content: Plain, index: number) => Hash
}

/** Cells as bits, to see quickly that two sets of them have none in common. Halves of 64 bits. */
export interface Bits {
  readonly bitsLow: number
  readonly bitsHigh: number
}

/** A cell as the engine sees it. */
export interface StoredCell extends Bits {
  readonly name: string
  /** Whether it orders nothing: see `dataCell`. */
  readonly isData: boolean
  /** Its position among the cells. Given by the store, as the bits are. */
  position: number
  /** One bit, its own among the first 64 cells; further cells share them. */
  bitsLow: number
  bitsHigh: number
  readonly part: Part
  /** Its content now. */
  entry: Entry
  /** The recording in which it was last read or written. */
  recording: number
  /** The recording in which its writes were last collected. */
  collected: number
  /** Positions of the invariants that have ever read this cell; kept by the property tracker. */
  readonly invariants: Array<number>
  /** Likewise of the action invariants that have. */
  readonly actionInvariants: Array<number>
  /** The entry of an interned content. */
  entryOf(content: Plain): Entry
  /** Gives the cell another place, before anything has been learnt of its entries. */
  settle(place: Place): void
}

/** A read or a write of a cell. */
export interface CellAccess {
  readonly cell: StoredCell
  readonly writes: boolean
}

/** The union of sets of cells. */
export const bitsOf = (cells: ReadonlyArray<Bits>): Bits => ({
  bitsLow: cells.reduce((union, { bitsLow }) => union | bitsLow, 0),
  bitsHigh: cells.reduce((union, { bitsHigh }) => union | bitsHigh, 0),
})

/** Bijective mixing of 32 bits: the finaliser of MurmurHash3. */
export const mix = (x: number): number => {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** What a place, known by its salt, adds to a fingerprint while it has a content. */
export const contributionOf = (salt: Hash, content: Plain): Hash => ({
  low: mix(salt.low ^ lowOf(content)),
  high: mix(salt.high ^ highOf(content)),
})

/**
 * The cells of one program instance, with an undo log and an incremental fingerprint.
 *
 * Representation: `low` and `high` of each part are the XOR over its cells of what their contents contribute, at every
 * moment (the store itself is the part of all cells that have no other); the log lists every write since the last
 * `forget`, oldest first, with the entry before it.
 */
export class Store implements Part {
  readonly cells: Array<StoredCell> = []
  /** The locks that the program has made known. */
  readonly locks: Array<Lock> = []
  private readonly names = new Set<string>()
  /** By position of a cell: the index of its entry. */
  indices = new Int32Array(64)
  low = 0
  high = 0
  access: Access = Access.none

  /** The cells that were read since the recording began, unless they had been written in it before. */
  private reads: Array<StoredCell> | undefined = undefined
  /** Gets all accesses of the program's code to cells, in their order, while it is there. */
  accesses: Array<CellAccess> | undefined = undefined
  private recordings = 0
  private collections = 0
  private readonly written: Array<StoredCell> = []
  private readonly before: Array<Entry> = []
  /** The length of the log. */
  mark = 0

  has(name: string): boolean {
    return this.names.has(name)
  }

  add(cell: StoredCell): void {
    this.names.add(cell.name)
    const position = this.cells.length
    const bit = position % 64
    if (bit < 32) cell.bitsLow = 1 << bit
    else cell.bitsHigh = 1 << (bit - 32)
    cell.position = position
    this.cells.push(cell)
    if (position === this.indices.length) {
      const longer = new Int32Array(2 * position)
      longer.set(this.indices)
      this.indices = longer
    }
    this.indices[position] = cell.entry.index
    cell.part.low ^= cell.entry.low
    cell.part.high ^= cell.entry.high
  }

  read(cell: StoredCell): Plain {
    if (this.access === Access.none) outsideStep(cell, "read")
    if (this.reads !== undefined && cell.recording !== this.recordings) {
      cell.recording = this.recordings
      this.reads.push(cell)
    }
    this.accesses?.push({ cell, writes: false })
    return cell.entry.content
  }

  write(cell: StoredCell, content: Plain): void {
    if (this.access !== Access.write) {
      if (this.access === Access.none) outsideStep(cell, "written")
      breakRule(`cell ${cell.name} is written in a guard or a property, which may only read`)
    }
    if (this.reads !== undefined) cell.recording = this.recordings
    this.accesses?.push({ cell, writes: true })
    this.put(cell, content === cell.entry.content ? cell.entry : cell.entryOf(content))
  }

  /** Gives a cell a content, whoever runs. */
  put(cell: StoredCell, entry: Entry): void {
    const { entry: before } = cell
    if (before === entry) {
      // What is recorded holds whatever the cell had before: a write of the same is a write there.
      if (this.reads === undefined) return
    }
    this.written[this.mark] = cell
    this.before[this.mark++] = before
    const { part } = cell
    part.low ^= before.low ^ entry.low
    part.high ^= before.high ^ entry.high
    cell.entry = entry
    this.indices[cell.position] = entry.index
  }

  /** Takes back all writes since the mark. */
  rollback(mark: number): void {
    const { written, before } = this
    while (this.mark > mark) {
      const position = --this.mark
      const cell = written[position] as StoredCell // within the log, as is the next
      const entry = before[position] as Entry
      const { part } = cell
      part.low ^= cell.entry.low ^ entry.low
      part.high ^= cell.entry.high ^ entry.high
      cell.entry = entry
      this.indices[cell.position] = entry.index
    }
  }

  /** A cell that was written: the one at a position of the log. */
  writtenAt(position: number): StoredCell {
    return this.written[position] as StoredCell // the caller's position is within the log
  }

  /** The cells written since the mark, each once. */
  writtenSince(mark: number): ReadonlyArray<StoredCell> {
    const cells: Array<StoredCell> = []
    const collection = ++this.collections
    for (let position = mark; position < this.mark; position++) {
      const cell = this.writtenAt(position)
      if (cell.collected === collection) continue
      cell.collected = collection
      cells.push(cell)
    }
    return cells
  }

  /** Empties the log: what was written stays. */
  forget(): void {
    this.mark = 0
  }

  /** A text that tells apart any two states of the cells. */
  contents(): string {
    return this.cells.map(({ name, entry }) => `${name} ${canonicalText(entry.content)}`).join("\n")
  }

  /** Runs code of the program that may only read cells. */
  reading<A>(run: () => A): A {
    const access = this.access
    this.access = Access.read
    try {
      return run()
    } finally {
      this.access = access
    }
  }

  /**
   * Runs code and takes back what it writes. Tells what it would have written, in the order of the first writes: what a
   * cell holds already too, for whether that is so is not among what the code reads.
   */
  foresee<A>(run: () => A): { readonly result: A; readonly writes: ReadonlyArray<readonly [StoredCell, Entry]> } {
    const { mark } = this
    const isRecording = this.reads !== undefined
    if (!isRecording) this.record() // writes of what is there already are logged then
    try {
      const result = run()
      return { result, writes: this.writtenSince(mark).map((cell) => [cell, cell.entry] as const) }
    } finally {
      if (!isRecording) this.stopRecording()
      this.rollback(mark)
    }
  }

  /** Begins to record which cells are read before they are written; until `stopRecording`. */
  record(): ReadonlyArray<StoredCell> {
    const reads: Array<StoredCell> = []
    this.recordings++
    this.reads = reads
    return reads
  }

  stopRecording(): void {
    this.reads = undefined
  }
}

const outsideStep = (cell: StoredCell, how: string): never =>
  breakRule(`cell ${cell.name} is ${how} outside a step${runtime.actor ? "" : ", by no fiber of the program"}`)
