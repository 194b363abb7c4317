import { describeError } from "../engine/fault.ts"
import { ReadTree } from "../engine/readTree.ts"
import type { Renaming } from "../engine/renaming.ts"
import type { Twins } from "../engine/twins.ts"
import { labelOf } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { type Actor, breakRule, runtime } from "../program/runtime.ts"
import type { Store, StoredCell } from "../program/store.ts"
import type { BoundPromise, BoundProperty, Fibers, Waiting } from "./property.ts"
import { builtIn, type Violation } from "./violation.ts"

/** What a state predicate says of a state. */
type Verdict =
  /** The premise is false. */
  "silent" | "holds" | "broken"

type Reads = ReadonlyArray<StoredCell>
type StateProperty = BoundProperty & { readonly kind: "invariant" | "atEnd" }
type ActionProperty = BoundProperty & { readonly kind: "action" }

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
 * For the same reason an answer may be looked up where the property has met the same contents before.
 */
export class PropertyTracker {
  /** How often each property was evaluated with its premise true: for invariants, the states counted in which it was. */
  readonly exercised: ReadonlyArray<{ readonly id: string; times: number }>

  private readonly store: Store
  private readonly twins: Twins | undefined
  /** The pairs of observations for which an action invariant was checked to treat interchangeable names alike. */
  private readonly related: ReadonlyArray<Map<Plain, Set<Plain>>>
  private readonly properties: ReadonlyArray<BoundProperty>
  private readonly remembers: boolean
  private readonly known: ReadonlyArray<Set<StoredCell>>
  private readonly verdicts: ReadonlyArray<ReadTree<Verdict>>
  private readonly observations: ReadonlyArray<ReadTree<{ readonly observed: Plain }>>
  /** The positions of the invariants. */
  private readonly invariants: ReadonlyArray<number>
  /**
   * By position, in the present state: whether an invariant's premise is true, and what an action invariant observes.
   */
  private readonly present: Array<Plain>
  /** Positions and what was present there, oldest first. */
  private readonly positions: Array<number> = []
  private readonly before: Array<Plain> = []
  /** For each property, the number of the last check that evaluated it. */
  private readonly lastCheck: Array<number>
  private checks = 0

  /**
   * @param remembers whether answers are looked up; else every one is computed, as plain re-execution does
   * @param twins where names are interchangeable
   */
  constructor(store: Store, properties: ReadonlyArray<BoundProperty>, remembers: boolean, twins?: Twins) {
    this.twins = twins
    this.store = store
    this.properties = properties
    this.remembers = remembers
    this.related = properties.map(() => new Map())
    this.known = properties.map(() => new Set())
    this.verdicts = properties.map(() => new ReadTree())
    this.observations = properties.map(() => new ReadTree())
    this.invariants = properties.flatMap(({ kind }, position) => (kind === "invariant" ? [position] : []))
    this.present = properties.map(() => false)
    this.exercised = properties.map(({ id }) => ({ id, times: 0 }))
    this.lastCheck = properties.map(() => 0)
  }

  /** Evaluates everything in the present state, which no step is known to lead to. */
  begin(): ReadonlyArray<Violation> {
    this.positions.length = 0
    this.before.length = 0
    const violations: Array<Violation> = []
    this.properties.forEach((property, position) => {
      if (property.kind === "invariant") this.evaluate(position, property, violations)
      if (property.kind === "action") this.present[position] = this.observe(position, property, violations)
    })
    this.positions.length = 0
    this.before.length = 0
    this.count()
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
    this.count()
    return violations
  }

  /** Evaluates what a step, whose writes are those since the store's mark, can have broken as a step. */
  checkStep(mark: number): ReadonlyArray<Violation> {
    return this.check(mark, "action")
  }

  /** Evaluates what those writes can have broken in the state that they lead to. */
  checkState(mark: number): ReadonlyArray<Violation> {
    return this.check(mark, "invariant")
  }

  /** Whether what is evaluated counts: not while a path is followed that was judged before. */
  counting = true

  /** Counts the present state where premises of invariants are true. */
  count(): void {
    for (const position of this.invariants) {
      if (this.present[position] === true) this.tally(position)
    }
  }

  private check(mark: number, kind: "action" | "invariant"): ReadonlyArray<Violation> {
    const { store } = this
    const violations: Array<Violation> = []
    const check = ++this.checks
    for (let written = mark; written < store.mark; written++) {
      for (const position of store.writtenAt(written).readers) {
        if (this.lastCheck[position] === check) continue
        this.lastCheck[position] = check
        const property = this.properties[position]
        if (property?.kind !== kind) continue
        if (property.kind === "invariant") this.evaluate(position, property, violations)
        else if (property.kind === "action") this.compare(position, property, violations)
      }
    }
    return violations
  }

  /** The length of the log, to `rollback` to. */
  get mark(): number {
    return this.positions.length
  }

  /** Takes back what the checks since the mark found present. */
  rollback(mark: number): void {
    while (this.positions.length > mark) {
      const position = this.positions.pop()
      const before = this.before.pop()
      if (position !== undefined) this.present[position] = before
    }
  }

  /** What is present, to `restore`. */
  snapshot(): ReadonlyArray<Plain> {
    return [...this.present]
  }

  /** Makes present what was, and begins a new log. */
  restore(snapshot: ReadonlyArray<Plain>): void {
    this.positions.length = 0
    this.before.length = 0
    for (const [position, value] of snapshot.entries()) this.present[position] = value
  }

