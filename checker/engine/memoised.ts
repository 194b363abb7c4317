/**
 * The memoised engine: each fiber is learnt as a tree, a node per history of results.
 *
 * What a fiber does next depends only on the results that its steps have returned so far. A node is learnt once, by
 * running the real Effect fiber along that history and leaving it parked there; from then on the search moves by table
 * look-up, runs only the bodies of steps, on cells with an undo log, and restarts nothing. Histories that a checkpoint
 * declares equivalent share a node. It rests on the rules of the language of programs; `execution.ts` does not, and every
 * exploration is compared with a sample of what that does.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import { digestText, lowOf, type Plain, show } from "../program/plain.ts"
import type { Actor } from "../program/runtime.ts"
import { describeDeadlock } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import type { Violation } from "../property/violation.ts"
import type { Instance, NamedFiber, Program } from "../scenario/program.ts"
import type { Monitor } from "../scenario/scenario.ts"
import { LimitReached, NotDeterministic } from "./fault.ts"
import { FiberRun } from "./fiberRun.ts"
import {
  fiberOf,
  isEnabled,
  type Move,
  monitorsOf,
  moveOf,
  optionOf,
  perform,
  StepFailed,
  type System,
  waitingIn,
} from "./system.ts"

/**
 * A fiber after one history of results.
 *
 * `run` is a real fiber parked after exactly this history, and `operation` is what it is parked at: the body closes over
 * that fiber's local variables, so a fiber that has moved on would not do. A node lends its fiber to the first child
 * that is learnt, and gets another, run along the same history, when it is next visited.
 */
interface Node {
  run: FiberRun | undefined
  operation: Operation | undefined
  readonly monitors: ReadonlyArray<Monitor[string]>
  readonly violation: Violation | undefined
  readonly ended: boolean
  /** Halves of the hash of the history, up to what checkpoints declare equivalent. */
  readonly low: number
  readonly high: number
  readonly parent: Node | undefined
  readonly result: Plain
  readonly next: Map<Plain, Node>
  /** How often the operation was performed, and hashes of what its body read then: see `looksNew`. */
  performed: number
  readonly reads: Set<number>
}

/** What undoing a move restores. */
interface Trail {
  readonly fiber: number
  readonly node: Node
  readonly storeMark: number
  readonly trackerMark: number
}

export interface MemoisedOptions {
  /** Keep apart the histories with which a fiber ended; by default all ends of a fiber are one. */
  readonly keepEnds?: boolean
  /** How many nodes to learn at most, over all fibers. */
  readonly nodeLimit?: number
}

const defaultNodeLimit = 200_000

/** How often the reads of a body are looked at, and how many different ones lead to a comparison. */
const watchedTimes = 256
const comparedReads = 6

/** How many steps a fiber goes on alone in a comparison. */
const stepsAlone = 40

export class Memoised implements System {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  /** Where each fiber stands. */
  private readonly at: Array<Node>
  private readonly trail: Array<Trail> = []
  private readonly canonical = new Map<string, Node>()
  private readonly keepEnds: boolean
  private readonly nodeLimit: number
  /** Whether the operation just performed is to be taken back and compared first. */
  private unfamiliar = false
  /** Whether a comparison is going on. */
  private alone = false
  private nodesLow = 0
  private nodesHigh = 0

