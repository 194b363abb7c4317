import { describeError } from "../engine/fault.ts"
import { ReadTree } from "../engine/readTree.ts"
import type { Renaming } from "../engine/renaming.ts"
import type { Twins } from "../engine/twins.ts"
import { labelOf } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { type Actor, breakRule, runtime } from "../program/runtime.ts"
import { type Bits, bitsOf, type Store, type StoredCell } from "../program/store.ts"
import { Present } from "./present.ts"
import type { BoundPromise, BoundProperty, Fibers, Waiting } from "./property.ts"
import { builtIn, type Violation } from "./violation.ts"

/** What a state predicate says of a state. */
type Verdict =
  /** It holds, and its premise is false. */
  "silent" | "holds" | "broken"

type Reads = ReadonlyArray<StoredCell>
type StateProperty = BoundProperty & { readonly kind: "invariant" | "atEnd" }
type ActionProperty = BoundProperty & { readonly kind: "action" }

/** What a promise is in a state: made there, kept there, both or neither. */
export interface Promised {
  readonly made: boolean
  readonly kept: boolean
}

/** What an action invariant says of a pair of observations. */
interface Relation {
  readonly premise: boolean
  readonly holds: boolean
}

/**
 * Evaluates the properties of one program instance along a path of states, and only those that a step can have
 * changed.
 *
 * Why that is sound: a property is a function of the cells that it reads. `cell.invariants` and `cell.actionInvariants`
 * list every property that has read the cell in any state so far. If a step writes no cell that the property has ever
 * read, then in the state before the step the property read none of the cells written, so it would read the same cells
 * now and give the same answer. For the same reason an answer may be looked up where the property has met the same
 * contents before.
 */
export class PropertyTracker {
  private readonly store: Store
  private readonly twins: Twins | undefined
  private readonly properties: ReadonlyArray<BoundProperty>
  private readonly remembers: boolean
  private readonly known: ReadonlyArray<Set<StoredCell>>
  private readonly verdicts: ReadonlyArray<ReadTree<Verdict>>
  private readonly observations: ReadonlyArray<ReadTree<{ readonly observed: Plain }>>
  /** What action invariants have said of pairs of observations. */
  private readonly relations: ReadonlyArray<Map<Plain, Map<Plain, Relation>>>
  /** The cells that action invariants have read in any state so far; another object whenever there are more. */
  watched: Bits = { bitsLow: 0, bitsHigh: 0 }
  /** What the properties come to in the present state, and how often each was exercised. */
  readonly present: Present
  /** For each property, the number of the last check that evaluated it. */
  private readonly lastCheck: Array<number>
  private checks = 0
  /** How many pairs there are of a property of states or steps and a cell that it has read. */
  followed = 0
  /** What the evaluation that goes on has found. */
  private found: Array<Violation> = []

  /**
   * @param remembers whether answers are looked up; else every one is computed, as plain re-execution does
   * @param twins where names are interchangeable
   */
  constructor(store: Store, properties: ReadonlyArray<BoundProperty>, remembers: boolean, twins?: Twins) {
    this.twins = twins
    this.store = store
    this.properties = properties
    this.remembers = remembers
    this.relations = properties.map(() => new Map())
    this.known = properties.map(() => new Set())
    this.verdicts = properties.map(() => new ReadTree(store))
    this.observations = properties.map(() => new ReadTree(store))
    this.present = new Present(properties)
    this.lastCheck = properties.map(() => 0)
  }

  /** How often each property was evaluated with its premise true: for invariants, the states counted in which it was. */
  get exercised(): ReadonlyArray<{ readonly id: string; readonly times: number }> {
    return this.properties.map(({ id }, position) => ({ id, times: this.present.timesOf(position) }))
  }

  /** The names of the cells that properties, other than promises, have read so far. */
  get observed(): ReadonlySet<string> {
    return new Set(this.known.flatMap((cells) => [...cells].map(({ name }) => name)))
  }

  /** Evaluates everything in the present state, which no step is known to lead to. */
  begin(): ReadonlyArray<Violation> {
    this.properties.forEach((property, position) => {
      if (property.kind === "invariant") this.evaluate(position, property)
      if (property.kind === "action") this.present.set(position, this.observe(position, property))
    })
    this.present.forget()
    this.present.count()
    return this.allFound()
  }

