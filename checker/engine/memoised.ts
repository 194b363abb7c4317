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
import type { Operation } from "../program/operation.ts"
import type { Hash, Plain } from "../program/plain.ts"
import { bitsOf, type Entry, type Part, type StoredCell } from "../program/store.ts"
import { addTimes } from "../property/coverage.ts"
import { describeDeadlock } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import { type Upcoming, upcomingIn } from "../property/upcoming.ts"
import { together, type Violation } from "../property/violation.ts"
import type { Instance, NamedFiber, Program } from "../scenario/program.ts"
import type { FiberRun } from "./fiberRun.ts"
import { interruption } from "./history.ts"
import { type Interchange, interchangeOf } from "./interchange.ts"
import { type Expansion, type Known, Lookahead } from "./lookahead.ts"
import { changeable, expectSame, failed, hasFailed, type Node, type Outcome } from "./node.ts"
import { Nodes, type NodesOptions } from "./nodes.ts"
import type { ReadTree } from "./readTree.ts"
import { firstOfEach } from "./renaming.ts"
import { guardedFootprint, noFootprint, type RoughFootprint } from "./roughFootprint.ts"
import {
  fiberOf,
  guardHolds,
  type Move,
  moveOf,
  type Others,
  optionOf,
  perform,
  StepFailed,
  type System,
  waitingIn,
} from "./system.ts"
import { Trail } from "./trail.ts"
import { Twins } from "./twins.ts"

/** A state, to `restore`. */
export interface Snapshot {
  readonly entries: ReadonlyArray<Entry>
  readonly at: ReadonlyArray<Node>
  readonly present: ReadonlyArray<Plain>
}

/**
 * Told of what is learnt: the outcomes of steps and choices, and what guards say, each once at least for every node and
 * contents read. Nothing is written when it is told.
 */
export interface Observer {
  /** @param reads the cells that the operation, its guard and its monitors read before they wrote them */
  outcome(node: Node, reads: ReadonlyArray<StoredCell>, outcome: Outcome): void
  guard(node: Node, reads: ReadonlyArray<StoredCell>, holds: boolean): void
}

export interface MemoisedOptions extends NodesOptions {
  readonly observer?: Observer
  /** Whether states that differ by a permutation of interchangeable names are one; by default they are not. */
  readonly symmetry?: boolean
}

/** For how many different contents read an operation is compared with that of a fresh fiber. */
const comparedReads = 6

/** How many steps a fiber goes on alone in a comparison. */
const stepsAlone = 40

/** After so many outcomes that were looked up, one is computed again and compared. */
const auditEvery = 4096

export class Memoised implements System, Others {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  /** Where each fiber stands. */
  readonly at: Array<Node>
  /** What the last step came to. */
  last: Outcome | undefined
  /** How often a guard was found to read cells that it had not read after other contents. */
  guardsGrown = 0
  protected readonly nodes: Nodes
  private readonly trail = new Trail()
  /** Whether a comparison is going on. */
  private alone = false
  private lookUps = 0
  /** The fingerprint of the fibers that belong to no interchangeable name. */
  private readonly part: Part = { low: 0, high: 0 }
  private readonly interchange: Interchange | undefined
  private readonly twins: Twins | undefined
  /** Where states are expanded. */
  private lookahead: Lookahead | undefined
  private readonly upcoming: Upcoming | undefined
  private readonly observer: Observer | undefined
  private readonly canPerformNow = (node: Node): boolean => this.canPerform(node)
  private begun = false
  /** Counts the changes of where fibers stand; with the number for which the fingerprint was computed last. */
  private changes = 0
  private computedAt = -1