  constructor(program: Program, options: MemoisedOptions = {}) {
    this.instance = program.start()
    this.keepEnds = options.keepEnds ?? false
    this.nodeLimit = options.nodeLimit ?? defaultNodeLimit
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties)
    this.at = this.instance.fibers.map((fiber) => this.nodeOf(new FiberRun(fiber), undefined, undefined))
    for (const node of this.at) {
      this.nodesLow ^= node.low
      this.nodesHigh ^= node.high
    }
  }

  begin(): ReadonlyArray<Violation> {
    return [...this.at.flatMap(({ violation }) => violation ?? []), ...this.tracker.begin()]
  }

  moves(): ReadonlyArray<Move> {
    const moves: Array<Move> = []
    for (let fiber = 0; fiber < this.at.length; fiber++) {
      const { operation, run } = this.visit(fiber)
      if (operation === undefined || run === undefined || !isEnabled(this.instance, run, operation)) continue
      const options = operation.kind === "choice" ? operation.options.length : 1
      for (let option = 0; option < options; option++) moves.push(moveOf(fiber, option))
    }
    return moves
  }

  take(move: Move): ReadonlyArray<Violation> {
    const fiber = fiberOf(move)
    const node = this.visit(fiber)
    const { operation, run } = node
    if (operation === undefined || run === undefined) throw new Error(`fiber ${fiber} has no operation to perform`)
    const storeMark = this.instance.store.mark
    this.trail.push({ fiber, node, storeMark, trackerMark: this.tracker.mark })
    const result = this.perform(node, run, operation, optionOf(move))
    if (this.unfamiliar) {
      this.unfamiliar = false
      this.trail.pop()
      this.instance.store.rollback(storeMark)
      this.compareAlone(fiber)
      return this.take(move)
    }
    if (result instanceof StepFailed) {
      this.move(fiber, node, failed(node))
      return [result.violation]
    }
    const next = node.next.get(result) ?? this.learn(fiber, node, result)
    this.move(fiber, node, next)
    const violations = this.tracker.check(storeMark)
    return next.violation === undefined ? violations : [next.violation, ...violations]
  }

  /** Takes back the last move. */
  undo(): void {
    const last = this.trail.pop()
    if (last === undefined) throw new Error("there is no move to take back")
    this.instance.store.rollback(last.storeMark)
    this.tracker.rollback(last.trackerMark)
    this.move(last.fiber, this.node(last.fiber), last.node)
  }

  /** How many moves there are to take back. */
  get depth(): number {
    return this.trail.length
  }

  operation(fiber: number): Operation | undefined {
    return this.at[fiber]?.operation
  }

  hasEnded(fiber: number): boolean {
    return this.at[fiber]?.ended ?? false
  }

  actor(fiber: number): Actor | undefined {
    return this.visit(fiber).run
  }

  get rest(): "ended" | "stuck" | "broken" {
    if (this.at.some(({ operation, ended }) => operation === undefined && !ended)) return "broken"
    return this.at.every(({ ended }) => ended) ? "ended" : "stuck"
  }

  deadlock(): string {
    return describeDeadlock(this)
  }

  end(): ReadonlyArray<Violation> {
    if (this.rest === "broken") return []
    return this.tracker.end(waitingIn(this), () => this.deadlock())
  }

  get low(): number {
    return this.instance.store.low ^ this.nodesLow
  }

  get high(): number {
    return this.instance.store.high ^ this.nodesHigh
  }

  /** Performs an operation, and notes in `unfamiliar` whether its body read what it had not read before. */
  private perform(node: Node, run: FiberRun, operation: Operation, option: number): Plain | StepFailed {
    const { instance } = this
    if (node.performed++ >= watchedTimes || this.alone) {
      return perform(instance, run, operation, option, node.monitors)
    }
    let reads = 0
    instance.store.recorder = (cell) => {
      reads = Math.imul(reads ^ cell.saltLow ^ lowOf(cell.content), 0x9e3779b1) ^ (reads >>> 15)
    }
    try {
      return perform(instance, run, operation, option, node.monitors)
    } finally {
      instance.store.recorder = undefined
      if (!node.reads.has(reads) && node.reads.size < comparedReads) this.unfamiliar = node.reads.add(reads).size > 1
    }
  }

  /**
   * Lets a fiber go on alone, as it was learnt and as a fresh one in turn, and compares what their steps do to the
   * cells and return. A body that assigned a variable for a later step when it read something else shows here: the
   * learnt fiber remembers what was read first.
   *
   * @throws NotDeterministic when they differ
   */
  private compareAlone(fiber: number): void {
    const { depth, instance } = this
    const { store } = instance
    const fresh = this.rerun(this.named(fiber), this.node(fiber))
    this.alone = true
    for (let taken = 0; taken < stepsAlone; taken++) {
      const node = this.visit(fiber)
      expectSame(fresh, node)
      const { standing } = fresh
      if (standing.kind !== "parked" || node.run === undefined) break
      const differs = () =>
        new NotDeterministic(fresh.name, `${labelOf(standing.operation)} does not always do the same`)
      const enabled = isEnabled(instance, fresh, standing.operation)
      if (node.operation === undefined || isEnabled(instance, node.run, node.operation) !== enabled) throw differs()
      if (!enabled) break
      const { mark } = store
      const result = perform(instance, fresh, standing.operation, 0, node.monitors)
      const { low, high } = store
      store.rollback(mark)
      this.take(moveOf(fiber, 0))
      const at = this.node(fiber)
      const same = result instanceof StepFailed ? hasFailed(at) : at === node.next.get(result)
      if (!same || store.low !== low || store.high !== high) throw differs()
      if (result instanceof StepFailed) break
      fresh.answer(result)
    }
    this.alone = false
    while (this.depth > depth) this.undo()
  }

  private node(fiber: number): Node {
    const node = this.at[fiber]
    if (node === undefined) throw new Error(`there is no fiber ${fiber}`)
    return node
  }

  private move(fiber: number, from: Node, to: Node): void {
    this.nodesLow ^= from.low ^ to.low
    this.nodesHigh ^= from.high ^ to.high
    this.at[fiber] = to
  }

  /** Where a fiber stands, with a real fiber parked there. */
  private visit(fiber: number): Node {
    const node = this.node(fiber)
    if (node.run !== undefined || node.operation === undefined) return node
    const run = this.rerun(this.named(fiber), node)
    if (run.standing.kind === "parked") node.operation = run.standing.operation
    node.run = run
    return node
  }

  private named(fiber: number): NamedFiber {
    const named = this.instance.fibers[fiber]
    if (named === undefined) throw new Error(`there is no fiber ${fiber}`)
    return named
  }

  /** Learns the node that follows `parent` when its operation returns `result`. */
  private learn(fiber: number, parent: Node, result: Plain): Node {
    const run = parent.run ?? this.rerun(this.named(fiber), parent)
    parent.run = undefined
    run.answer(result)
    const node = this.nodeOf(run, parent, result)
    parent.next.set(result, node)
    return node
  }

  /** The node for where a fiber is parked now: a known one, if its history is equivalent. */
  private nodeOf(run: FiberRun, parent: Node | undefined, result: Plain): Node {
    const history = run.history(this.keepEnds)
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
    const node: Node = {
      run,
      operation,
      monitors: operation === undefined ? [] : monitorsOf(this.instance, operation.name),
      violation: standing.kind === "broken" ? standing.violation : undefined,
      ended: standing.kind === "ended",
      ...digestText(history),
      parent,
      result,
      next: new Map(),
      performed: 0,
      reads: new Set(),
    }
    this.canonical.set(history, node)
    return node
  }

  /**
   * Runs a fresh fiber along the history of a node, and compares it with the first one on the way.
   *
   * @throws NotDeterministic when it does something else after the same results
   */
  private rerun(fiber: NamedFiber, node: Node): FiberRun {
    const path: Array<Node> = []
    for (let at: Node | undefined = node; at !== undefined; at = at.parent) path.push(at)
    path.reverse()
    const run = new FiberRun(fiber)
    path.forEach((expected, position) => {
      if (position > 0) run.answer(expected.result)
      expectSame(run, expected)
    })
    return run
  }
}

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

const hasFailed = (node: Node): boolean => node.operation === undefined && !node.ended && node.violation === undefined

/** The node of a fiber whose last step failed: it has no way on. */
const failed = (node: Node): Node => ({
  ...node,
  operation: undefined,
  monitors: [],
  ...digestText(`failed after ${node.low} ${node.high}`),
})