  /** Evaluates a state in which nothing can go on; `waiting` is empty when all fibers have ended. */
  end(waiting: ReadonlyArray<Waiting>, deadlock: () => string): ReadonlyArray<Violation> {
    const violations: Array<Violation> = []
    this.properties.forEach((property, position) => {
      if (property.kind === "atEnd" && waiting.length === 0) {
        const verdict = this.verdict(position, property, violations)
        if (verdict !== "silent" && this.known[position]?.size !== 0) this.tally(position)
      }
      if (property.kind !== "progress") return
      this.tally(position)
      const stuck = this.guarded(position, () => property.stuck(waiting), false, violations)
      this.twins?.property(property.id, (rename) => {
        const others = waiting.map(({ fiber, step, args }) => ({
          fiber: String(rename(fiber)),
          step: String(rename(step)),
          args: args.map(rename),
        }))
        return this.guarded(position, () => property.stuck(others), false, []) === stuck
      })
      if (stuck) {
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

  private tally(position: number): void {
    const counter = this.exercised[position]
    if (counter !== undefined && this.counting) counter.times++
  }

  private evaluate(position: number, property: StateProperty, violations: Array<Violation>): void {
    const verdict = this.verdict(position, property, violations)
    // An evaluation that has read no cell says nothing of the program.
    this.makePresent(position, verdict !== "silent" && this.known[position]?.size !== 0)
  }

  private makePresent(position: number, value: Plain): void {
    const before = this.present[position]
    if (before === value) return
    this.positions.push(position)
    this.before.push(before)
    this.present[position] = value
  }

  private verdict(position: number, property: StateProperty, violations: Array<Violation>): Verdict {
    const tree = this.verdicts[position]
    const verdict =
      tree?.find() ??
      this.learn<Verdict>(
        tree,
        position,
        () => {
          if (!property.premise()) return "silent"
          return property.holds() ? "holds" : "broken"
        },
        "holds",
        (said, twin) => said === twin,
        violations,
      )
    if (verdict === "broken") {
      const message = this.reading(position, () => this.guarded(position, property.explain, "", violations)).value
      violations.push({ property: property.id, message })
    }
    return verdict
  }

  private observe(position: number, property: ActionProperty, violations: Array<Violation>): Plain {
    const tree = this.observations[position]
    const known = tree?.find()
    if (known !== undefined) return known.observed
    const nothing = { observed: undefined }
    return this.learn(
      tree,
      position,
      () => ({ observed: intern(property.observe()) }),
      nothing,
      ({ observed }, twin, rename) => rename(observed) === twin.observed,
      violations,
    ).observed
  }

  private compare(position: number, property: ActionProperty, violations: Array<Violation>): void {
    const before = this.present[position]
    const after = this.observe(position, property, violations)
    if (after === before) return
    this.makePresent(position, after)
    const holds = this.guarded(
      position,
      () => {
        if (!property.premise(before, after)) return true
        if (this.known[position]?.size !== 0) this.tally(position)
        return property.holds(before, after)
      },
      true,
      violations,
    )
    this.relate(position, property, before, after)
    if (!holds) {
      const message = this.guarded(position, () => property.explain(before, after), "", violations)
      violations.push({ property: property.id, message })
    }
  }

  /** Checks that an action invariant says the same of a pair of observations and of its twins. */
  private relate(position: number, property: ActionProperty, before: Plain, after: Plain): void {
    const { twins } = this
    const seen = this.related[position]
    if (twins === undefined || seen === undefined || seen.get(before)?.has(after)) return
    seen.set(before, (seen.get(before) ?? new Set()).add(after))
    const says = (from: Plain, to: Plain) =>
      this.guarded(position, () => !property.premise(from, to) || property.holds(from, to), true, [])
    const said = says(before, after)
    twins.relation(property.id, said, (rename) => says(rename(before), rename(after)))
  }

  /** Runs a predicate that may only read, and remembers what it said of the cells that it read. */
  private learn<A>(
    tree: ReadTree<A> | undefined,
    position: number,
    predicate: () => A,
    otherwise: A,
    isTwin: (value: A, twin: A, rename: Renaming) => boolean,
    violations: Array<Violation>,
  ): A {
    const found = violations.length
    const { value, reads } = this.reading(position, () => this.guarded(position, predicate, otherwise, violations))
    if (!this.remembers || violations.length > found) return value
    this.twins?.property(this.properties[position]?.id ?? "", (rename) =>
      isTwin(value, this.guarded(position, predicate, otherwise, []), rename),
    )
    if (tree?.learn(reads, (cell) => cell.entry.index, value) === false) {
      const message = `property ${this.properties[position]?.id} reads other cells after the same contents: it must depend on cells alone`
      violations.push({ property: builtIn.rules, message })
    }
    return value
  }

  /** Notes the cells that a property reads: it is evaluated again when they are written. */
  private reading<A>(position: number, evaluate: () => A): { readonly value: A; readonly reads: Reads } {
    const { store } = this
    const known = this.known[position]
    const reads = store.record()
    let value: A
    try {
      value = evaluate()
    } finally {
      store.stopRecording()
    }
    for (const cell of reads) {
      if (known === undefined || known.has(cell)) continue
      known.add(cell)
      cell.readers.push(position)
    }
    return { value, reads }
  }

  /** Runs a predicate that may only read. One that throws is a violation. */
  private guarded<A>(position: number, predicate: () => A, otherwise: A, violations: Array<Violation>): A {
    runtime.actor = judge
    try {
      return this.store.reading(predicate)
    } catch (error) {
      violations.push({
        property: builtIn.defect,
        message: `property ${this.properties[position]?.id} threw ${describeError(error)}`,
      })
      return otherwise
    } finally {
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
