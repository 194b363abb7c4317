/**
 * The steps of the present execution with what happens before what: the partial order that all executions share which
 * differ only in the order of independent steps (Mazurkiewicz's trace). Kept by vector clocks as steps come and go at the
 * end.
 */
import type { Footprint } from "../../engine/dependence.ts"
import type { Node, Outcome } from "../../engine/node.ts"
import type { Step } from "./wakeupTree.ts"

/** Where a fiber stood that was interrupted, and the position of what must come before its next step. */
export interface Displaced {
  readonly node: Node
  readonly before: number
}

/** A step that was taken. */
export interface Taken extends Step {
  /** Where the fiber stood, and what the step came to. */
  readonly node: Node
  readonly outcome: Outcome
  /** The fiber that it forks; -1 where it forks none. */
  readonly forks: number
  /** Whether the fiber that the operation is about, its own or another, has ended then. */
  readonly hasEnded: boolean
  /** Where the fiber stood that it interrupts, if it reached one. */
  readonly displaced: Displaced | undefined
}

/** A step at its position. There is one object for each position, which is used again when the step there is another. */
export interface Event extends Taken {
  /** Its number among the steps of its fiber, from 1. */
  readonly index: number
  /** The position of what must come before it in any case: the fiber's step before, or the one that forked it. -1: none. */
  readonly before: number
  /**
   * Positions of earlier steps that it depends on with nothing between: it could come first, perhaps. Those are taken out
   * of which nothing is left to note, whatever comes after both.
   */
  readonly races: Array<number>
  /** For an operation that may have to wait: the positions of earlier steps with which it is done. For a choice: the options. */
  settled: Set<number> | undefined
  /** Whether there is something about it that may not be settled. */
  isOpen: boolean
}

type Writable<A> = { -readonly [key in keyof A]: A[key] }

/** Positions of the steps that touched a place, in their order. */
interface Touched {
  readonly reads: Array<number>
  readonly writes: Array<number>
}

/** The position of what is not there. */
export const nowhere = -1

/** Room for this many steps at first. */
const manySteps = 256

export class Trace {
  length = 0
  private readonly events: Array<Writable<Event>> = []
  /** A row per event, a column per fiber: how many steps of that fiber happen before the event, itself included. */
  private clocks: Int32Array
  private columns: number
  private readonly places: Array<Touched> = []
  /** By fiber: how many steps it has taken, and the position of the last, or of the step that forked it. */
  private readonly counts: Array<number> = []
  private readonly last: Array<number> = []
  /** By position of a step that forks: what was the last of the fiber before. */
  private readonly lastBefore: Array<number> = []
  /** For use within one call. */
  private readonly found: Array<number> = []

  constructor(fibers: number) {
    this.columns = fibers
    this.clocks = new Int32Array(fibers * manySteps)
  }

  at(position: number): Event {
    return this.events[position] as Event // positions are those of events
  }

  /** Whether an event happens before another, or is that one. */
  happensBefore(first: number, later: number): boolean {
    const { id, index } = this.at(first)
    return (this.clocks[later * this.columns + id] as number) >= index // within, as are the next
  }

  /** What must come before the next step of a fiber in any case. */
  lastOf(id: number): number {
    return this.last[id] ?? nowhere
  }

  /** The position of the last event that wrote a place, of those before one position and those that are marked. */
  writerAmong(place: number, before: number, marks: Uint8Array, mark: number): number {
    const { writes } = this.touched(place)
    for (let i = writes.length - 1; i >= 0; i--) {
      const writer = writes[i] as number
      if (writer < before || marks[writer] === mark) return writer
    }
    return nowhere
  }

  /** Adds a step that was taken. */
  push({ displaced, footprint, forks, hasEnded, id, node, option, outcome }: Taken): void {
    const position = this.length
    const index = (this.counts[id] ?? 0) + 1
    const before = this.lastOf(id)
    const event = this.slot(position)
    event.id = id
    event.option = option
    event.footprint = footprint
    event.node = node
    event.outcome = outcome
    event.forks = forks
    event.hasEnded = hasEnded
    event.displaced = displaced
    event.index = index
    event.before = before
    event.races.length = 0
    event.settled = undefined
    event.isOpen = true
    this.makeRoom(Math.max(id, forks))
    this.order(position, before, footprint, event.races)
    this.clocks[position * this.columns + id] = index
    this.length = position + 1
    this.counts[id] = index
    this.last[id] = position
    if (forks !== nowhere) {
      this.lastBefore[position] = this.lastOf(forks)
      this.last[forks] = position
    }
    const { reads, writes } = footprint
    for (let i = 0; i < reads.length; i++) this.touched(reads[i] as number).reads.push(position)
    for (let i = 0; i < writes.length; i++) this.touched(writes[i] as number).writes.push(position)
  }

