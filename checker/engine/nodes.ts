/** Learns nodes: runs real fibers along histories, leaves them parked there, and finds which histories are one. */
import { type Operation, optionsOf } from "../program/operation.ts"
import type { Part } from "../program/store.ts"
import type { Instance, NamedFiber } from "../scenario/program.ts"
import { LimitReached } from "./fault.ts"
import { FiberRun } from "./fiberRun.ts"
import type { Answer } from "./history.ts"
import { type Interchange, placeOf } from "./interchange.ts"
import { expectSame, type Node } from "./node.ts"
import { ReadTree } from "./readTree.ts"
import { monitorsOf } from "./system.ts"

export interface NodesOptions {
  /** Keep apart the histories with which a fiber ended; by default all ends of a fiber are one. */
  readonly keepEnds?: boolean
  /** How many nodes to learn at most, over all fibers. */
  readonly nodeLimit?: number
  /** How many real fibers to keep parked at most; those let go are run again when they are needed. */
  readonly parkedLimit?: number
}

const defaultNodeLimit = 200_000
const defaultParkedLimit = 20_000

export class Nodes {
  private readonly instance: Instance
  private readonly interchange: Interchange | undefined
  /** The part of the fibers that belong to no interchangeable name. */
  private readonly part: Part
  private readonly learnt: (node: Node, run: FiberRun) => void
  private readonly keepEnds: boolean
  private readonly nodeLimit: number
  private readonly parkedLimit: number
  /** By the text of the history. */
  private readonly known = new Map<string, Node>()
  /** The nodes that were given a real fiber, oldest first; some may have lent it since. */
  private parkedNodes: Array<Node> = []

  /** @param learnt told of each new node, and of the real fiber that is parked there */
  constructor(
    instance: Instance,
    interchange: Interchange | undefined,
    part: Part,
    options: NodesOptions,
    learnt: (node: Node, run: FiberRun) => void,
  ) {
    this.instance = instance
    this.interchange = interchange
    this.part = part
    this.learnt = learnt
    this.keepEnds = options.keepEnds ?? false
    this.nodeLimit = options.nodeLimit ?? defaultNodeLimit
    this.parkedLimit = options.parkedLimit ?? defaultParkedLimit
  }

  /** All that were learnt. */
  get all(): Iterable<Node> {
    return this.known.values()
  }

  /** A fiber that is there from the start, at its start. */
  first(fiber: NamedFiber): Node {
    return this.nodeOf(fiber, undefined, new FiberRun(fiber))
  }

  /** The fiber that an operation forks, at its start; the one that forks it has not gone on. */
  forked(by: Node): Node {
    const { operation } = this.parked(by)
    if (operation.kind !== "fork") throw new Error(`fiber ${by.fiber.name} forks nothing`)
    const fiber = this.instance.forked(operation.args[0], operation.effect)
    return this.nodeOf(fiber, by, new FiberRun(fiber, by.history))
  }

  /** Where the fiber of a node stands when it is told an answer. */
  after(parent: Node, answer: Answer): Node {
    const known = parent.next.get(answer)
    if (known !== undefined) return known
    const run = this.visit(parent)
    parent.run = undefined
    const { heads } = run.history
    run.answer(answer)
    if (run.history.heads !== heads) {
      parent.heads ??= new Set()
      parent.heads.add(answer)
    }
    const node = this.nodeOf(parent.fiber, parent.forkedBy, run, parent, answer)
    parent.next.set(answer, node)
    return node
  }

  /** The real fiber of a node, parked there. */
  visit(node: Node): FiberRun {
    if (node.run !== undefined) return node.run
    const run = this.rerun(node)
    node.run = run
    this.keep(node)
    return run
  }

  /** The real fiber of a node, and what it is parked at: the code of the operation is that fiber's own. */
  parked(node: Node): { readonly run: FiberRun; readonly operation: Operation } {
    const run = this.visit(node)
    if (run.standing.kind !== "parked") throw new Error(`fiber ${run.name} has no operation`)
    return { run, operation: run.standing.operation }
  }

  /**
   * Runs a fresh fiber along the history of a node, and compares it with the first one on the way.
   *
   * @throws NotDeterministic when it does something else after the same results
   */
  rerun(node: Node): FiberRun {
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

  /** Notes that a node has a real fiber, and lets the older half of them go if there are too many. */
  private keep(node: Node): void {
    this.parkedNodes.push(node)
    if (this.parkedNodes.length <= this.parkedLimit) return
    const kept = this.parkedLimit >> 1
    for (const old of this.parkedNodes.slice(0, -1 - kept)) {
      if (old === node) continue
      old.run = undefined
      old.newcomer = undefined
    }
    this.parkedNodes = this.parkedNodes.slice(-1 - kept)
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
    const known = standing.kind === "broken" ? undefined : this.known.get(history)
    if (known !== undefined) {
      expectSame(run, known)
      if (standing.kind === "parked") {
        known.newcomer = run
        this.keep(known)
      }
      return known
    }
    if (this.known.size >= this.nodeLimit) {
      throw new LimitReached(
        `${this.nodeLimit} different histories of fibers were learnt, the last of ${run.name}; a checkpoint at the head of its loop lets histories that no longer matter fall together`,
      )
    }
    const operation = standing.kind === "parked" ? standing.operation : undefined
    const { store } = this.instance
    const options = operation === undefined ? 0 : optionsOf(operation)
    const hasBody = operation?.kind === "step" || operation?.kind === "choice"
    const place = placeOf(this.interchange, fiber.name, future)
    const node: Node = {
      fiber,
      forkedBy,
      run,
      newcomer: undefined,
      operation,
      options,
      history: run.history,
      monitors: operation === undefined ? [] : monitorsOf(this.instance, operation),
      violation: standing.kind === "broken" ? standing.violation : undefined,
      ended: standing.kind === "ended",
      value: standing.kind === "ended" ? standing.value : undefined,
      interrupted: run.interrupted,
      low: place.low,
      high: place.high,
      part: place.part ?? this.part,
      mention: place.mention,
      parent,
      answer,
      next: new Map(),
      heads: undefined,
      child: undefined,
      guard: operation?.kind === "step" && operation.guard !== undefined ? new ReadTree(store) : undefined,
      outcomes: hasBody ? Array.from({ length: options }, () => new ReadTree(store)) : [],
      taken: 0,
    }
    this.known.set(history, node)
    this.keep(node)
    this.learnt(node, run)
    return node
  }
}
