/**
 * Properties of what fibers are about to do in a state: that no two of them are about to access the same data cell, and
 * that none is about to take a lock against the lock order.
 *
 * Data races. A data race is two steps of different fibers that access the same data cell (see `dataCell`), one of them
 * writing, with nothing that orders them. What orders: the program order of a fiber, fork, join and interruption, and any
 * two accesses to the same other cell of which one writes, the locks that a step takes included. The accesses of a step
 * count in their order: what it reads of other cells before it touches data orders that data behind what was written
 * there; and other fibers see a step as a whole.
 *
 * Here that is asked of single states: two fibers whose next steps can both be taken, and the first access of the one
 * that conflicts with the other is to a data cell. Nothing of the past is needed, so it is decided exactly where states
 * are matched. `happensBefore.ts` asks the same of single executions, by vector clocks. Over all executions the two
 * agree:
 * - Two such steps, taken one after the other, are not ordered: up to the conflict the second does what it would have
 *   done first, and nothing is between them.
 * - Take an execution with a race and cut it after the first access that races, in the step b. Of the steps that race
 *   with it let a be the last. Leave out all that is ordered neither before that access nor before a, and a itself: what
 *   is left is an execution too, because whatever its steps read was written by steps that are still there (else there
 *   were an earlier race). In its last state a can be taken and b can, and does the same up to the access that races; of
 *   its accesses before none conflicts with a, or a were ordered before, or there were an earlier race.
 *
 * Both rest on guards that read no data: a fiber that waits for a data cell reads it all the time, which is reported at
 * once, whoever writes it.
 *
 * (Adve and Hill, "Weak ordering: a new definition", ISCA 1990, for races as adjacent conflicting accesses in sequentially
 * consistent executions.)
 */
import { conflict, type Intent, Intents } from "../engine/intents.ts"
import { ReadTree } from "../engine/readTree.ts"
import { type Others, parkedAt, readingAs, type System } from "../engine/system.ts"
import { heldBy, type Lock } from "../program/lock.ts"
import { labelOf } from "../program/operation.ts"
import type { CellAccess, StoredCell } from "../program/store.ts"
import type { BoundProperty } from "./property.ts"
import { together, type Violation } from "./violation.ts"

const none: ReadonlyArray<Violation> = []

type LockOrder = BoundProperty & { readonly kind: "lockOrder" }

/**
 * What an order of locks says of a lock that is about to be taken: something, where another is held that has a place in the
 * order too, or could be that is of a kind of which one is held at a time. `wrong` says what is against it.
 */
interface Nesting {
  readonly isTested: boolean
  readonly wrong: string | undefined
}

/** An order that is asked for, and what is known of it. */
interface Ordering {
  readonly property: LockOrder
  /** The locks that it is about. Others are not even looked at: what a property reads counts as seen. */
  readonly locks: ReadonlyArray<Lock>
  readonly nestings: WeakMap<object, ReadTree<Nesting>>
}

/** The place of a lock in an order, by its name or else its kind; below 0 where it has none. */
const rankIn = ({ order }: LockOrder, { name, kind }: Lock): number =>
  order.includes(name) ? order.indexOf(name) : order.indexOf(kind)

const isSingleIn = ({ single = [] }: LockOrder, { kind }: Lock): boolean => single.includes(kind)

const orderingOf = (property: LockOrder, all: ReadonlyArray<Lock>): Ordering => ({
  property,
  locks: all.filter((lock) => rankIn(property, lock) >= 0 || isSingleIn(property, lock)),
  nestings: new WeakMap(),
})

/** See above. */
export class Upcoming {
  /**
   * The cells that have been read for saying whether a fiber that is parked at a guard waits for data, or takes a lock
   * against the order. Like those that an invariant has read, they are to be seen in every order.
   */
  readonly watched = new Set<StoredCell>()
  private readonly system: System & Others
  private readonly intents: Intents
  /** What is asked for, in the order of the properties: each says what breaks in the present state. */
  private readonly asked: ReadonlyArray<() => ReadonlyArray<Violation>>

  constructor(system: System & Others) {
    this.system = system
    this.intents = new Intents(system, this.watched)
    const { properties, store } = system.instance
    this.asked = properties.flatMap((property, position) => {
      if (property.kind === "dataRaces") return [() => this.races(property.id, position)]
      if (property.kind !== "lockOrder") return []
      const ordering = orderingOf(property, store.locks)
      return [() => this.disorder(ordering, position)]
    })
  }

  /** The violations in the present state. */
  judge(): ReadonlyArray<Violation> {
    let violations = none
    for (const judge of this.asked) violations = together(violations, judge())
    return violations
  }

