import { highOf, lowOf, type Plain } from "./plain.ts"
import { breakRule, runtime } from "./runtime.ts"

/** What the code that is running may do with cells. */
export const Access = { none: 0, read: 1, write: 2 } as const
export type Access = (typeof Access)[keyof typeof Access]

/** A cell as the engine sees it. */
export interface StoredCell {
  readonly name: string
  readonly saltLow: number
  readonly saltHigh: number
  content: Plain
  /** Positions of the properties that have ever read this cell; kept by the property tracker. */
  readonly readers: Array<number>
}

/** Bijective mixing of 32 bits: the finaliser of MurmurHash3. */
const mix = (x: number): number => {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/**
 * The cells of one program instance, with an undo log and an incremental fingerprint.
 *
 * Representation: `low` and `high` are the XOR over all cells of the mix of the cell's salt with its content's hash,
 * at every moment; the log lists every write since the last `forget`, oldest first.
 */
export class Store {
  readonly cells: Array<StoredCell> = []
  low = 0
  high = 0
  access: Access = Access.none
  /** Told of every cell that is read while it is set. */
  recorder: ((cell: StoredCell) => void) | undefined = undefined

  private readonly written: Array<StoredCell> = []
  private readonly before: Array<Plain> = []

  add(cell: StoredCell): void {
    this.cells.push(cell)
    this.toggle(cell)
  }

  private toggle(cell: StoredCell): void {
    this.low ^= mix(cell.saltLow ^ lowOf(cell.content))
    this.high ^= mix(cell.saltHigh ^ highOf(cell.content))
  }

  read(cell: StoredCell): Plain {
    if (this.access === Access.none) outsideStep(cell, "read")
    if (this.recorder !== undefined) this.recorder(cell)
    return cell.content
  }

  write(cell: StoredCell, content: Plain): void {
    if (this.access !== Access.write) {
      if (this.access === Access.none) outsideStep(cell, "written")
      breakRule(`cell ${cell.name} is written in a guard or a property, which may only read`)
    }
    if (cell.content === content) return
    this.written.push(cell)
    this.before.push(cell.content)
    this.toggle(cell)
    cell.content = content
    this.toggle(cell)
  }

  /** The length of the log, to `rollback` to. */
  get mark(): number {
    return this.written.length
  }

  /** Takes back all writes since the mark. */
  rollback(mark: number): void {
    for (let i = this.written.length - 1; i >= mark; i--) {
      const cell = this.written[i] as StoredCell // i is within the log
      this.toggle(cell)
      cell.content = this.before[i]
      this.toggle(cell)
    }
    this.written.length = mark
    this.before.length = mark
  }

  /** Calls `visit` for each write since the mark, oldest first. */
  forEachWritten(mark: number, visit: (cell: StoredCell) => void): void {
    for (let i = mark; i < this.written.length; i++) visit(this.written[i] as StoredCell)
  }

  /** Empties the log: what was written stays. */
  forget(): void {
    this.written.length = 0
    this.before.length = 0
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
}

const outsideStep = (cell: StoredCell, how: string): never =>
  breakRule(`cell ${cell.name} is ${how} outside a step${runtime.actor ? "" : ", by no fiber of the program"}`)
