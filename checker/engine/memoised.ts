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
import { labelOf, type Operation, optionsOf } from "../program/operation.ts"
import { digestText, type Hash, type Plain, show } from "../program/plain.ts"
import type { Entry, Part, StoredCell } from "../program/store.ts"
import { addTimes } from "../property/coverage.ts"
import { describeDeadlock } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import { together, type Violation } from "../property/violation.ts"
import type { Instance, NamedFiber, Program } from "../scenario/program.ts"
import type { Monitor } from "../scenario/scenario.ts"
import { LimitReached, NotDeterministic } from "./fault.ts"
import { FiberRun } from "./fiberRun.ts"
import { type Answer, type History, interruption } from "./history.ts"
import { type Interchange, interchangeOf, type Mention, placeOf } from "./interchange.ts"
import { ReadTree } from "./readTree.ts"
import { firstOfEach } from "./renaming.ts"
import {
  fiberOf,
  guardHolds,
  type Move,
  monitorsOf,
  moveOf,
  type Others,
  optionOf,
  perform,
  StepFailed,
  type System,
  waitingIn,
} from "./system.ts"
import { Twins } from "./twins.ts"

/** What performing an operation comes to. */
export interface Outcome {
  readonly result: Plain | StepFailed
  /** The cells that are written, each once, and what they hold then. */
  readonly cells: ReadonlyArray<StoredCell>
  readonly entries: ReadonlyArray<Entry>
  /** Where the fiber then stands; `undefined` until it is learnt. */
  next: Node | undefined
}

/**
 * A fiber after one history of results.
 *
 * `run` is a real fiber parked after exactly this history: the code of what it is parked at closes over that fiber's
 * local variables, so a fiber that has moved on would not do. A node lends its fiber to the first child that is learnt,
 * and gets another, run along the same history, when its code is next needed.
 */
export interface Node {
  readonly fiber: NamedFiber
  /** Where the fiber that forked this one was. */
  readonly forkedBy: Node | undefined
  run: FiberRun | undefined
  /** The operation that was reached first: for its name, arguments and options. */
  readonly operation: Operation | undefined
  /** How many ways there are to perform the operation; 0 when there is none. */
  readonly options: number
  readonly history: History
  readonly monitors: ReadonlyArray<Monitor[string]>
  readonly violation: Violation | undefined
  readonly ended: boolean
  /** What the fiber ended with. */
  readonly value: Plain
  readonly interrupted: boolean
  /** Halves of the hash of the history, up to what checkpoints declare equivalent, and what they add to. */
  readonly low: number
  readonly high: number
  readonly part: Part
  /** What the history says of interchangeable names beyond its own. */
  readonly mention: Mention | undefined
  readonly parent: Node | undefined
  readonly answer: Answer
  readonly next: Map<Answer, Node>
  /** The fiber that the operation forks, as it is at first. */
  child: Node | undefined
  /** Whether the guard holds; `undefined` where there is none. */
  readonly guard: ReadTree<boolean> | undefined
  /** By option, what performing the operation comes to. */
  readonly outcomes: ReadonlyArray<ReadTree<Outcome>>
  /** How often the operation was performed, where that counts: see `PropertyTracker.counting`. */
  taken: number
}

/** A state, to `restore`. */
export interface Snapshot {
  readonly entries: ReadonlyArray<Entry>
  readonly at: ReadonlyArray<Node>
  readonly present: ReadonlyArray<Plain>
}

export interface MemoisedOptions {
  /** Keep apart the histories with which a fiber ended; by default all ends of a fiber are one. */
  readonly keepEnds?: boolean
  /** Whether states that differ by a permutation of interchangeable names are one; by default they are not. */
  readonly symmetry?: boolean
  /** How many nodes to learn at most, over all fibers. */
  readonly nodeLimit?: number
  /** How many real fibers to keep parked at most; those let go are run again when they are needed. */
  readonly parkedLimit?: number
}