  /** Takes the last one away. */
  pop(): Event {
    const position = --this.length
    const event = this.at(position)
    const { before, footprint, forks, id, index } = event
    const { reads, writes } = footprint
    for (let i = 0; i < reads.length; i++) this.touched(reads[i] as number).reads.pop()
    for (let i = 0; i < writes.length; i++) this.touched(writes[i] as number).writes.pop()
    if (forks !== nowhere) this.last[forks] = this.lastBefore[position] ?? nowhere
    this.counts[id] = index - 1
    this.last[id] = before
    return event
  }

  /** Whether all events from a position on happen after the event. */
  isBeforeAllFrom(first: number, from: number): boolean {
    const { id, index } = this.at(first)
    const { clocks, columns } = this
    for (let later = from; later < this.length; later++) {
      if ((clocks[later * columns + id] as number) < index) return false
    }
    return true
  }

  private slot(position: number): Writable<Event> {
    const known = this.events[position]
    if (known !== undefined) return known
    const nothing = { reads: [], writes: [], low: 0, high: 0, writesLow: 0, writesHigh: 0, version: 0 }
    const event = { races: [], footprint: nothing } as unknown as Writable<Event> // the caller fills in the rest
    this.events.push(event)
    return event
  }

  /** Fills in the clock of a new event, and notes its races: the last conflicting events first, which hide others. */
  private order(position: number, before: number, footprint: Footprint, races: Array<number>): void {
    const { clocks, columns, found } = this
    const row = position * columns
    if (before === nowhere) clocks.fill(0, row, row + columns)
    else for (let i = 0; i < columns; i++) clocks[row + i] = clocks[before * columns + i] as number
    this.findConflicting(footprint)
    for (let i = 0; i < found.length; i++) {
      const first = found[i] as number
      const { id, index } = this.at(first)
      if ((clocks[row + id] as number) >= index) continue
      races.push(first)
      const other = first * columns
      for (let column = 0; column < columns; column++) {
        const theirs = clocks[other + column] as number
        if (theirs > (clocks[row + column] as number)) clocks[row + column] = theirs
      }
    }
  }

  /** Finds the events that conflict with a footprint, the last first, without those that others of them hide. */
  private findConflicting({ reads, writes }: Footprint): void {
    const { found } = this
    found.length = 0
    for (let i = 0; i < reads.length; i++) {
      const { writes: writers } = this.touched(reads[i] as number)
      if (writers.length > 0) found.push(writers[writers.length - 1] as number)
    }
    for (let i = 0; i < writes.length; i++) {
      const { reads: readers, writes: writers } = this.touched(writes[i] as number)
      const writer = writers.length > 0 ? (writers[writers.length - 1] as number) : nowhere
      for (let at = readers.length - 1; at >= 0 && (readers[at] as number) > writer; at--) {
        found.push(readers[at] as number)
      }
      if (writer !== nowhere) found.push(writer)
    }
    if (found.length > 1 && reads.length + writes.length > 1) found.sort((a, b) => b - a)
  }

  private touched(place: number): Touched {
    const known = this.places[place]
    if (known !== undefined) return known
    const touched = { reads: [], writes: [] }
    this.places[place] = touched
    return touched
  }

  /** Makes room for one more row, and for a fiber. */
  private makeRoom(fiber: number): void {
    const { columns } = this
    const rows = this.length + 1
    const wide = fiber < columns ? columns : 2 * fiber
    if (wide === columns && rows * columns <= this.clocks.length) return
    const clocks = new Int32Array(2 * rows * wide)
    for (let row = 0; row < rows - 1; row++) {
      clocks.set(this.clocks.subarray(row * columns, (row + 1) * columns), row * wide)
    }
    this.clocks = clocks
    this.columns = wide
  }
}