  private races(property: string, position: number): ReadonlyArray<Violation> {
    const { tracker, width } = this.system
    const intents = Array.from({ length: width }, (_, fiber) => this.intents.of(fiber))
    const found: Array<Violation> = []
    let exercised = false
    for (const [one, intent] of intents.entries()) {
      if (intent === undefined) continue
      for (const { name } of intent.awaited) {
        const message = `${this.says(one)} waits for ${name}, which is data: it reads that all the time, ordered by nothing`
        found.push({ property, message })
      }
      if (!intent.isPossible || !intent.accesses.some(({ cell }) => cell.isData)) continue
      exercised = true
      for (let other = 0; other < one; other++) {
        const race = raceOf(intents[other], intent)
        if (race === undefined) continue
        const how = `${this.says(other)} ${verb(race.first)} it, ${this.says(one)} ${verb(race.second)} it`
        found.push({ property, message: `${race.first.cell.name} is data, and nothing orders who comes next: ${how}` })
      }
    }
    if (exercised) tracker.exercise(position)
    return found
  }

  private disorder(ordering: Ordering, position: number): ReadonlyArray<Violation> {
    const { system } = this
    let found = none
    for (let fiber = 0; fiber < system.width; fiber++) {
      const operation = system.operation(fiber)
      if (operation?.kind !== "step" || operation.wait?.takes === undefined) continue
      const { isTested, wrong } = this.nesting(ordering, fiber)
      if (isTested) system.tracker.exercise(position)
      if (wrong !== undefined) found = [...found, { property: ordering.property.id, message: wrong }]
    }
    return found
  }

  private nesting(ordering: Ordering, fiber: number): Nesting {
    const { system } = this
    const { store } = system.instance
    const place = system.place(fiber)
    let tree = place === undefined ? undefined : ordering.nestings.get(place)
    if (place !== undefined && tree === undefined) {
      tree = new ReadTree(store)
      ordering.nestings.set(place, tree)
    }
    const remembered = tree?.find()
    if (remembered !== undefined) return remembered
    const reads = store.record()
    let nesting: Nesting
    try {
      nesting = this.findNesting(ordering, fiber)
    } finally {
      store.stopRecording()
    }
    tree?.learn(reads, nesting)
    for (const cell of reads) this.watched.add(cell)
    return nesting
  }

  private findNesting({ property, locks }: Ordering, fiber: number): Nesting {
    const { system } = this
    const { order } = property
    const name = system.fibers[fiber]?.name ?? ""
    const takes = parkedAt(system, fiber)?.wait?.takes
    if (takes === undefined) return { isTested: false, wrong: undefined }
    const held = readingAs(system, fiber, () => heldBy(name, locks)).map(({ lock }) => lock)
    let isTested = false
    for (const { lock, nested = false } of readingAs(system, fiber, takes)) {
      const rank = rankIn(property, lock)
      // Who takes the first of several could have had another.
      if (isSingleIn(property, lock)) isTested ||= locks.some((other) => other !== lock && other.kind === lock.kind)
      for (const outer of held) {
        const isOfKind = outer.kind === lock.kind && isSingleIn(property, lock)
        const isOrdered = rank >= 0 && rankIn(property, outer) >= 0
        if (outer === lock || !(isOfKind || isOrdered)) continue
        isTested = true
        const isSecond = isOfKind && !nested
        if (!isSecond && (!isOrdered || rankIn(property, outer) <= rank)) continue
        const rule = isSecond
          ? `of ${lock.kind} one is held at a time, unless the second is taken as nested`
          : `the order is ${order[rank]} before ${order[rankIn(property, outer)]}`
        return { isTested, wrong: `${this.says(fiber)} takes ${lock.name} while it holds ${outer.name}; ${rule}` }
      }
    }
    return { isTested, wrong: undefined }
  }

  /** A fiber and the step it is at, as a sentence begins. */
  private says(fiber: number): string {
    const operation = this.system.operation(fiber)
    return `${this.system.fibers[fiber]?.name} in ${operation === undefined ? "its end" : labelOf(operation)}`
  }
}

/** The accesses by which two next steps race, if they do: whichever of the two comes first. */
const raceOf = (
  one: Intent | undefined,
  other: Intent,
): { readonly first: CellAccess; readonly second: CellAccess } | undefined => {
  if (one === undefined || !one.isPossible) return undefined
  const behind = firstConflict(one, other)
  if (behind?.second.cell.isData === true) return behind
  const before = firstConflict(other, one)
  if (before?.second.cell.isData === true) return { first: before.second, second: before.first }
  return undefined
}

/** The first access of a step that conflicts with one that comes directly before it. */
const firstConflict = (before: Intent, behind: Intent) => {
  for (const second of behind.accesses) {
    const first =
      before.accesses.find((access) => access.writes && conflict(access, second)) ??
      before.accesses.find((access) => conflict(access, second))
    if (first !== undefined) return { first, second }
  }
  return undefined
}

const verb = ({ writes }: CellAccess): string => (writes ? "writes" : "reads")

/** What looks at what fibers are about to do; `undefined` where no property asks. */
export const upcomingIn = (system: System & Others): Upcoming | undefined =>
  system.instance.properties.some(({ kind }) => kind === "dataRaces" || kind === "lockOrder")
    ? new Upcoming(system)
    : undefined
