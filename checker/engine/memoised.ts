/**
 * The memoised engine: each fiber is learnt as a tree, a node per history of results, and each step as a table.
 *
 * What a fiber does next depends only on the results that its steps have returned so far. A node is learnt once, by
 * running the real Effect fiber along that history and leaving it parked there. What a step does depends only on the
 * cells that it reads; it is run once for each combination of contents that it meets (`readTree.ts`). From then on the
 * search moves by table look-up, on cells with an undo log, restarts nothing and runs no code of the program. Histories
 * that a checkpoint declares equivalent share a node. It rests on the rules of the language of programs; `execution.ts`
 * does not, and every exploration is compared with a sample of what that does.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import type { Hash, Plain } from "../program/plain.ts"
import type { Entry, Part, StoredCell } from "../program/store.ts"
import { addTimes } from "../property/coverage.ts"
import { describeDeadlock } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import { type Upcoming, upcomingIn } from "../property/upcoming.ts"
import { together, type Violation } from "../property/violation.ts"
import type { Instance, NamedFiber, Program } from "../scenario/program.ts"
import { compareAlone } from "./alone.ts"
import type { FiberRun } from "./fiberRun.ts"
import { interruption } from "./history.ts"
import { type Interchange, interchangeOf } from "./interchange.ts"
import { type Expansion, type Known, Lookahead } from "./lookahead.ts"
import { failed, type Node, type Outcome } from "./node.ts"
import { Nodes, type NodesOptions } from "./nodes.ts"
import { type Observer, Operations } from "./operations.ts"
import { firstOfEach } from "./renaming.ts"
import { guardedFootprint, noFootprint, type RoughFootprint } from "./roughFootprint.ts"
import { fiberOf, type Move, moveOf, type Others, optionOf, StepFailed, type System, waitingIn } from "./system.ts"
import { Thinning } from "./thinning.ts"
import { Twins } from "./twins.ts"
import { Whereabouts } from "./whereabouts.ts"
import type { Compared } from "./witnesses.ts"

/** A state, to `restore`. */
export interface Snapshot {
  readonly entries: ReadonlyArray<Entry>
  readonly at: ReadonlyArray<Node>
  readonly present: ReadonlyArray<Plain>
}

export interface MemoisedOptions extends NodesOptions {
  readonly observer?: Observer
  /** Whether states that differ by a permutation of interchangeable names are one; by default they are not. */
  readonly symmetry?: boolean
}

/** For how many different contents read an operation is compared with that of a fresh fiber. */
const comparedReads = 6

/**
 * How many comparisons of a step there are, whatever came before it, until only some are made. A step that many histories
 * lead to is the same code in all of them, and comparing it was a third of what a search of 100,000 states costs.
 */
const comparedSteps = 16
const comparedFactor = 1.5

export class Memoised implements System, Others {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  /** Where each fiber stands. */
  readonly at: Array<Node>
  /** What the last step came to. */
  last: Outcome | undefined
  /** What is known of what operations do. */
  readonly operations: Operations
  protected readonly nodes: Nodes
  private readonly whereabouts: Whereabouts
  /** The fingerprint of the fibers that belong to no interchangeable name. */
  private readonly part: Part = { low: 0, high: 0 }
  private readonly interchange: Interchange | undefined
  private readonly twins: Twins | undefined
  /** Where states are expanded. */
  private lookahead: Lookahead | undefined
  /** Where properties ask what fibers are about to do. */
  readonly upcoming: Upcoming | undefined
  private readonly canPerformNow = (node: Node): boolean => this.canPerform(node)
  private begun = false
  /** Which of the steps of a fiber and label are compared with those of a fresh one. */
  private readonly comparisons = new Map<string, Thinning>()
  /** The same of the nodes to which fibers come with another past. */
  private readonly newcomers = new Map<string, Thinning>()
  /** For which number of `Whereabouts.changes` the fingerprint was computed last. */
  private computedAt = -1

