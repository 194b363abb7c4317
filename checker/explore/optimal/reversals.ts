/**
 * What a race asks to be explored: executions in which the later step comes first.
 *
 * The step that comes first then does so with other contents of the cells, so that it may touch other places, or not be
 * possible at all. What it does there is computed, not assumed: `Memoised.whatIf`. Where it touches places then that
 * other steps write which need not come after it, each way to order these is one more context: that is how guards are
 * waited for that several fibers can make true (Jonsson, Lång, Sagonas, "Awaiting for Godot", FMCAD 2022, treat loops
 * that wait; here any guard is one).
 */
import { conflict, type Footprint, type Footprints, isWithin } from "../../engine/dependence.ts"
import type { Memoised } from "../../engine/memoised.ts"
import type { Node } from "../../engine/node.ts"
import type { Entry, StoredCell } from "../../program/store.ts"
import { nowhere, type Trace } from "./trace.ts"
import type { Step } from "./wakeupTree.ts"

/** A step that might come first. */
export interface Candidate {
  readonly id: number
  readonly option: number
  /** Where its fiber stands. */
  readonly node: Node
  /** Whether it was taken. */
  readonly isTaken: boolean
  /** The position of the event that it is, or with which its fiber was interrupted, or how long the trace is. */
  readonly at: number
  /** What must come before it in any case: see `Event`. */
  readonly before: number
  /** What it touched; where it was not taken, what its guard may read. */
  readonly footprint: Footprint
}

/** Who is told of the ways in which a candidate can come before an event. */
export interface Listener {
  /**
   * There is a way.
   *
   * @param least what comes instead of the event, at the least, the candidate last; `Reversals.whole` is all that can
   * @returns whether that is done with, whatever comes after both
   */
  note(first: number, least: ReadonlyArray<Step>): boolean
}

/** More contexts of one race than this are not looked at. */
export const mostContexts = 4096

/** Thrown when there are. */
export class TooManyContexts extends Error {
  override readonly name = "TooManyContexts"
}

/** Where an event stands with respect to a context: not decided, part of it, or not to come before the candidate. */
const open = 0
const inside = 1
const outside = 2

/** Whether an operation may have to wait. */
export const mayWait = ({ guard, operation }: Node): boolean => guard !== undefined || operation?.kind === "join"

export class Reversals {
  private readonly engine: Memoised
  private readonly footprints: Footprints
  private readonly trace: Trace
  /** By position of a cell: its content at the start. */
  private readonly initial: ReadonlyArray<Entry>
  private contexts = 0
  private places = new Uint8Array(256)
  /** Before which event the candidate is to come, and what it is there. */
  private first = 0
  private last: Step | undefined
  private readonly listener: Listener
  private waits = false
  private readonly entryOf = (cell: StoredCell): Entry => {
    const { position } = cell
    const writer = this.trace.writerAmong(position, this.first, this.places, inside)
    if (writer === nowhere) return this.initial[position] as Entry // the cells are those of the start
    const { cells, entries } = this.trace.at(writer).outcome
    return entries[cells.indexOf(cell)] as Entry // it writes the cell
  }

  constructor(engine: Memoised, footprints: Footprints, trace: Trace, listener: Listener) {
    this.listener = listener
    this.engine = engine
    this.footprints = footprints
    this.trace = trace
    this.initial = engine.instance.store.cells.map(({ entry }) => entry)
  }

  /**
   * Tells of the ways in which a candidate can come before an event.
   *
   * @param depends whether it must conflict with the event there: not if it is another option of the same choice
   * @returns whether that is done with, whatever comes after both
   * @throws TooManyContexts
   */
  of(first: number, candidate: Candidate, depends: boolean): boolean {
    const { trace } = this
    const { at, before, isTaken, node } = candidate
    if (this.places.length < trace.length) this.places = new Uint8Array(2 * trace.length)
    const { places } = this
    // An operation that may have to wait needs less before it than it had: it is tried as soon as its fiber is there.
    this.waits = !isTaken || mayWait(node)
    for (let position = first; position < trace.length; position++) {
      if (trace.happensBefore(first, position)) places[position] = outside
      // The candidate is taken once.
      else if (position >= at) places[position] = trace.happensBefore(at, position) ? outside : open
      else if (this.waits) places[position] = before > first && trace.happensBefore(position, before) ? inside : open
      else places[position] = trace.happensBefore(position, at) ? inside : open
    }
    this.first = first
    this.contexts = 0
    return this.collect(candidate, depends)
  }

  /** What comes instead of the event now, with all later events that need not come after it. */
  whole(): ReadonlyArray<Step> {
    return this.sequence(open)
  }

  private collect(candidate: Candidate, depends: boolean): boolean {
    if (++this.contexts > mostContexts) throw new TooManyContexts()
    const { first, places, trace } = this
    const footprint = this.footprintIn(candidate)
    const touched = footprint ?? this.footprints.ofGuard(candidate.node)
    // What comes behind it and conflicts with it now has done so before, and so comes after the event.
    const settled = isWithin(touched, candidate.footprint)
    if (!settled || this.waits) {
      for (let position = first + 1; position < trace.length; position++) {
        if (places[position] !== open || !conflict(trace.at(position).footprint, touched)) continue
        const kept = places.slice(0, trace.length)
        for (let other = first + 1; other <= position; other++) {
          if (places[other] === open && trace.happensBefore(other, position)) places[other] = inside
        }
        this.collect(candidate, depends)
        places.set(kept)
        for (let other = position; other < trace.length; other++) {
          if (places[other] === open && trace.happensBefore(position, other)) places[other] = outside
        }
      }
    }
    if (footprint === undefined) return settled
    if (depends && !conflict(trace.at(first).footprint, footprint)) return settled
    const { id, option } = candidate
    this.last = { id, option, footprint }
    return this.listener.note(first, this.sequence(inside)) && settled
  }

  /** The events behind the first that are inside, or not outside if open ones are wanted too, and the candidate. */
  private sequence(wanted: typeof inside | typeof open): ReadonlyArray<Step> {
    const { first, last, places, trace } = this
    const steps: Array<Step> = []
    for (let position = first + 1; position < trace.length; position++) {
      const place = places[position]
      if (place === inside || (place === open && wanted === open)) steps.push(trace.at(position))
    }
    if (last !== undefined) steps.push(last)
    return steps
  }

  /** What the candidate touches behind the events before the first one and those inside; `undefined` where it must wait. */
  private footprintIn({ node, option }: Candidate): Footprint | undefined {
    if (node.outcomes.length > 0) {
      const outcome = this.engine.whatIf(node, option, this.entryOf)
      return outcome === undefined ? undefined : this.footprints.of(node, outcome)
    }
    const footprint = this.footprints.ofOther(node)
    if (node.operation?.kind !== "join") return footprint
    const [target = nowhere] = footprint.reads.slice(-1)
    const writer = this.trace.writerAmong(target, this.first, this.places, inside)
    return writer !== nowhere && this.trace.at(writer).hasEnded ? footprint : undefined
  }
}