  /**
   * Evaluates everything after a step, whatever the step wrote: what plain re-execution does. A property that looks at
   * more than cells shows here.
   */
  checkAll(): ReadonlyArray<Violation> {
    this.properties.forEach((property, position) => {
      if (property.kind === "invariant") this.evaluate(position, property)
      if (property.kind === "action") this.compare(position, property)
    })
    this.present.count()
    return this.allFound()
  }

  /** Evaluates what a step, whose writes are those since the store's mark, can have broken as a step. */
  checkStep(mark: number): ReadonlyArray<Violation> {
    return this.check(mark, true)
  }

  /** Evaluates what those writes can have broken in the state that they lead to. */
  checkState(mark: number): ReadonlyArray<Violation> {
    return this.check(mark, false)
  }

  private check(mark: number, asStep: boolean): ReadonlyArray<Violation> {
    if (mark === this.store.mark || this.properties.length === 0) return none
    const { lastCheck, properties, store } = this
    const check = ++this.checks
    for (let written = mark; written < store.mark; written++) {
      const { actionInvariants, invariants } = store.writtenAt(written)
      const readers = asStep ? actionInvariants : invariants
      for (let i = 0; i < readers.length; i++) {
        const position = readers[i] as number // i is within
        if (lastCheck[position] === check) continue
        lastCheck[position] = check
        const property = properties[position]
        if (property?.kind === "action") this.compare(position, property)
        else if (property?.kind === "invariant") this.evaluate(position, property)
      }
    }
    return this.allFound()
  }

  /** What invariants and observations come to in the present state, by position: as it is remembered, where it is. */
  remembered(): ReadonlyArray<Plain> {
    return this.properties.map(({ kind }, position) => {
      if (kind === "invariant") return this.verdicts[position]?.find()
      return kind === "action" ? this.present.at(position) : undefined
    })
  }

  /** The same, evaluated once more. */
  evaluatedAnew(): ReadonlyArray<Plain> {
    return this.properties.map((property, position) => {
      if (property.kind === "invariant") return this.guarded(position, () => verdictOf(property), "holds", [])
      if (property.kind !== "action") return undefined
      return this.guarded(position, () => intern(property.observe()), undefined, [])
    })
  }