  constructor(program: Program, options: MemoisedOptions = {}) {
    this.instance = program.start()
    this.interchange = interchangeOf(this.instance, options.symmetry ?? false)
    this.twins = this.interchange === undefined ? undefined : new Twins(this.instance, this.interchange)
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties, true, this.twins)
    this.nodes = new Nodes(this.instance, this.interchange, this.part, options, (node, run) => {
      if (this.begun) this.twins?.place(node, run)
    })
    this.at = this.instance.fibers.map((fiber) => this.nodes.first(fiber))
    this.whereabouts = new Whereabouts(this.at)
    this.operations = new Operations(this.instance, this.nodes, this.whereabouts, this.twins, options.observer)
    this.upcoming = upcomingIn(this)
  }

  /** It checks nothing: see `Paranoid`. */
  get compared(): Compared | undefined {
    return undefined
  }

  /** How many moves there are to take back. */
  get depth(): number {
    return this.whereabouts.depth
  }

  get fibers(): ReadonlyArray<NamedFiber> {
    return this.at.map(({ fiber }) => fiber)
  }

  get width(): number {
    return this.at.length
  }

  begin(): ReadonlyArray<Violation> {
    if (!this.begun) {
      this.begun = true
      this.twins?.start()
      for (const node of this.at) if (node.run !== undefined) this.twins?.place(node, node.run)
    }
    const violations = [...this.at.flatMap(({ violation }) => violation ?? []), ...this.tracker.begin()]
    return this.upcoming === undefined ? violations : [...violations, ...this.upcoming.judge()]
  }

  moves(): ReadonlyArray<Move> {
    const moves: Array<Move> = []
    for (let fiber = 0; fiber < this.at.length; fiber++) {
      const node = this.node(fiber)
      if (node.options === 0 || !this.canPerform(node)) continue
      for (let option = 0; option < node.options; option++) moves.push(moveOf(fiber, option))
    }
    return moves
  }

  /**
   * The same, as how many moves each fiber has, by position.
   *
   * @param ways gets these numbers, and no more
   * @returns how many fibers can go on
   */
  countWays(ways: Array<number>): number {
    const { length } = this.at
    let able = 0
    for (let fiber = 0; fiber < length; fiber++) {
      const node = this.at[fiber] as Node // fiber is within
      const options = node.options > 0 && this.canPerform(node) ? node.options : 0
      if (options > 0) able++
      ways[fiber] = options
    }
    if (ways.length !== length) ways.length = length
    return able
  }

  /**
   * The moves that are possible now, without those of which it is known that they break nothing and lead to a known
   * state. These count as made.
   *
   * @param reserves whether the state that another move leads to is added to the known ones, where it is known which it
   * is: no other path then comes there before, be it a shorter one
   */
  expand(states: Known, reserves: boolean): Expansion {
    if (this.interchange !== undefined || !this.mayLookAhead) {
      const moves = this.moves()
      return { moves, possible: moves.length }
    }
    this.lookahead ??= new Lookahead(this.instance.fibers.length)
    return this.lookahead.expand(this, this.at, states, reserves, this.canPerformNow)
  }

  /** Whether a move may be left out whose outcome is known. */
  protected get mayLookAhead(): boolean {
    return true
  }

  take(move: Move): ReadonlyArray<Violation> {
    const violations = this.step(move)
    const broken = this.judge()
    return broken.length === 0 ? violations : together(violations, broken)
  }

  /** The first half of `take`: what the step breaks as a step. The state that it leads to is left to `judge`. */
  step(move: Move): ReadonlyArray<Violation> {
    const fiber = fiberOf(move)
    const node = this.node(fiber)
    const { operation } = node
    if (operation === undefined) throw new Error(`fiber ${fiber} has no operation to perform`)
    const storeMark = this.instance.store.mark
    const outcome = this.perform(node, optionOf(move))
    this.last = outcome
    this.whereabouts.begin(storeMark, this.tracker.present.mark)
    const { result } = outcome
    if (result instanceof StepFailed) {
      outcome.next ??= failed(node)
      this.whereabouts.move(fiber, node, outcome.next)
      this.lookahead?.arrive(this.depth)
      if (this.tracker.present.counting) node.taken++
      return [result.violation]
    }
    if (operation.kind === "fork") node.child ??= this.nodes.forked(node)
    outcome.next ??= this.nodes.after(node, result)
    this.whereabouts.move(fiber, node, outcome.next)
    if (outcome.next.newcomer !== undefined) this.compareNewcomer(outcome.next, outcome.next.newcomer)
    let reached: Node | undefined
    if (operation.kind === "fork" || operation.kind === "interrupt") {
      reached = this.reach(node, operation)
      this.lookahead?.arrive(this.depth)
    } else this.lookahead?.arrive(this.depth, fiber, outcome)
    // Only now: a move at which a limit was met on the way is still to be made.
    if (this.tracker.present.counting) node.taken++
    const violations = this.tracker.checkStep(storeMark)
    if (outcome.next.violation === undefined && reached?.violation === undefined) return violations
    return [outcome.next, reached].flatMap((each) => each?.violation ?? []).concat(violations)
  }

  /** The second half of `take`, in a state that was not judged before. */
  judge(): ReadonlyArray<Violation> {
    const mark = this.whereabouts.storeMark(this.depth - 1)
    const violations = this.tracker.checkState(mark)
    this.tracker.present.count()
    return this.upcoming === undefined ? violations : together(violations, this.upcoming.judge())
  }

  /** What a possible move touches. What it comes to is learnt for that, if it is not known. */
  footprint(move: Move): RoughFootprint {
    const node = this.node(fiberOf(move))
    const body = node.outcomes[optionOf(move)]
    if (body === undefined) return noFootprint
    const outcome = body.find() ?? this.foresee(node, move)
    return node.guard === undefined ? outcome : guardedFootprint(node.guard, outcome)
  }

  private foresee(node: Node, move: Move): Outcome {
    const { mark } = this.instance.store
    const outcome = this.perform(node, optionOf(move))
    this.instance.store.rollback(mark)
    return outcome
  }

  /** Takes back the last move. */
  undo(): void {
    const { whereabouts } = this
    whereabouts.undo()
    this.instance.store.rollback(whereabouts.storeMark(whereabouts.depth))
    this.tracker.present.rollback(whereabouts.trackerMark(whereabouts.depth))
  }

  /** How often each property was evaluated with its premise true, so far. */
  get exercised() {
    return this.tracker.exercised
  }

  /**
   * How often steps were taken, by name; 0 for those that fibers have reached and never took. Where names are
   * interchangeable one state stands for many, so steps that differ in them alone count together, as the first one's.
   */
  stepsTaken(): ReadonlyMap<string, number> {
    const alike = firstOfEach(this.interchange === undefined ? [] : this.instance.interchangeable)
    const steps = new Map<string, number>()
    for (const { operation, taken } of this.nodes.all) {
      if (operation !== undefined) addTimes(steps, String(alike(operation.name)), taken)
    }
    return steps
  }

  /** Where the program stands, to come back to by `restore`. */
  snapshot(): Snapshot {
    return {
      entries: this.instance.store.cells.map(({ entry }) => entry),
      at: [...this.at],
      present: this.tracker.present.snapshot(),
    }
  }

  /** Goes to a state that was taken down before. No move can be taken back then. */
  restore({ entries, at, present }: Snapshot): void {
    const { store } = this.instance
    const { cells } = store
    for (let position = 0; position < entries.length; position++) {
      const cell = cells[position] as StoredCell // cells stay
      const entry = entries[position] as Entry // position is within
      if (entry !== cell.entry) store.put(cell, entry)
    }
    store.forget()
    this.whereabouts.restore(at)
    this.tracker.present.restore(present)
    this.lookahead?.arrive(0)
  }

  /** What it returns goes to the present state. No move can be taken back then. */
  wayBack(): () => void {
    const snapshot = this.snapshot()
    return () => this.restore(snapshot)
  }

  operation(fiber: number): Operation | undefined {
    return this.at[fiber]?.operation
  }

  hasEnded(fiber: number): boolean {
    return this.at[fiber]?.ended ?? false
  }

  place(fiber: number): object | undefined {
    return this.at[fiber]
  }

  actor(fiber: number): FiberRun | undefined {
    return this.nodes.visit(this.node(fiber))
  }

  get rest(): "ended" | "stuck" | "broken" {
    if (this.at.some(({ operation, ended }) => operation === undefined && !ended)) return "broken"
    return this.at.every(({ ended }) => ended) ? "ended" : "stuck"
  }

  deadlock(): string {
    return describeDeadlock(this)
  }

  end(): ReadonlyArray<Violation> {
    const { rest } = this
    if (rest === "broken") return []
    return this.tracker.end(rest === "ended" ? [] : waitingIn(this), () => this.deadlock())
  }

  get low(): number {
    return this.interchange === undefined
      ? this.instance.store.low ^ this.part.low
      : this.symmetric(this.interchange).low
  }

  get high(): number {
    return this.interchange === undefined
      ? this.instance.store.high ^ this.part.high
      : this.symmetric(this.interchange).high
  }

  private symmetric(interchange: Interchange): Hash {
    const { changes } = this.whereabouts
    if (this.computedAt !== changes) {
      const { store } = this.instance
      interchange.fingerprint(store.low ^ this.part.low, store.high ^ this.part.high, this.at)
      this.computedAt = changes
    }
    return interchange
  }

  valueOf(fiber: string): Plain {
    return this.whereabouts.valueOf(fiber)
  }

  isRunning(fiber: string): boolean {
    return this.whereabouts.isRunning(fiber)
  }

  /** Whether a fiber that is parked there can go on in the present state. */
  canPerform(node: Node): boolean {
    return this.operations.canPerform(node)
  }

  /** Performs an operation on the cells: by what is known of it, or by running its body. */
  protected perform(node: Node, option: number): Outcome {
    const known = this.operations.performKnown(node, option)
    if (known !== undefined) return known
    const leaves = node.outcomes[option]?.leaves ?? 0
    if (leaves > 0 && leaves < comparedReads && thinningOf(this.comparisons, node).next()) {
      this.compareAlone(node, this.nodes.rerun(node))
    }
    return this.operations.performNew(node, option)
  }

  private compareNewcomer(node: Node, newcomer: FiberRun): void {
    node.newcomer = undefined
    if (thinningOf(this.newcomers, node).next()) this.compareAlone(node, newcomer)
  }

  /** See `alone.ts`. */
  protected compareAlone(node: Node, other: FiberRun): void {
    compareAlone(node, other, this.instance, this.nodes, this.operations, this.whereabouts)
  }

  /** Does to another fiber what the operation does. Returns where that one then stands. */
  private reach(node: Node, operation: Operation & { kind: "fork" | "interrupt" }): Node | undefined {
    const [name] = operation.args
    const position = this.at.findIndex(({ fiber }) => fiber.name === name)
    if (operation.kind === "fork") {
      if (node.child === undefined) throw new Error(`fiber ${name} was forked and is not there`)
      this.whereabouts.moveToo(position < 0 ? this.at.length : position, node.child)
      return node.child
    }
    const target = this.at[position]
    if (target === undefined || target.operation === undefined || target.interrupted) return undefined
    const next = this.nodes.after(target, interruption)
    this.whereabouts.moveToo(position, next)
    return next
  }

  protected node(fiber: number): Node {
    const node = this.at[fiber]
    if (node === undefined) throw new Error(`there is no fiber ${fiber}`)
    return node
  }
}

const thinningOf = (thinnings: Map<string, Thinning>, { fiber, operation }: Node): Thinning => {
  const key = `${fiber.name} ${operation === undefined ? "" : labelOf(operation)}`
  const known = thinnings.get(key) ?? new Thinning(comparedSteps, comparedFactor)
  thinnings.set(key, known)
  return known
}
