/**
 * What steps touch, and so which of them depend on each other. The whole independence relation of the reduction is here.
 *
 * Two steps of different fibers depend on each other when one writes a place that the other reads or writes. Places are
 *
 * - the cells: a step reads what its guard, its body and the monitors of it read;
 * - the properties: an invariant sees states between steps, so a step that writes a cell that it has ever read writes the
 *   property. Two such steps are then never taken to commute, whatever else they touch. What is promised is one more
 *   place, for all promises together;
 * - what fibers are about to do, where properties ask for that (`upcoming.ts`): who writes a cell that was looked at for
 *   it writes the place, and whose fiber comes to a guard reads it;
 * - the fibers: who forks or interrupts one, and the step with which it ends, write it, and who joins it reads it. Where
 *   a program interrupts, each step of a fiber reads its own.
 *
 * Cells that properties have not read so far are no part of this. When one reads a further cell, the search begins anew:
 * see `explore/optimal`.
 *
 * Executions are left out on the strength of this, so it lacks nothing. Samplers, which only choose by what steps touch,
 * have something cheaper that knows cells alone: `roughFootprint.ts`.
 */

import type { Bits, StoredCell } from "../program/store.ts"
import type { Memoised } from "./memoised.ts"
import type { Node, Outcome } from "./node.ts"

/** The places that a step touches, as numbers, each once; and the same as bits, to see quickly that two have none in common. */
export interface Footprint {
  readonly reads: ReadonlyArray<number>
  readonly writes: ReadonlyArray<number>
  /** Of reads and writes: bit n % 64 stands for place n. */
  readonly low: number
  readonly high: number
  /** Of writes alone. */
  readonly writesLow: number
  readonly writesHigh: number
  /** What was known when it was computed: see `Footprints.version`. */
  readonly version: number
}

const bitsOf = (places: ReadonlyArray<number>): readonly [low: number, high: number] => {
  let low = 0
  let high = 0
  for (const place of places) {
    if ((place & 32) === 0) low |= 1 << place
    else high |= 1 << place
  }
  return [low, high]
}

const footprintOf = (reads: ReadonlyArray<number>, writes: ReadonlyArray<number>, version: number): Footprint => {
  const [readsLow, readsHigh] = bitsOf(reads)
  const [writesLow, writesHigh] = bitsOf(writes)
  return { reads, writes, low: readsLow | writesLow, high: readsHigh | writesHigh, writesLow, writesHigh, version }
}

const meet = (some: ReadonlyArray<number>, others: ReadonlyArray<number>): boolean =>
  some.some((place) => others.includes(place))

/** Whether two steps of different fibers depend on each other. */
export const conflict = (a: Footprint, b: Footprint): boolean => {
  const shared = (a.writesLow & b.low) | (a.writesHigh & b.high) | (b.writesLow & a.low) | (b.writesHigh & a.high)
  if (shared === 0) return false
  return meet(a.writes, b.writes) || meet(a.writes, b.reads) || meet(a.reads, b.writes)
}

/** Whether all that conflicts with one footprint conflicts with another. */
export const isWithin = (inner: Footprint, outer: Footprint): boolean =>
  inner === outer ||
  (inner.writes.every((place) => outer.writes.includes(place)) &&
    inner.reads.every((place) => outer.reads.includes(place) || outer.writes.includes(place)))

/** The footprints of a program's steps, as far as what properties read is known. */
export class Footprints {
  private readonly engine: Memoised
  readonly hasPromises: boolean
  /** What was known when footprints were forgotten last. */
  private current: number
  /** By the bits of the cells that their guards had read. */
  private readonly guards = new Map<Node, Bits & { readonly footprint: Footprint }>()
  private readonly ids = new Map<string, number>()
  /** The cells that promises have read. */
  private readonly promised = new Set<StoredCell>()
  private readonly firstProperty: number
  private readonly promisesPlace: number
  private readonly upcomingPlace: number
  /** Whether some fiber interrupts another. */
  private interrupts = false
  /** Counts what has become known of what properties read, beyond what the tracker counts. */
  private grown = 0

  constructor(engine: Memoised) {
    this.engine = engine
    const { fibers, properties, store } = engine.instance
    this.firstProperty = store.cells.length
    this.promisesPlace = this.firstProperty + properties.length
    this.upcomingPlace = this.promisesPlace + 1
    this.hasPromises = properties.some(({ kind }) => kind === "leadsTo")
    for (const { name } of fibers) this.ids.set(name, this.ids.size)
    this.current = this.version
  }

