/**
 * What must be true of a program. A property is data: its id, its statement in one sentence of plain English, its
 * source, and predicates over the scenario's world, which may only read cells.
 */
import type { Plain } from "../program/plain.ts"
import type { LockGraph } from "./lockGraph.ts"

interface Stated {
  readonly id: string
  /** One sentence that a reader who does not know the code understands. */
  readonly statement: string
  /** The kernel file and function, document or mail that it comes from; or why it must hold. */
  readonly source: string
}

/** A predicate of states, stated. */
interface StatePredicate<in World> extends Stated {
  /**
   * When the property is put to the test; without it, always. States in which it is true count as exercised. It excuses
   * nothing: `holds` is asked in every state, so that what goes wrong where nobody expects it is seen as well.
   */
  premise?(world: World): boolean
  holds(world: World): boolean
  /** What is wrong in a state in which it does not hold. */
  explain?(world: World): string
}

/** Must hold in every state that is reached, between any two steps. */
export interface Invariant<in World> extends StatePredicate<World> {
  readonly kind: "invariant"
}

/**
 * Must hold of every single step: a relation between what is observed before and after it. A step that changes
 * nothing observed must satisfy it.
 */
export interface ActionInvariant<in World, Observed extends Plain = Plain> extends Stated {
  readonly kind: "action"
  observe(world: World): Observed
  /**
   * Which steps put it to the test; without it, all that change what is observed. They count as exercised. It excuses
   * nothing: `holds` is asked of every step.
   */
  premise?(before: Observed, after: Observed): boolean
  holds(before: Observed, after: Observed): boolean
  explain?(before: Observed, after: Observed): string
}

/** Must hold whenever all fibers have ended. */
export interface AtEnd<in World> extends StatePredicate<World> {
  readonly kind: "atEnd"
}

/** A fiber that cannot go on when nothing can: its name, and the name and arguments of the step that it waits in. */
export interface Waiting {
  readonly fiber: string
  readonly step: string
  readonly args: ReadonlyArray<Plain>
}

/** Must not be stuck when nothing can go on any more: freedom from deadlock, said of one thing that must come about. */
export interface Progress<in World> extends Stated {
  readonly kind: "progress"
  stuck(world: World, waiting: ReadonlyArray<Waiting>): boolean
}

/** What a promise may ask of the fibers of a program. */
export interface Fibers {
  /** Whether the fiber of that name has come to its end. One that is not there, or not yet, has not. */
  readonly ended: (name: string) => boolean
}

/**
 * A promise that must be kept: in every weakly fair run, whenever `from` holds, `to` holds then or later. A run is
 * weakly fair unless some fiber could go on from some point for ever and never does. A run that ends must have kept it
 * by then.
 */
export interface LeadsTo<in World> extends Stated {
  readonly kind: "leadsTo"
  /** When the promise is made; without it, in the initial state. States in which it is true count as exercised. */
  from?(world: World, fibers: Fibers): boolean
  /** When it is kept. */
  to(world: World, fibers: Fibers): boolean
}

/**
 * No data race: of any two accesses to the same `dataCell` by different fibers, one of them a write, one comes before the
 * other by way of other cells, locks, fork, join or interruption. See `upcoming.ts`.
 */
export interface DataRaces extends Stated {
  readonly kind: "dataRaces"
}

/**
 * Locks are taken in an order: no fiber waits for one while it holds one of a later place. Who only tries a lock may do
 * so in any order, and nothing is asked of those without a place.
 */
export interface LockOrder extends Stated {
  readonly kind: "lockOrder"
  /** The locks by their names, or else by their kinds; those that are taken first come first. */
  readonly order: ReadonlyArray<string>
  /**
   * Those of these kinds of which nobody waits for one while holding another, unless the wait says that it is nested. In the
   * kernel that holds of every kind that lockdep knows ("possible recursive locking detected"). Of others, two may be held.
   */
  readonly single?: ReadonlyArray<string>
}

/**
 * No fibers take locks in a circle in one run, be it at different times: that they do not deadlock in this run is then a
 * matter of timing. See `lockGraph.ts` for what counts.
 */
export interface LockInversions extends Stated {
  readonly kind: "lockInversions"
}

/** What must be true of a program, in one of eight ways. */
export type Property<World> =
  | Invariant<World>
  | ActionInvariant<World>
  | AtEnd<World>
  | Progress<World>
  | LeadsTo<World>
  | DataRaces
  | LockOrder
  | LockInversions

