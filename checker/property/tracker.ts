import { describeError } from "../engine/fault.ts"
import { labelOf } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { type Actor, breakRule, runtime } from "../program/runtime.ts"
import type { Store, StoredCell } from "../program/store.ts"
import type { BoundPromise, BoundProperty, Fibers, Waiting } from "./property.ts"
import { builtIn, type Violation } from "./violation.ts"

/** What a promise is in a state: made there, kept there, both or neither. */
export interface Promised {
  readonly made: boolean
  readonly kept: boolean
}

/**
 * Evaluates the properties of one program instance along a path of states, and only those that a step can have
 * changed.
 *
 * Why that is sound: a property is a function of the cells that it reads. `cell.readers` lists every property that has
 * read the cell in any state so far. If a step writes no cell that the property has ever read, then in the state before
 * the step the property read none of the cells written, so it would read the same cells now and give the same answer.
 */
export class PropertyTracker {
  /** How often each property was evaluated with its premise true. */
  readonly exercised: ReadonlyArray<{ readonly id: string; times: number }>

  private readonly store: Store
  private readonly properties: ReadonlyArray<BoundProperty>
  private readonly known: ReadonlyArray<Set<StoredCell>>
  /** What the action invariants observe in the present state, by position; nothing for the others. */
  private readonly observed: Array<Plain> = []
  /** Positions and observations to restore, oldest first. */
  private readonly log: Array<{ readonly position: number; readonly before: Plain }> = []
  /** For each property, the number of the last check that evaluated it. */
  private readonly lastCheck: Array<number>
  private checks = 0

  constructor(store: Store, properties: ReadonlyArray<BoundProperty>) {
    this.store = store
    this.properties = properties
    this.known = properties.map(() => new Set())
    this.exercised = properties.map(({ id }) => ({ id, times: 0 }))
    this.lastCheck = properties.map(() => 0)
  }

  /** Evaluates everything in the present state, which no step is known to lead to. */
  begin(): ReadonlyArray<Violation> {
    this.log.length = 0
    const violations: Array<Violation> = []
    this.properties.forEach((property, position) => {
      if (property.kind === "invariant") this.evaluate(position, property, violations)
      if (property.kind === "action")
        this.observed[position] = this.guarded(position, () => intern(property.observe()), undefined, violations)
    })
    return violations
  }

  /**
   * Evaluates everything after a step, whatever the step wrote: what plain re-execution does. A property that looks at
   * more than cells shows here.
   */
  checkAll(): ReadonlyArray<Violation> {
    const violations: Array<Violation> = []
    this.properties.forEach((property, position) => {
      if (property.kind === "invariant") this.evaluate(position, property, violations)
      if (property.kind === "action") this.compare(position, property, violations)
    })
    return violations
  }

  /** Evaluates what the writes since the store's mark can have changed. */
  check(mark: number): ReadonlyArray<Violation> {
    const violations: Array<Violation> = []
    const check = ++this.checks
    this.store.forEachWritten(mark, (cell) => {
      for (const position of cell.readers) {
        if (this.lastCheck[position] === check) continue
        this.lastCheck[position] = check
        const property = this.properties[position]
        if (property === undefined) continue
        if (property.kind === "invariant") this.evaluate(position, property, violations)
        else if (property.kind === "action") this.compare(position, property, violations)
      }
    })
    return violations
  }

  /** The length of the log, to `rollback` to. */
  get mark(): number {
    return this.log.length
  }

  /** Takes back what the checks since the mark observed. */
  rollback(mark: number): void {
    while (this.log.length > mark) {
      const entry = this.log.pop()
      if (entry !== undefined) this.observed[entry.position] = entry.before
    }
  }