const defaultNodeLimit = 200_000
const defaultParkedLimit = 20_000

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
  protected readonly at: Array<Node>
  /**
   * What to put back, newest last: a fiber's position and node (none if it was not there), and how long the logs of the
   * store and the tracker were. A move that changes two fibers has two entries, the upper one with marks of -1.
   */
  private readonly trailFibers: Array<number> = []
  private readonly trailNodes: Array<Node | undefined> = []
  private readonly trailMarks: Array<number> = []
  private readonly canonical = new Map<string, Node>()
  private readonly keepEnds: boolean
  private readonly nodeLimit: number
  private readonly parkedLimit: number
  /** The nodes that were given a real fiber, oldest first; some may have lent it since. */
  private parkedNodes: Array<Node> = []
  /** Whether a comparison is going on. */
  private alone = false
  private lookUps = 0
  /** The fingerprint of the fibers that belong to no interchangeable name. */
  private readonly nodes: Part = { low: 0, high: 0 }
  private readonly interchange: Interchange | undefined
  private readonly twins: Twins | undefined
  private begun = false
  /** Counts the changes of where fibers stand; with the number for which the fingerprint was computed last. */
  private changes = 0
  private computedAt = -1
  /** How many moves there are to take back. */
  depth = 0

  constructor(program: Program, options: MemoisedOptions = {}) {
    this.instance = program.start()
    this.keepEnds = options.keepEnds ?? false
    this.nodeLimit = options.nodeLimit ?? defaultNodeLimit
    this.parkedLimit = options.parkedLimit ?? defaultParkedLimit
    this.interchange = interchangeOf(this.instance, options.symmetry ?? false)
    this.twins = this.interchange === undefined ? undefined : new Twins(this.instance, this.interchange)
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties, true, this.twins)
    this.at = this.instance.fibers.map((fiber) => {
      return this.nodeOf(fiber, undefined, new FiberRun(fiber))
    })
    for (const { part, low, high } of this.at) {
      part.low ^= low
      part.high ^= high
    }
  }

  get fibers(): ReadonlyArray<NamedFiber> {
    return this.at.map(({ fiber }) => fiber)
  }

  begin(): ReadonlyArray<Violation> {
    if (!this.begun) {
      this.begun = true
      this.twins?.start()
      for (const node of this.at) if (node.run !== undefined) this.twins?.place(node, node.run)
    }
    return [...this.at.flatMap(({ violation }) => violation ?? []), ...this.tracker.begin()]
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

  take(move: Move): ReadonlyArray<Violation> {
    const violations = this.step(move)
    return together(violations, this.judge())
  }

  /** The first half of `take`: what the step breaks as a step. The state that it leads to is left to `judge`. */
  step(move: Move): ReadonlyArray<Violation> {
    const fiber = fiberOf(move)
    const node = this.node(fiber)
    const { operation } = node
    if (operation === undefined) throw new Error(`fiber ${fiber} has no operation to perform`)
    if (this.tracker.counting) node.taken++
    const storeMark = this.instance.store.mark
    const outcome = this.perform(fiber, node, optionOf(move))
    if (operation.kind === "fork") node.child ??= this.forked(node)
    this.depth++
    this.trailMarks.push(storeMark, this.tracker.mark)
    const { result } = outcome
    if (result instanceof StepFailed) {
      outcome.next ??= failed(node)
      this.move(fiber, node, outcome.next)
      return [result.violation]
    }
    outcome.next ??= node.next.get(result) ?? this.learn(node, result)
    this.move(fiber, node, outcome.next)
    const reached =
      operation.kind === "fork" || operation.kind === "interrupt" ? this.reach(node, operation) : undefined
    const violations = this.tracker.checkStep(storeMark)
    if (outcome.next.violation === undefined && reached?.violation === undefined) return violations
    return [outcome.next, reached].flatMap((each) => each?.violation ?? []).concat(violations)
  }

  /** The second half of `take`, in a state that was not judged before. */
  judge(): ReadonlyArray<Violation> {
    const mark = this.trailMarks[this.trailMarks.length - 2] ?? 0
    const violations = this.tracker.checkState(mark)
    this.tracker.count()
    return violations
  }

  /** Takes back the last move. */
  undo(): void {
    const trackerMark = this.trailMarks.pop()
    const storeMark = this.trailMarks.pop()
    if (trackerMark === undefined || storeMark === undefined) throw new Error("there is no move to take back")
    this.depth--
    this.instance.store.rollback(storeMark)
    this.tracker.rollback(trackerMark)
    // A fiber that was reached stands above the one that moved, at a negative position.
    for (let fiber = -1; fiber < 0; ) {
      fiber = this.trailFibers.pop() ?? 0
      this.put(fiber < 0 ? ~fiber : fiber, this.trailNodes.pop())
    }
  }

  /**
   * How often steps were taken, by name; 0 for those that fibers have reached and never took. Where names are
   * interchangeable one state stands for many, so steps that differ in them alone count together, as the first one's.
   */
  stepsTaken(): ReadonlyMap<string, number> {
    const alike = firstOfEach(this.interchange === undefined ? [] : this.instance.interchangeable)
    const steps = new Map<string, number>()
    for (const { operation, taken } of this.canonical.values()) {
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
    store.cells.forEach((cell, position) => {
      const entry = entries[position]
      if (entry !== undefined && entry !== cell.entry) store.put(cell, entry)
    })
    store.forget()
    for (let fiber = Math.max(at.length, this.at.length) - 1; fiber >= 0; fiber--) this.put(fiber, at[fiber])
    this.tracker.restore(present)
    this.trailFibers.length = 0
    this.trailNodes.length = 0
    this.trailMarks.length = 0
    this.depth = 0
  }

  operation(fiber: number): Operation | undefined {
    return this.at[fiber]?.operation
  }

  hasEnded(fiber: number): boolean {
    return this.at[fiber]?.ended ?? false
  }

  actor(fiber: number): FiberRun | undefined {
    return this.visit(this.node(fiber))
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
      ? this.instance.store.low ^ this.nodes.low
      : this.symmetric(this.interchange).low
  }

  get high(): number {
    return this.interchange === undefined
      ? this.instance.store.high ^ this.nodes.high
      : this.symmetric(this.interchange).high
  }

  private symmetric(interchange: Interchange): Hash {
    if (this.computedAt !== this.changes) {
      const { store } = this.instance
      const mentions: Array<Mention> = []
      for (const { mention } of this.at) if (mention !== undefined) mentions.push(mention)
      interchange.fingerprint(store.low ^ this.nodes.low, store.high ^ this.nodes.high, mentions)
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

  protected canPerform(node: Node): boolean {
    const { guard, operation } = node
    if (guard !== undefined) return guard.find() ?? this.learnGuard(node, guard)
    return operation?.kind !== "join" || this.named(operation.args[0])?.ended === true
  }

  private learnGuard(node: Node, guard: ReadTree<boolean>): boolean {
    const { store } = this.instance
    const { run, operation } = this.parked(node)
    const reads = store.record()
    const holds = guardHolds(this.instance, run, operation)
    store.stopRecording()
    if (!guard.learn(reads, (cell) => cell.entry.index, holds)) throw changeable(node)
    this.twins?.guard(node, holds)
    return holds
  }

  /** Performs an operation on the cells: by what is known of it, or by running its body. */
  protected perform(fiber: number, node: Node, option: number): Outcome {
    const tree = node.outcomes[option]
    if (tree === undefined) return this.run(node, option)
    const known = tree.find()
    if (known === undefined) return this.learnOutcome(fiber, node, option, tree)
    const { store } = this.instance
    if (++this.lookUps % auditEvery === 0) this.audit(node, option, known)
    for (let i = 0; i < known.cells.length; i++) {
      const cell = known.cells[i] as StoredCell // i is within both
      const entry = known.entries[i] as Entry
      if (cell.entry !== entry) store.put(cell, entry)
    }
    return known
  }

  /** Runs the operation, and notes what it does. A fiber whose operation meets something new is compared first. */
  private learnOutcome(fiber: number, node: Node, option: number, tree: ReadTree<Outcome>): Outcome {
    const { store } = this.instance
    if (!this.alone && tree.leaves > 0 && tree.leaves < comparedReads) this.compareAlone(fiber)
    const { mark } = store
    const reads = store.record()
    let outcome: Outcome
    try {
      outcome = this.run(node, option)
    } finally {
      store.stopRecording()
    }
    const after = outcome.cells
    const { low } = store
    store.rollback(mark)
    if (!tree.learn(reads, (cell) => cell.entry.index, outcome)) throw changeable(node)
    this.twins?.outcome(node, this.parked(node).operation, option, outcome, this)
    after.forEach((cell, position) => {
      const entry = outcome.entries[position]
      if (entry !== undefined && cell.entry !== entry) store.put(cell, entry)
    })
    if (store.low !== low) throw new Error("writing again what was written leads to another state")
    return outcome
  }

  /** Runs the operation's code. */
  private run(node: Node, option: number): Outcome {
    const { store } = this.instance
    const { mark } = store
    const { run, operation } = this.parked(node)
    const result = perform(this.instance, run, operation, option, node.monitors, this)
    const cells = store.writtenSince(mark)
    return { result, cells, entries: cells.map(({ entry }) => entry), next: undefined }
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
    const fresh = this.rerun(this.node(fiber))
    this.alone = true
    for (let taken = 0; taken < stepsAlone; taken++) {
      const node = this.node(fiber)
      expectSame(fresh, node)
      const { standing } = fresh
      if (standing.kind !== "parked") break
      if (standing.operation.kind !== "step" && standing.operation.kind !== "choice") break
      const { run, operation } = this.parked(node)
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
    this.trailMarks.push(this.instance.store.mark, this.tracker.mark)
    this.depth++
    const { result } = this.run(node, 0)
    const next = result instanceof StepFailed ? failed(node) : (node.next.get(result) ?? this.learn(node, result))
    this.move(fiber, node, next)
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
    const next = target.next.get(interruption) ?? this.learn(target, interruption)
    this.moveToo(position, target, next)
    return next
  }

  /** The fiber that an operation forks, at its start; the one that forks it has not gone on. */
  private forked(by: Node): Node | undefined {
    const { operation } = this.parked(by)
    if (operation.kind !== "fork") return undefined
    const fiber = this.instance.forked(operation.args[0], operation.effect)
    return this.nodeOf(fiber, by, new FiberRun(fiber, by.history))
  }

  protected node(fiber: number): Node {
    const node = this.at[fiber]
    if (node === undefined) throw new Error(`there is no fiber ${fiber}`)
    return node
  }

  private move(fiber: number, from: Node, to: Node): void {
    this.trailFibers.push(fiber)
    this.trailNodes.push(from)
    const { part } = to
    part.low ^= from.low ^ to.low
    part.high ^= from.high ^ to.high
    this.changes++
    this.at[fiber] = to
  }

  /** Moves a second fiber within the same move. */
  private moveToo(fiber: number, from: Node | undefined, to: Node): void {
    this.trailFibers.push(~fiber)
    this.trailNodes.push(from)
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

  /** The real fiber of a node, parked there. */
  private visit(node: Node): FiberRun {
    if (node.run !== undefined) return node.run
    const run = this.rerun(node)
    node.run = run
    this.keep(node)
    return run
  }

  /** Notes that a node has a real fiber, and lets the older half of them go if there are too many. */
  private keep(node: Node): void {
    this.parkedNodes.push(node)
    if (this.parkedNodes.length <= this.parkedLimit) return
    const kept = this.parkedLimit >> 1
    for (const old of this.parkedNodes.slice(0, -1 - kept)) if (old !== node) old.run = undefined
    this.parkedNodes = this.parkedNodes.slice(-1 - kept)
  }

  /** The real fiber of a node, and what it is parked at: the code of the operation is that fiber's own. */
  protected parked(node: Node): { readonly run: FiberRun; readonly operation: Operation } {
    const run = this.visit(node)
    if (run.standing.kind !== "parked") throw new Error(`fiber ${run.name} has no operation`)
    return { run, operation: run.standing.operation }
  }

  /** Learns the node that follows `parent` when its fiber is told `answer`. */
  private learn(parent: Node, answer: Answer): Node {
    const run = this.visit(parent)
    parent.run = undefined
    run.answer(answer)
    const node = this.nodeOf(parent.fiber, parent.forkedBy, run, parent, answer)
    parent.next.set(answer, node)
    return node
  }

  /** The node for where a fiber is parked now: a known one, if its history is equivalent. */
  private nodeOf(
    fiber: NamedFiber,
    forkedBy: Node | undefined,
    run: FiberRun,
    parent?: Node,
    answer: Answer = undefined,
  ): Node {
    const future = run.future(this.keepEnds)
    const history = future.text()
    const { standing } = run
    const known = standing.kind === "broken" ? undefined : this.canonical.get(history)
    if (known !== undefined) {
      expectSame(run, known)
      return known
    }
    if (this.canonical.size >= this.nodeLimit) {
      throw new LimitReached(
        `${this.nodeLimit} different histories of fibers were learnt, the last of ${run.name}; a checkpoint at the head of its loop lets histories that no longer matter fall together`,
      )
    }
    const operation = standing.kind === "parked" ? standing.operation : undefined
    const options = operation === undefined ? 0 : optionsOf(operation)
    const hasBody = operation?.kind === "step" || operation?.kind === "choice"
    const place = placeOf(this.interchange, fiber.name, future)
    const node: Node = {
      fiber,
      forkedBy,
      run,
      operation,
      options,
      history: run.history,
      monitors: operation === undefined ? [] : monitorsOf(this.instance, operation.name),
      violation: standing.kind === "broken" ? standing.violation : undefined,
      ended: standing.kind === "ended",
      value: standing.kind === "ended" ? standing.value : undefined,
      interrupted: run.interrupted,
      low: place.low,
      high: place.high,
      part: place.part ?? this.nodes,
      mention: place.mention,
      parent,
      answer,
      next: new Map(),
      child: undefined,
      guard: operation?.kind === "step" && operation.guard !== undefined ? new ReadTree() : undefined,
      outcomes: hasBody ? Array.from({ length: options }, () => new ReadTree<Outcome>()) : [],
      taken: 0,
    }
    this.canonical.set(history, node)
    this.keep(node)
    if (this.begun) this.twins?.place(node, run)
    return node
  }

  /**
   * Runs a fresh fiber along the history of a node, and compares it with the first one on the way.
   *
   * @throws NotDeterministic when it does something else after the same results
   */
  private rerun(node: Node): FiberRun {
    const path: Array<Node> = []
    for (let at: Node | undefined = node; at !== undefined; at = at.parent) path.push(at)
    path.reverse()
    const run = new FiberRun(node.fiber, node.forkedBy?.history)
    path.forEach((expected, position) => {
      if (position > 0) run.answer(expected.answer)
      expectSame(run, expected)
    })
    return run
  }
}

/** What is wrong with a fiber whose operation does not do the same for the same contents. */
const changeable = ({ fiber, operation }: Node): NotDeterministic =>
  new NotDeterministic(
    fiber.name,
    `${operation === undefined ? "its end" : labelOf(operation)} does not always do the same`,
  )

/**
 * Compares where a fiber stands with the node of its history, as far as labels tell.
 *
 * @throws NotDeterministic when they differ
 */
const expectSame = (run: FiberRun, node: Node): void => {
  const reached = (operation: Operation | undefined) => {
    if (operation === undefined) return "its end"
    const label = labelOf(operation)
    return operation.kind === "choice" ? `${label}, a choice of ${show(operation.options)}` : label
  }
  const first = reached(node.operation)
  const then = reached(run.standing.kind === "parked" ? run.standing.operation : undefined)
  if (first !== then) throw new NotDeterministic(run.name, `it reached ${first} once and ${then} another time`)
}

/** Adds a fiber's node to the fingerprint of the part that it belongs to, or takes it away: with XOR that is one. */
const addOrTakeAway = ({ part, low, high }: Node): void => {
  part.low ^= low
  part.high ^= high
}

const hasFailed = (node: Node): boolean => node.operation === undefined && !node.ended && node.violation === undefined

/** The node of a fiber whose last step failed: it has no way on. */
const failed = (node: Node): Node => ({
  ...node,
  operation: undefined,
  options: 0,
  guard: undefined,
  monitors: [],
  ...digestText(`failed after ${node.low} ${node.high}`),
})