/** A property bound to one world, so that the engine need not know the world's type. */
export type BoundProperty =
  | (Stated & {
      readonly kind: "invariant" | "atEnd"
      readonly premise: () => boolean
      readonly holds: () => boolean
      readonly explain: () => string
    })
  | (Stated & {
      readonly kind: "action"
      readonly observe: () => Plain
      readonly premise: (before: Plain, after: Plain) => boolean
      readonly holds: (before: Plain, after: Plain) => boolean
      readonly explain: (before: Plain, after: Plain) => string
    })
  | (Stated & { readonly kind: "progress"; readonly stuck: (waiting: ReadonlyArray<Waiting>) => boolean })
  | BoundPromise
  | DataRaces
  | LockOrder

/** A promise bound to one world. Without `from` it is made in the initial state. */
export interface BoundPromise extends Stated {
  readonly kind: "leadsTo"
  readonly from: ((fibers: Fibers) => boolean) | undefined
  readonly to: (fibers: Fibers) => boolean
}

const always = () => true

/**
 * Binds a property to the world of a program instance.
 *
 * @param lockGraph the instance's, where inversions are asked for
 */
export const bind = <World>(
  property: Property<World>,
  world: World,
  lockGraph: LockGraph | undefined,
): BoundProperty => {
  const { id, statement, source } = property
  switch (property.kind) {
    case "invariant":
    case "atEnd":
      return {
        kind: property.kind,
        id,
        statement,
        source,
        premise: property.premise ? () => property.premise?.(world) === true : always,
        holds: () => property.holds(world),
        explain: () => property.explain?.(world) ?? statement,
      }
    case "action":
      return {
        kind: "action",
        id,
        statement,
        source,
        observe: () => property.observe(world),
        premise: property.premise ? (before, after) => property.premise?.(before, after) === true : always,
        holds: (before, after) => property.holds(before, after),
        explain: (before, after) => property.explain?.(before, after) ?? statement,
      }
    case "progress":
      return { kind: "progress", id, statement, source, stuck: (waiting) => property.stuck(world, waiting) }
    case "leadsTo":
      return {
        kind: "leadsTo",
        id,
        statement,
        source,
        from: property.from ? (fibers) => property.from?.(world, fibers) === true : undefined,
        to: (fibers) => property.to(world, fibers),
      }
    case "dataRaces":
      return { kind: "dataRaces", id, statement, source }
    case "lockOrder":
      return { kind: "lockOrder", id, statement, source, order: property.order, single: property.single ?? [] }
    case "lockInversions":
      return {
        kind: "invariant",
        id,
        statement,
        source,
        premise: () => lockGraph?.isNested === true,
        holds: () => lockGraph?.circle === undefined,
        explain: () => lockGraph?.circle ?? statement,
      }
  }
}

/**
 * States a property of every step. The other kinds are written as plain objects; this one needs a function so that the
 * type of what is observed is inferred.
 */
export const actionInvariant = <World, Observed extends Plain>(
  stated: Omit<ActionInvariant<World, Observed>, "kind">,
): ActionInvariant<World, Observed> => ({ kind: "action", ...stated })

/** Asks for freedom from data races: see `DataRaces`. */
export const dataRaces = (source: string, id = "data-races"): DataRaces => ({
  kind: "dataRaces",
  id,
  statement: "Of two accesses to the same data, one of them a write, one is ordered before the other.",
  source,
})

/** Asks that locks are taken in an order, and of some kinds one at a time: see `LockOrder`. */
export const lockOrder = (
  order: ReadonlyArray<string>,
  source: string,
  id = "lock-order",
  single: ReadonlyArray<string> = [],
): LockOrder => ({
  kind: "lockOrder",
  id,
  statement: [
    ...(order.length === 0 ? [] : [`Locks are taken in this order: ${order.join(", ")}.`]),
    ...(single.length === 0 ? [] : [`Nobody has two of a kind, unless they are nested: ${single.join(", ")}.`]),
  ].join(" "),
  source,
  order,
  single,
})

/** Asks that no locks are taken in a circle: see `LockInversions`. */
export const lockInversions = (source: string, id = "lock-inversions"): LockInversions => ({
  kind: "lockInversions",
  id,
  statement: "No fibers take locks in a circle.",
  source,
})