  /** Evaluates a state in which nothing can go on; `waiting` is empty when all fibers have ended. */
  end(waiting: ReadonlyArray<Waiting>, deadlock: () => string): ReadonlyArray<Violation> {
    const violations: Array<Violation> = []
    this.properties.forEach((property, position) => {
      if (property.kind === "atEnd" && waiting.length === 0) this.evaluate(position, property, violations)
      if (property.kind !== "progress") return
      const counter = this.exercised[position]
      if (counter !== undefined) counter.times++
      if (this.guarded(position, () => property.stuck(waiting), false, violations)) {
        const why = waiting.length === 0 ? "all fibers have ended" : deadlock()
        violations.push({ property: property.id, message: `${property.statement} It does not: ${why}` })
      }
    })
    if (waiting.length > 0) violations.push({ property: builtIn.deadlock, message: deadlock() })
    return violations
  }

  /**
   * What the promises of the program are in the present state, in their order. What is promised along a path of states
   * is followed elsewhere: see `Promises`.
   *
   * @param initial whether this is the first state, in which promises without `from` are made
   * @param violations gets what goes wrong on the way
   */
  promised(fibers: Fibers, initial: boolean, violations: Array<Violation>): ReadonlyArray<Promised> {
    return this.properties.flatMap((property, position) =>
      property.kind === "leadsTo" ? [this.promisedBy(position, property, fibers, initial, violations)] : [],
    )
  }

  private promisedBy(
    position: number,
    { from, to }: BoundPromise,
    fibers: Fibers,
    initial: boolean,
    violations: Array<Violation>,
  ): Promised {
    const made = from === undefined ? initial : this.guarded(position, () => from(fibers), false, violations)
    const counter = this.exercised[position]
    if (made && counter !== undefined) counter.times++
    return { made, kept: this.guarded(position, () => to(fibers), false, violations) }
  }

  private evaluate(
    position: number,
    property: BoundProperty & { readonly kind: "invariant" | "atEnd" },
    violations: Array<Violation>,
  ): void {
    const holds = this.guarded(
      position,
      () => {
        if (!property.premise()) return true
        const result = property.holds()
        this.count(position)
        return result
      },
      true,
      violations,
    )
    if (!holds)
      violations.push({ property: property.id, message: this.guarded(position, property.explain, "", violations) })
  }

  private compare(
    position: number,
    property: BoundProperty & { readonly kind: "action" },
    violations: Array<Violation>,
  ): void {
    const before = this.observed[position]
    const after = this.guarded(position, () => intern(property.observe()), undefined, violations)
    if (after === before) return
    this.log.push({ position, before })
    this.observed[position] = after
    const holds = this.guarded(
      position,
      () => {
        if (!property.premise(before, after)) return true
        this.count(position)
        return property.holds(before, after)
      },
      true,
      violations,
    )
    if (!holds) {
      const message = this.guarded(position, () => property.explain(before, after), "", violations)
      violations.push({ property: property.id, message })
    }
  }

  /** Counts an evaluation with a true premise. One that has read no cell says nothing of the program. */
  private count(position: number): void {
    const counter = this.exercised[position]
    if (counter !== undefined && this.known[position]?.size !== 0) counter.times++
  }

  /** Runs a predicate that may only read, noting the cells that it reads. */
  private guarded<A>(position: number, predicate: () => A, otherwise: A, violations: Array<Violation>): A {
    const { store } = this
    const known = this.known[position]
    store.recorder = (cell) => {
      if (known === undefined || known.has(cell)) return
      known.add(cell)
      cell.readers.push(position)
    }
    runtime.actor = judge
    try {
      return store.reading(predicate)
    } catch (error) {
      violations.push({
        property: builtIn.defect,
        message: `property ${this.properties[position]?.id} threw ${describeError(error)}`,
      })
      return otherwise
    } finally {
      store.recorder = undefined
      runtime.actor = undefined
    }
  }
}

/** Whose code runs while a property is evaluated: nobody's that could act, but kept from the real world all the same. */
const judge: Actor = {
  name: "a property",
  place: "in its predicate",
  perform: (operation) => breakRule(`${labelOf(operation)} is performed in a property`),
  passCheckpoint: (label) => breakRule(`checkpoint ${label} is passed in a property`),
  enterLoop: (label) => breakRule(`loop ${label} is entered in a property`),
  blame: () => undefined,
}
