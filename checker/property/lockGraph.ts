/**
 * The lock graph of a run: who took which lock while holding which. Two fibers that take two locks in different orders may
 * deadlock even though they did not here.
 *
 * This is history, which a program does not keep, so it is kept like that of a monitor, in a cell of its own: states that
 * differ in it are different states, every strategy decides the property exactly, and its counterexample is one run. That
 * cell exists only where the property is switched on, and there makes more states of those that it tells apart.
 *
 * The graph is one of locks, not of their kinds as in the kernel's lockdep (Documentation/locking/lockdep-design.rst): an
 * order of kinds is a rule of a program, for the property `lockOrder` to state. As there, who takes a lock for reading
 * counts like one who takes it for writing, and who only tries a lock waits for nothing. Other than there, a circle
 * counts only where it could deadlock in this program (GoodLock: Havelund, "Using runtime analysis to guide model
 * checking of Java programs", SPIN 2000; Bensalem and Havelund, HVC 2005): it takes a different fiber for each of its
 * edges, and no two of them under a common lock that one of them holds alone, a gate. The kernel needs annotations in such
 * places (mm_take_all_locks in mm/mmap.c under mm_all_locks_mutex).
 */
import { type Cell, cell } from "../program/cell.ts"
import { heldBy, type Lock, type Taking } from "../program/lock.ts"

/** The locks held around an edge, and whether they are held with others. Where it was taken more than once: always. */
interface Gates {
  readonly [lock: string]: boolean
}

/** By fiber, by the lock held, by the lock taken. */
interface Edges {
  readonly [fiber: string]: { readonly [held: string]: { readonly [taken: string]: Gates } }
}

interface Edge {
  readonly fiber: string
  readonly held: string
  readonly taken: string
  readonly gates: Gates
}

/** See above. Made while a program is set up. */
export class LockGraph {
  private readonly cell: Cell<Edges>
  private readonly locks: ReadonlyArray<Lock>

  /** @param locks those of the program, as they become known */
  constructor(locks: ReadonlyArray<Lock>) {
    this.cell = cell<Edges>("the lock graph", {})
    this.locks = locks
  }

  /** Notes that a fiber took locks. In the same instant, behind the step. */
  note(fiber: string, takes: ReadonlyArray<Taking>): void {
    const taken = takes.map(({ lock }) => lock)
    const held = heldBy(fiber, this.locks).filter(({ lock }) => !taken.includes(lock))
    for (const { lock: outer } of held) {
      const others = held.filter(({ lock }) => lock !== outer)
      const gates = Object.fromEntries(others.map(({ lock, shared }) => [lock.name, shared]))
      for (const inner of taken) this.add(fiber, outer.name, inner.name, gates)
    }
  }

  private add(fiber: string, held: string, taken: string, gates: Gates): void {
    const edges = this.cell.value
    const own = edges[fiber] ?? {}
    const known = own[held]?.[taken]
    const both = known === undefined ? gates : common(known, gates)
    this.cell.value = { ...edges, [fiber]: { ...own, [held]: { ...own[held], [taken]: both } } }
  }

  /** Whether any lock was taken while another was held. */
  get isNested(): boolean {
    return Object.keys(this.cell.value).length > 0
  }

  /** A circle, in words; `undefined` where there is none. */
  get circle(): string | undefined {
    const edges = edgesOf(this.cell.value)
    for (const edge of edges) {
      const circle = closed([edge], edges)
      if (circle === undefined) continue
      return circle.map(({ fiber, held, taken }) => `${fiber} takes ${taken} while it holds ${held}`).join(", ")
    }
    return undefined
  }
}

const edgesOf = (edges: Edges): ReadonlyArray<Edge> =>
  Object.entries(edges).flatMap(([fiber, byHeld]) =>
    Object.entries(byHeld).flatMap(([held, byTaken]) =>
      Object.entries(byTaken).map(([taken, gates]) => ({ fiber, held, taken, gates })),
    ),
  )

/** The path continued to a circle of different fibers and locks that no gate keeps apart. */
const closed = (path: ReadonlyArray<Edge>, edges: ReadonlyArray<Edge>): ReadonlyArray<Edge> | undefined => {
  const [first] = path
  const last = path.at(-1)
  if (first === undefined || last === undefined) return undefined
  if (last.taken === first.held) return path
  for (const edge of edges) {
    if (edge.held !== last.taken) continue
    if (path.some((other) => other.fiber === edge.fiber || other.held === edge.held || areApart(other, edge))) continue
    const circle = closed([...path, edge], edges)
    if (circle !== undefined) return circle
  }
  return undefined
}

/** Whether one lock is held around both edges, by one of them alone. */
const areApart = (one: Edge, other: Edge): boolean =>
  Object.keys(one.gates).some((lock) => {
    const shared = other.gates[lock]
    return shared !== undefined && !(shared && one.gates[lock] === true)
  })

/** The locks of both; one that was held with others once is held so. */
const common = (one: Gates, other: Gates): Gates =>
  Object.fromEntries(
    Object.entries(one).flatMap(([lock, shared]) => {
      const also = other[lock]
      return also === undefined ? [] : [[lock, shared || also]]
    }),
  )