  /** Grows whenever footprints that were given out may lack something. */
  get version(): number {
    const { operations, tracker, upcoming } = this.engine
    return this.grown + tracker.followed + operations.guardsGrown + (upcoming?.watched.size ?? 0)
  }

  /** Forgets footprints that may lack something. */
  forget(): void {
    this.current = this.version
    this.guards.clear()
  }

  /** A number for a fiber, by its name: the position of one that is there from the start. */
  idOf(fiber: string): number {
    const known = this.ids.get(fiber)
    if (known !== undefined) return known
    const id = this.ids.size
    this.ids.set(fiber, id)
    return id
  }

  /** Runs what looks at the promises, and notes which cells it reads. */
  promising<A>(look: () => A): A {
    if (!this.hasPromises) return look()
    const { store } = this.engine.instance
    const reads = store.record()
    try {
      return look()
    } finally {
      store.stopRecording()
      for (const cell of reads) {
        if (this.promised.has(cell)) continue
        this.promised.add(cell)
        this.grown++
      }
    }
  }

  /** What a step touched, or would touch, that came to this outcome. */
  of(node: Node, outcome: Outcome): Footprint {
    const { footprint } = outcome
    if (footprint !== undefined && footprint.version === this.current) return footprint
    outcome.footprint = this.compute(node, outcome)
    return outcome.footprint
  }

  /** What an operation on another fiber touches; its outcome is not asked. */
  ofOther(node: Node): Footprint {
    const { operation } = node
    if (operation === undefined) throw new Error(`fiber ${node.fiber.name} is at no operation`)
    const place = this.placeOf(String(operation.args[0]))
    const own = this.placeOf(node.fiber.name)
    if (operation.kind === "interrupt" && !this.interrupts) {
      this.interrupts = true
      this.grown++
    }
    const reads = this.interrupts ? [own] : []
    // Both it and the other fiber may come to a guard then.
    if (this.engine.upcoming !== undefined) reads.push(this.upcomingPlace)
    return operation.kind === "join"
      ? footprintOf([...reads, place], [], this.current)
      : footprintOf(reads, [place], this.current)
  }

  /**
   * What it depends on whether an operation can be performed: the cells that its guard has read, and perhaps more, as
   * cells share bits; nothing of one without a guard.
   */
  ofGuard(node: Node): Footprint {
    if (node.operation?.kind === "join") return this.ofOther(node)
    const { bitsLow, bitsHigh } = node.guard ?? { bitsLow: 0, bitsHigh: 0 }
    const known = this.guards.get(node)
    if (known?.bitsLow === bitsLow && known.bitsHigh === bitsHigh) return known.footprint
    const { cells } = this.engine.instance.store
    const reads = cells.filter((cell) => ((cell.bitsLow & bitsLow) | (cell.bitsHigh & bitsHigh)) !== 0)
    const footprint = footprintOf(
      reads.map(({ position }) => position),
      [],
      this.current,
    )
    this.guards.set(node, { bitsLow, bitsHigh, footprint })
    return footprint
  }

  private compute(node: Node, { cells, next, reads }: Outcome): Footprint {
    const { upcoming } = this.engine
    const writes = new Set<number>()
    for (const cell of cells) {
      writes.add(cell.position)
      for (const property of cell.invariants) writes.add(this.firstProperty + property)
      for (const property of cell.actionInvariants) writes.add(this.firstProperty + property)
      if (this.promised.has(cell)) writes.add(this.promisesPlace)
      if (upcoming?.watched.has(cell)) writes.add(this.upcomingPlace)
    }
    const own = this.placeOf(node.fiber.name)
    if (next?.ended === true) {
      writes.add(own)
      if (this.hasPromises) writes.add(this.promisesPlace)
    }
    const read = reads.map(({ position }) => position)
    if (this.interrupts) read.push(own)
    if (upcoming !== undefined && next?.guard !== undefined) read.push(this.upcomingPlace)
    return footprintOf(
      read.filter((place) => !writes.has(place)),
      [...writes],
      this.current,
    )
  }

  private placeOf(fiber: string): number {
    return this.upcomingPlace + 1 + this.idOf(fiber)
  }
}