  /** Evaluates a state in which nothing can go on; `waiting` is empty when all fibers have ended. */
  end(waiting: ReadonlyArray<Waiting>, deadlock: () => string): ReadonlyArray<Violation> {
    this.properties.forEach((property, position) => {
      if (property.kind === "atEnd" && waiting.length === 0) {
        const verdict = this.verdict(position, property)
        if (verdict !== "silent" && this.known[position]?.size !== 0) this.present.tally(position)
      }
      if (property.kind !== "progress") return
      this.present.tally(position)
      const stuck = this.reading(position, () => this.guarded(position, () => property.stuck(waiting), false)).value
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
        this.found.push({ property: property.id, message: `${property.statement} It does not: ${why}` })
      }
    })
    if (waiting.length > 0) this.found.push({ property: builtIn.deadlock, message: deadlock() })
    return this.allFound()
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
    if (made) this.present.tally(position)
    return { made, kept: this.guarded(position, () => to(fibers), false, violations) }
  }

  /** Notes that a property that is judged elsewhere was exercised in the present state. */
  exercise(position: number): void {
    this.present.tally(position)
  }

  private evaluate(position: number, property: StateProperty): void {
    const verdict = this.verdict(position, property)
    // An evaluation that has read no cell says nothing of the program.
    this.present.set(position, verdict !== "silent" && this.known[position]?.size !== 0)
  }

  /** What was found since the last call. */
  private allFound(): ReadonlyArray<Violation> {
    const { found } = this
    if (found.length === 0) return none
    this.found = []
    return found
  }

  private verdict(position: number, property: StateProperty): Verdict {
    const tree = this.verdicts[position]
    const verdict =
      tree?.find() ??
      this.learn<Verdict>(
        tree,
        position,
        () => verdictOf(property),
        "holds",
        (said, twin) => said === twin,
      )
    if (verdict === "broken") {
      const message = this.reading(position, () => this.guarded(position, property.explain, "")).value
      this.found.push({ property: property.id, message })
    }
    return verdict
  }

  private observe(position: number, property: ActionProperty): Plain {
    const tree = this.observations[position]
    const known = tree?.find()
    if (known !== undefined) return known.observed
    return this.learn<{ readonly observed: Plain }>(
      tree,
      position,
      () => ({ observed: intern(property.observe()) }),
      { observed: undefined },
      ({ observed }, twin, rename) => rename(observed) === twin.observed,
    ).observed
  }

  private compare(position: number, property: ActionProperty): void {
    const before = this.present.at(position)
    const after = this.observe(position, property)
    if (after === before) return
    this.present.set(position, after)
    const { premise, holds } = this.relation(position, property, before, after)
    if (premise && this.known[position]?.size !== 0) this.present.tally(position)
    if (holds) return
    const message = this.guarded(position, () => property.explain(before, after), "")
    this.found.push({ property: property.id, message })
  }

  /** What an action invariant says of a pair of observations, and whether it says the same of their twins. */
  private relation(position: number, property: ActionProperty, before: Plain, after: Plain): Relation {
    const relations = this.relations[position]
    const known = relations?.get(before)?.get(after)
    if (known !== undefined) return known
    const found = this.found.length
    const says = (from: Plain, to: Plain): Relation => {
      return { premise: property.premise(from, to), holds: property.holds(from, to) }
    }
    const otherwise = { premise: false, holds: true }
    const said = this.guarded(position, () => says(before, after), otherwise)
    if (!this.remembers || relations === undefined || this.found.length > found) return said
    relations.set(before, (relations.get(before) ?? new Map()).set(after, said))
    this.twins?.relation(property.id, said.holds, (rename) => {
      return this.guarded(position, () => says(rename(before), rename(after)), otherwise, []).holds
    })
    return said
  }

  /** Runs a predicate that may only read, and remembers what it said of the cells that it read. */
  private learn<A>(
    tree: ReadTree<A> | undefined,
    position: number,
    predicate: () => A,
    otherwise: A,
    isTwin: (value: A, twin: A, rename: Renaming) => boolean,
  ): A {
    const found = this.found.length
    const { value, reads } = this.reading(position, () => this.guarded(position, predicate, otherwise))
    if (!this.remembers || this.found.length > found) return value
    this.twins?.property(this.properties[position]?.id ?? "", (rename) =>
      isTwin(value, this.guarded(position, predicate, otherwise, []), rename),
    )
    if (tree?.learn(reads, value) === false) {
      const message = `property ${this.properties[position]?.id} reads other cells after the same contents: it must depend on cells alone`
      this.found.push({ property: builtIn.rules, message })
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
      this.follow(cell, position)
    }
    return { value, reads }
  }

  private follow(cell: StoredCell, position: number): void {
    const kind = this.properties[position]?.kind
    if (kind === "invariant" || kind === "action") this.followed++
    if (kind === "invariant") cell.invariants.push(position)
    if (kind !== "action") return
    cell.actionInvariants.push(position)
    this.watched = bitsOf([this.watched, cell])
  }

  /** Runs a predicate that may only read. One that throws is a violation. */
  private guarded<A>(position: number, predicate: () => A, otherwise: A, violations = this.found): A {
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

const none: ReadonlyArray<Violation> = []

const verdictOf = (property: StateProperty): Verdict => {
  const isExercised = property.premise()
  if (!property.holds()) return "broken"
  return isExercised ? "holds" : "silent"
}

/** Whose code runs while a property is evaluated: nobody's that could act, but kept from the real world all the same. */
const judge: Actor = {
  name: "a property",
  place: "in its predicate",
  perform: (operation) => breakRule(`${labelOf(operation)} is performed in a property`),
  passCheckpoint: (label) => breakRule(`checkpoint ${label} is passed in a property`),
  enterLoop: (label) => breakRule(`loop ${label} is entered in a property`),
  enterProcedure: () => breakRule("a procedure is called in a property"),
  blame: () => undefined,
}
