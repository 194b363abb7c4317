/**
 * The steps of the present execution with what happens before what: the partial order that all executions share which
 * differ only in the order of independent steps (Mazurkiewicz's trace). Kept by vector clocks as steps come and go at the
 * end.
 */
import type { Node, Outcome } from "../../engine/node.ts"
import type { Footprint } from "./footprint.ts"
import type { Step } from "./wakeupTree.ts"

/** A pair of steps that depend on each other with nothing between: the later one could come first, perhaps. */
export interface Race {
  /** The position of the earlier step. */
  readonly first: number
  /** Whether nothing is left to do about it, whatever comes after both. */
  settled: boolean
}

/** A step that was taken. */
export interface Event extends Step {
  /** Where the fiber stood, and what the step came to. */
  readonly node: Node
  readonly outcome: Outcome
  /** Its number among the steps of its fiber, from 1. */
  readonly index: number
  /** The position of what must come before it in any case: the fiber's step before, or the one that forked it. -1: none. */
  readonly before: number
  /** The fiber that it forks. */
  readonly forks: number | undefined
  /** Whether the fiber that the operation is about, its own or another, has ended then. */
  readonly hasEnded: boolean
  /** Where the fiber stood that it interrupts, if it reached one, and what must come before that one's next step. */
  readonly displaced: { readonly node: Node; readonly before: number } | undefined
  /** Races of which it is the later step. */
  readonly races: Array<Race>
  /** By option: whether nothing is left to do about another choice in its place. */
  readonly settledOptions: Array<boolean>
  /** Earlier events that it has been brought before, or can never be: only for an operation that may have to wait. */
  readonly settledFirsts: Set<number>
}

/** What `push` is told of a step. */
export type Taken = Omit<Event, "index" | "before" | "races" | "settledOptions" | "settledFirsts">

/** Positions of the steps that touched a place, in their order. */
interface Touched {
  readonly reads: Array<number>
  readonly writes: Array<number>
}

const nowhere = -1

/** Room for this many fibers and steps at first. */
const manyFibers = 16
const manySteps = 256

export class Trace {
  readonly events: Array<Event> = []
  /** A row per event, a column per fiber: how many steps of that fiber happen before the event, itself included. */
  private clocks = new Int32Array(manyFibers * manySteps)
  private columns = manyFibers
  private readonly places: Array<Touched> = []
  /** By fiber: how many steps it has taken, and the position of the last, or of the step that forked it. */
  private readonly counts: Array<number> = []
  private readonly last: Array<number> = []
  /** By event that forks: what was the last of the fiber before. */
  private readonly lastBefore: Array<number> = []

  get length(): number {
    return this.events.length
  }

  at(position: number): Event {
    return this.events[position] as Event // positions are those of events
  }

  /** Whether an event happens before another, or is that one. */
  happensBefore(first: number, later: number): boolean {
    const { id, index } = this.at(first)
    return (this.clocks[later * this.columns + id] ?? 0) >= index
  }

  /** What must come before the next step of a fiber in any case. */
  lastOf(id: number): number {
    return this.last[id] ?? nowhere
  }

  /** The positions of the events that wrote a place, in their order. */
  writersOf(place: number): ReadonlyArray<number> {
    return this.touched(place).writes
  }

  /** Adds a step that was taken. */
  push(taken: Taken): Event {
    const { footprint, forks, id } = taken
    const position = this.events.length
    const index = (this.counts[id] ?? 0) + 1
    const before = this.lastOf(id)
    this.makeRoom(Math.max(id, forks ?? 0))
    const { clocks, columns } = this
    const row = position * columns
    if (before === nowhere) clocks.fill(0, row, row + columns)
    else clocks.copyWithin(row, before * columns, (before + 1) * columns)
    const races: Array<Race> = []
    for (const first of this.conflicting(footprint)) {
      const { id: other, index: number } = this.at(first)
      if ((clocks[row + other] ?? 0) >= number) continue
      races.push({ first, settled: false })
      this.join(row, first * columns)
    }
    clocks[row + id] = index
    const event: Event = { ...taken, index, before, races, settledOptions: [], settledFirsts: new Set() }
    this.events.push(event)
    this.counts[id] = index
    this.last[id] = position
    if (forks !== undefined) {
      this.lastBefore[position] = this.lastOf(forks)
      this.last[forks] = position
    }
    for (const place of footprint.reads) this.touched(place).reads.push(position)
    for (const place of footprint.writes) this.touched(place).writes.push(position)
    return event
  }

  /** Takes the last one away. */
  pop(): Event {
    const event = this.events.pop()
    if (event === undefined) throw new Error("no step was taken")
    const { before, footprint, forks, id, index } = event
    for (const place of footprint.reads) this.touched(place).reads.pop()
    for (const place of footprint.writes) this.touched(place).writes.pop()
    if (forks !== undefined) this.last[forks] = this.lastBefore[this.events.length] ?? nowhere
    this.counts[id] = index - 1
    this.last[id] = before
    return event
  }

  /** The events that conflict with a footprint, the last first, without those that others of them hide. */
  private conflicting({ reads, writes }: Footprint): ReadonlyArray<number> {
    const found: Array<number> = []
    for (const place of reads) {
      const writer = this.touched(place).writes.at(-1)
      if (writer !== undefined) found.push(writer)
    }
    for (const place of writes) {
      const touched = this.touched(place)
      const writer = touched.writes.at(-1) ?? nowhere
      if (writer !== nowhere) found.push(writer)
      for (let at = touched.reads.length - 1; at >= 0; at--) {
        const reader = touched.reads[at] ?? nowhere
        if (reader < writer) break
        found.push(reader)
      }
    }
    return found.length < 2 ? found : found.sort((a, b) => b - a)
  }

  private touched(place: number): Touched {
    const known = this.places[place]
    if (known !== undefined) return known
    const touched = { reads: [], writes: [] }
    this.places[place] = touched
    return touched
  }

  /** Makes the clock of one row at least that of another. */
  private join(row: number, other: number): void {
    const { clocks, columns } = this
    for (let column = 0; column < columns; column++) {
      const theirs = clocks[other + column] as number // rows are within, as are the next
      if (theirs > (clocks[row + column] as number)) clocks[row + column] = theirs
    }
  }

  /** Makes room for one more row, and for a fiber. */
  private makeRoom(fiber: number): void {
    const { columns } = this
    const rows = this.events.length + 1
    const wide = fiber < columns ? columns : 2 * Math.max(columns, fiber)
    if (wide === columns && rows * columns <= this.clocks.length) return
    const clocks = new Int32Array(2 * rows * wide)
    for (let row = 0; row < rows - 1; row++) {
      clocks.set(this.clocks.subarray(row * columns, (row + 1) * columns), row * wide)
    }
    this.clocks = clocks
    this.columns = wide
  }
}
