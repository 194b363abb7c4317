/**
 * What a race asks to be explored: executions in which the later step comes first.
 *
 * The step that comes first then does so in other contents of the cells, so that it may touch other places, or not be
 * possible at all. What it does there is computed, not assumed: `Memoised.whatIf`. Where it touches places then that
 * other steps write which need not come after it, each way to order these is one more context: that is how guards are
 * waited for that several fibers can make true (Jonsson, Lång, Sagonas, "Awaiting for Godot", FMCAD 2022, treat loops
 * that wait; here any guard is one).
 */
import type { Memoised } from "../../engine/memoised.ts"
import type { Node } from "../../engine/node.ts"
import type { Entry, StoredCell } from "../../program/store.ts"
import { conflict, type Footprint, type Footprints, isWithin } from "./footprint.ts"
import type { Trace } from "./trace.ts"
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

/** A way in which a candidate comes before an event. */
export interface Reversal {
  /** What comes instead of the event, at the least, the candidate last. */
  readonly least: () => ReadonlyArray<Step>
  /** The same with all later events that need not come after the event. */
  readonly whole: () => ReadonlyArray<Step>
  /** Whether later events cannot make a difference to the candidate here. */
  readonly isFinal: boolean
}

/** More contexts of one race than this are not looked at. */
export const mostContexts = 4096

/** Thrown when there are. */
export class TooManyContexts extends Error {
  override readonly name = "TooManyContexts"
}

/** Where an event stands with respect to a context. */
const Place = { open: 0, inside: 1, outside: 2 } as const

export class Reversals {
  private readonly engine: Memoised
  private readonly footprints: Footprints
  private readonly trace: Trace
  /** By position of a cell: its content at the start. */
  private readonly initial: ReadonlyArray<Entry>
  private contexts = 0

  constructor(engine: Memoised, footprints: Footprints, trace: Trace) {
    this.engine = engine
    this.footprints = footprints
    this.trace = trace
    this.initial = engine.instance.store.cells.map(({ entry }) => entry)
  }

  /**
   * The ways in which a candidate can come before an event.
   *
   * @param depends whether it must conflict with the event there: not if it is another option of the same choice
   * @throws TooManyContexts
   */
  of(first: number, candidate: Candidate, depends: boolean): ReadonlyArray<Reversal> {
    const { trace } = this
    const { at, before, isTaken, node } = candidate
    const places = new Uint8Array(trace.length)
    // An operation that may have to wait needs less before it than it had: it is tried as soon as its fiber is there.
    const waits = node.guard !== undefined || node.operation?.kind === "join" || !isTaken
    for (let position = first; position < trace.length; position++) {
      if (trace.happensBefore(first, position)) places[position] = Place.outside
      else if (position >= at) {
        // The candidate is taken once.
        if (trace.happensBefore(at, position)) places[position] = Place.outside
      } else if (waits ? before >= 0 && trace.happensBefore(position, before) : trace.happensBefore(position, at)) {
        places[position] = Place.inside
      }
    }
    const found: Array<Reversal> = []
    this.contexts = 0
    this.collect(first, candidate, depends, places, found)
    return found
  }

  private collect(
    first: number,
    candidate: Candidate,
    depends: boolean,
    places: Uint8Array,
    found: Array<Reversal>,
  ): void {
    if (++this.contexts > mostContexts) throw new TooManyContexts()
    const { trace } = this
    const footprint = this.footprintIn(first, candidate, places)
    const touched = footprint ?? this.footprints.ofGuard(candidate.node)
    const isFinal = isWithin(touched, candidate.footprint)
    for (let position = first + 1; position < trace.length; position++) {
      if (places[position] !== Place.open || !conflict(trace.at(position).footprint, touched)) continue
      const with_ = places.slice()
      for (let other = first + 1; other <= position; other++) {
        if (with_[other] === Place.open && trace.happensBefore(other, position)) with_[other] = Place.inside
      }
      this.collect(first, candidate, depends, with_, found)
      for (let other = position; other < trace.length; other++) {
        if (places[other] === Place.open && trace.happensBefore(position, other)) places[other] = Place.outside
      }
    }
    if (footprint === undefined) {
      if (!isFinal) found.push({ least: () => [], whole: () => [], isFinal })
      return
    }
    if (depends && !conflict(trace.at(first).footprint, footprint)) return
    const { id, option } = candidate
    const last: Step = { id, option, footprint }
    const sequence = (isPart: (place: number | undefined) => boolean) => () => [
      ...trace.events.filter((_, position) => position > first && isPart(places[position])),
      last,
    ]
    found.push({
      least: sequence((place) => place === Place.inside),
      whole: sequence((place) => place !== Place.outside),
      isFinal,
    })
  }

  /** What the candidate touches behind the events before the first one and those inside; `undefined` where it must wait. */
  private footprintIn(first: number, { node, option }: Candidate, places: Uint8Array): Footprint | undefined {
    const { trace } = this
    const lastWriter = (place: number) =>
      trace.writersOf(place).findLast((writer) => writer < first || places[writer] === Place.inside)
    if (node.outcomes.length === 0) {
      const footprint = this.footprints.ofOther(node)
      const [target] = footprint.reads.slice(-1)
      if (node.operation?.kind !== "join" || target === undefined) return footprint
      const writer = lastWriter(target)
      return writer !== undefined && trace.at(writer).hasEnded ? footprint : undefined
    }
    const entryOf = (cell: StoredCell): Entry => {
      const { position } = cell
      const writer = lastWriter(position)
      if (writer === undefined) return this.initial[position] as Entry // the cells are those of the start
      const { cells, entries } = trace.at(writer).outcome
      return entries[cells.indexOf(cell)] as Entry // it writes the cell
    }
    const outcome = this.engine.whatIf(node, option, entryOf)
    return outcome === undefined ? undefined : this.footprints.of(node, outcome)
  }
}
