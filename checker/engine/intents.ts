/** What fibers are about to do: which cells their next steps access, and whether they can be taken. */
import type { Step } from "../program/operation.ts"
import type { CellAccess, StoredCell } from "../program/store.ts"
import { ReadTree } from "./readTree.ts"
import { guardHolds, type Others, parkedAt, readingAs, type System } from "./system.ts"
import { tryOut } from "./witness.ts"

/** What a fiber's next step does in the present state. */
export interface Intent {
  readonly isPossible: boolean
  /** First its locks (see `Instance.lockCells`), then what its guard reads, then the body, in their order; each kind of access to a place once. */
  readonly accesses: ReadonlyArray<CellAccess>
  /** The data cells that its guard reads. */
  readonly awaited: ReadonlyArray<StoredCell>
}

/**
 * Learns intents as the engine learns steps, where it remembers: what a fiber is about to do depends on where it stands
 * and on the cells that are read on the way. Monitors are no part of the program and so no part of this.
 */
export class Intents {
  private readonly system: System & Others
  private readonly known = new WeakMap<object, ReadTree<Intent>>()
  /** The cells that guards have read. */
  private readonly watched: Set<StoredCell>

  /** @param watched gets the cells that guards read */
  constructor(system: System & Others, watched = new Set<StoredCell>()) {
    this.system = system
    this.watched = watched
  }

  /** What the fiber's next step does; `undefined` where it is at no step. */
  of(fiber: number): Intent | undefined {
    const { system } = this
    if (system.operation(fiber)?.kind !== "step") return undefined
    const place = system.place(fiber)
    const { store } = system.instance
    let tree = place === undefined ? undefined : this.known.get(place)
    if (place !== undefined && tree === undefined) {
      tree = new ReadTree(store)
      this.known.set(place, tree)
    }
    const known = tree?.find()
    if (known !== undefined) return known
    const step = parkedAt(system, fiber)
    if (step === undefined) return undefined
    const reads = store.record()
    let intent: Intent
    try {
      intent = this.trace(fiber, step)
    } finally {
      store.stopRecording()
    }
    // Whether it reads the same after the same contents is for the engine to say, which performs the same step.
    tree?.learn(reads, intent)
    return intent
  }

  private trace(fiber: number, step: Step): Intent {
    const { system } = this
    const { instance } = system
    const run = system.actor(fiber)
    if (run === undefined) throw new Error(`there is no fiber ${fiber}`)
    let isPossible = false
    const guard = accessesOf(system, () => {
      isPossible = guardHolds(instance, run, step)
    })
    for (const { cell } of guard) this.watched.add(cell)
    const locks = this.locksOf(fiber, step, guard)
    const all = isPossible ? accessesOf(system, () => tryOut(instance, run, step, 0, [], system)) : guard
    return {
      isPossible,
      accesses: [...locks, ...once(all)],
      awaited: [...new Set(guard.map(({ cell }) => cell).filter(({ isData }) => isData))],
    }
  }

  /** The locks that a step takes: of those that it names, the ones that its guard looks at. */
  private locksOf(fiber: number, step: Step, guard: ReadonlyArray<CellAccess>): ReadonlyArray<CellAccess> {
    const takes = step.wait?.takes
    if (takes === undefined) return []
    return readingAs(this.system, fiber, takes).flatMap(({ lock, shared }) => {
      const looked = accessesOf(this.system, () => readingAs(this.system, fiber, lock.holders))
      if (!looked.some(({ cell }) => guard.some((read) => read.cell === cell))) return []
      const cell = this.system.instance.lockCells.get(lock)
      return cell === undefined ? [] : [{ cell, writes: !shared }]
    })
  }
}

/** All accesses to cells while something runs. */
const accessesOf = ({ instance: { store } }: System, run: () => unknown): ReadonlyArray<CellAccess> => {
  const accesses: Array<CellAccess> = []
  store.accesses = accesses
  try {
    run()
  } finally {
    store.accesses = undefined
  }
  return accesses
}

/** Without repetitions, and without the reads of what was written before: who conflicts with them does with the write. */
const once = (accesses: ReadonlyArray<CellAccess>): ReadonlyArray<CellAccess> => {
  const seen = new Map<StoredCell, boolean>()
  return accesses.flatMap(({ cell, writes }) => {
    const before = seen.get(cell)
    if (before === true || before === writes) return []
    seen.set(cell, writes)
    return [{ cell, writes }]
  })
}

/** Whether two accesses are to the same cell and cannot change places. */
export const conflict = (one: CellAccess, other: CellAccess): boolean =>
  one.cell === other.cell && (one.writes || other.writes)