  constructor(program: Program, options: MemoisedOptions = {}) {
    this.instance = program.start()
    this.observer = options.observer
    this.interchange = interchangeOf(this.instance, options.symmetry ?? false)
    this.twins = this.interchange === undefined ? undefined : new Twins(this.instance, this.interchange)
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties, true, this.twins)
    this.nodes = new Nodes(this.instance, this.interchange, this.part, options, (node, run) => {
      if (this.begun) this.twins?.place(node, run)
    })
    this.at = this.instance.fibers.map((fiber) => this.nodes.first(fiber))
    for (const node of this.at) addOrTakeAway(node)
    this.upcoming = upcomingIn(this)
  }

  /** How many moves there are to take back. */
  get depth(): number {
    return this.trail.depth
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
    const outcome = this.perform(fiber, node, optionOf(move))
    this.last = outcome
    this.trail.begin(storeMark, this.tracker.mark)
    const { result } = outcome
    if (result instanceof StepFailed) {
      outcome.next ??= failed(node)
      this.move(fiber, node, outcome.next)
      this.lookahead?.arrive(this.depth)
      if (this.tracker.counting) node.taken++
      return [result.violation]
    }
    if (operation.kind === "fork") node.child ??= this.nodes.forked(node)
    outcome.next ??= this.nodes.after(node, result)
    this.move(fiber, node, outcome.next)
    let reached: Node | undefined
    if (operation.kind === "fork" || operation.kind === "interrupt") {
      reached = this.reach(node, operation)
      this.lookahead?.arrive(this.depth)
    } else this.lookahead?.arrive(this.depth, fiber, outcome)
    // Only now: a move at which a limit was met on the way is still to be made.
    if (this.tracker.counting) node.taken++
    const violations = this.tracker.checkStep(storeMark)
    if (outcome.next.violation === undefined && reached?.violation === undefined) return violations
    return [outcome.next, reached].flatMap((each) => each?.violation ?? []).concat(violations)
  }

  /** The second half of `take`, in a state that was not judged before. */
  judge(): ReadonlyArray<Violation> {
    const mark = this.trail.storeMark(this.depth - 1)
    const violations = this.tracker.checkState(mark)
    this.tracker.count()
    return this.upcoming === undefined ? violations : together(violations, this.upcoming.judge())
  }

  /** What a possible move touches. What it comes to is learnt for that, if it is not known. */
  footprint(move: Move): RoughFootprint {
    const fiber = fiberOf(move)
    const node = this.node(fiber)
    const body = node.outcomes[optionOf(move)]
    if (body === undefined) return noFootprint
    const outcome = body.find() ?? this.foresee(fiber, node, move)
    return node.guard === undefined ? outcome : guardedFootprint(node.guard, outcome)
  }

  private foresee(fiber: number, node: Node, move: Move): Outcome {
    const { mark } = this.instance.store
    const outcome = this.perform(fiber, node, optionOf(move))
    this.instance.store.rollback(mark)
    return outcome
  }

  /** Takes back the last move. */
  undo(): void {
    if (this.trail.depth === 0) throw new Error("there is no move to take back")
    const { trail } = this
    trail.depth--
    this.instance.store.rollback(trail.storeMark(trail.depth))
    this.tracker.rollback(trail.trackerMark(trail.depth))
    for (let fiber = -1; fiber < 0; ) {
      fiber = trail.fibers[--trail.length] as number // each move has one at least
      this.put(fiber < 0 ? ~fiber : fiber, trail.nodes[trail.length])
    }
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
      present: this.tracker.snapshot(),
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
    for (let fiber = Math.max(at.length, this.at.length) - 1; fiber >= 0; fiber--) {
      if (this.at[fiber] !== at[fiber]) this.put(fiber, at[fiber])
    }
    this.tracker.restore(present)
    this.trail.forget()
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
    if (this.computedAt !== this.changes) {
      const { store } = this.instance
      interchange.fingerprint(store.low ^ this.part.low, store.high ^ this.part.high, this.at)
      this.computedAt = this.changes
    }
    return interchange
  }

  valueOf(fiber: string): Plain {
    return this.named(fiber)?.value
  }

  isRunning(fiber: string): boolean {
    return this.named(fiber)?.ended === false
  }

  private named(fiber: string): Node | undefined {
    return this.at.find((node) => node.fiber.name === fiber)
  }

  /** Whether a fiber that is parked there can go on in the present state. */
  canPerform(node: Node): boolean {
    const { guard, operation } = node
    if (guard !== undefined) return guard.find() ?? this.learnGuard(node, guard)
    return operation?.kind !== "join" || this.named(operation.args[0])?.ended === true
  }

  private learnGuard(node: Node, guard: ReadTree<boolean>): boolean {
    const { store } = this.instance
    const { run, operation } = this.nodes.parked(node)
    const reads = store.record()
    const holds = guardHolds(this.instance, run, operation)
    store.stopRecording()
    const { bitsLow, bitsHigh } = guard
    const isFirst = bitsLow === 0 && bitsHigh === 0
    if (!guard.learn(reads, holds)) throw changeable(node)
    if (!isFirst && (guard.bitsLow !== bitsLow || guard.bitsHigh !== bitsHigh)) this.guardsGrown++
    this.observer?.guard(node, reads, holds)
    this.twins?.guard(node, holds)
    return holds
  }

  /** Performs an operation on the cells: by what is known of it, or by running its body. */
  protected perform(fiber: number, node: Node, option: number): Outcome {
    const tree = node.outcomes[option]
    if (tree === undefined) return this.run(node, option)
    const known = tree.find()
    if (known === undefined) {
      if (!this.alone && tree.leaves > 0 && tree.leaves < comparedReads) this.compareAlone(fiber)
      return this.learnOutcome(node, option, tree)
    }
    if (++this.lookUps % auditEvery === 0) this.audit(node, option, known)
    this.apply(known)
    return known
  }

  /** Writes what an operation writes. */
  private apply({ cells, entries }: Outcome): void {
    const { store } = this.instance
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as StoredCell // i is within both
      const entry = entries[i] as Entry
      if (cell.entry !== entry) store.put(cell, entry)
    }
  }

  /**
   * What an operation would do if cells had other contents than now; `undefined` where its guard would not hold. Of
   * operations on other fibers nothing is known.
   */
  whatIf(node: Node, option: number, entryOf: (cell: StoredCell) => Entry): Outcome | undefined {
    const tree = node.outcomes[option]
    if (tree === undefined) throw new Error(`fiber ${node.fiber.name} is at no step of its own`)
    const { store } = this.instance
    const { guard } = node
    let holds = guard === undefined ? true : guard.findIn(entryOf)
    const known = holds === true ? tree.findIn(entryOf) : undefined
    if (holds === false || known !== undefined) return known
    const { mark } = store
    for (const cell of store.cells) {
      const entry = entryOf(cell)
      if (entry !== cell.entry) store.put(cell, entry)
    }
    if (guard !== undefined) holds ??= this.learnGuard(node, guard)
    const outcome = holds === true ? this.learnOutcome(node, option, tree) : undefined
    store.rollback(mark)
    if (outcome !== undefined) {
      outcome.next ??= outcome.result instanceof StepFailed ? failed(node) : this.nodes.after(node, outcome.result)
    }
    return outcome
  }

  /** Runs the operation, and notes what it does. */
  private learnOutcome(node: Node, option: number, tree: ReadTree<Outcome>): Outcome {
    const { store } = this.instance
    const { mark } = store
    const reads = store.record()
    let outcome: Outcome
    try {
      outcome = this.run(node, option, reads)
    } finally {
      store.stopRecording()
    }
    store.rollback(mark)
    const { bitsLow, bitsHigh } = bitsOf(reads)
    outcome.readsLow = bitsLow
    outcome.readsHigh = bitsHigh
    if (!tree.learn(reads, outcome)) throw changeable(node)
    this.observer?.outcome(node, reads, outcome)
    this.twins?.outcome(node, this.nodes.parked(node).operation, option, outcome, this)
    this.apply(outcome)
    return outcome
  }

  /** Runs the operation's code. */
  private run(node: Node, option: number, reads: ReadonlyArray<StoredCell> = []): Outcome {
    const { store } = this.instance
    const { mark } = store
    const { run, operation } = this.nodes.parked(node)
    const result = perform(this.instance, run, operation, option, node.monitors, this)
    const cells = store.writtenSince(mark)
    const entries = cells.map(({ entry }) => entry)
    return {
      result,
      reads,
      cells,
      entries,
      ...bitsOf(cells),
      readsLow: 0,
      readsHigh: 0,
      next: undefined,
      footprint: undefined,
    }
  }

  /**
   * Runs the code of an operation whose outcome is known.
   *
   * @throws NotDeterministic when it does something else
   */
  private audit(node: Node, option: number, known: Outcome): void {
    const { store } = this.instance
    const { mark } = store
    const again = this.run(node, option)
    const same =
      (again.result === known.result || (again.result instanceof StepFailed && known.result instanceof StepFailed)) &&
      known.cells.every((cell, position) => cell.entry === known.entries[position]) &&
      again.cells.every((cell) => known.cells.includes(cell))
    store.rollback(mark)
    if (!same) throw changeable(node)
  }

  /**
   * Lets a fiber go on alone, as it was learnt and as a fresh one in turn, and compares what their steps do to the
   * cells and return. A body that assigned a variable for a later step when it read something else shows here: the
   * learnt fiber remembers what was read first.
   *
   * @throws NotDeterministic when they differ
   */
  protected compareAlone(fiber: number): void {
    const { depth, instance } = this
    const { store } = instance
    const fresh = this.nodes.rerun(this.node(fiber))
    this.alone = true
    for (let taken = 0; taken < stepsAlone; taken++) {
      const node = this.node(fiber)
      expectSame(fresh, node)
      const { standing } = fresh
      if (standing.kind !== "parked") break
      if (standing.operation.kind !== "step" && standing.operation.kind !== "choice") break
      const { run, operation } = this.nodes.parked(node)
      const enabled = guardHolds(instance, fresh, standing.operation)
      if (guardHolds(instance, run, operation) !== enabled) throw changeable(node)
      if (!enabled) break
      const { mark } = store
      const result = perform(instance, fresh, standing.operation, 0, node.monitors, this)
      const { low, high } = store
      store.rollback(mark)
      const { depth: before } = this
      this.stepAnew(fiber, node)
      const at = this.node(fiber)
      const same = result instanceof StepFailed ? hasFailed(at) : at === node.next.get(result)
      if (!same || store.low !== low || store.high !== high || this.depth !== before + 1) throw changeable(node)
      if (result instanceof StepFailed) break
      fresh.answer(result)
    }
    this.alone = false
    while (this.depth > depth) this.undo()
  }

  /** Takes the first option by running its code, whatever is known of it. */
  private stepAnew(fiber: number, node: Node): void {
    this.trail.begin(this.instance.store.mark, this.tracker.mark)
    const { result } = this.run(node, 0)
    this.move(fiber, node, result instanceof StepFailed ? failed(node) : this.nodes.after(node, result))
    this.lookahead?.arrive(this.depth)
  }

  /** Does to another fiber what the operation does. Returns where that one then stands. */
  private reach(node: Node, operation: Operation & { kind: "fork" | "interrupt" }): Node | undefined {
    const [name] = operation.args
    const position = this.at.findIndex(({ fiber }) => fiber.name === name)
    if (operation.kind === "fork") {
      if (node.child === undefined) throw new Error(`fiber ${name} was forked and is not there`)
      this.moveToo(position < 0 ? this.at.length : position, this.at[position], node.child)
      return node.child
    }
    const target = this.at[position]
    if (target === undefined || target.operation === undefined || target.interrupted) return undefined
    const next = this.nodes.after(target, interruption)
    this.moveToo(position, target, next)
    return next
  }

  protected node(fiber: number): Node {
    const node = this.at[fiber]
    if (node === undefined) throw new Error(`there is no fiber ${fiber}`)
    return node
  }

  private move(fiber: number, from: Node, to: Node): void {
    this.trail.note(fiber, from)
    const { part } = to
    part.low ^= from.low ^ to.low
    part.high ^= from.high ^ to.high
    this.changes++
    this.at[fiber] = to
  }

  /** Moves a second fiber within the same move. */
  private moveToo(fiber: number, from: Node | undefined, to: Node): void {
    this.trail.note(~fiber, from)
    this.put(fiber, to)
  }

  /**
   * Puts a fiber somewhere, or takes away the last one. In another state the position may be another fiber's, which
   * belongs to another name: fibers that are forked stand in the order in which they were.
   */
  private put(fiber: number, node: Node | undefined): void {
    const before = this.at[fiber]
    if (before !== undefined) addOrTakeAway(before)
    if (node !== undefined) addOrTakeAway(node)
    this.changes++
    if (node === undefined) this.at.length = fiber
    else this.at[fiber] = node
  }
}

/** Adds a fiber's node to the fingerprint of the part that it belongs to, or takes it away: with XOR that is one. */
const addOrTakeAway = ({ part, low, high }: Node): void => {
  part.low ^= low
  part.high ^= high
}
