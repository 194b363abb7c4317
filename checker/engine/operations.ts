/**
 * What operations come to, as it is learnt: for a node, by the contents of the cells that its guard and its bodies read.
 * Code of the program runs for contents that are met for the first time; from then on a table says it.
 */
import { bitsOf, type Entry, type StoredCell } from "../program/store.ts"
import type { Instance } from "../scenario/program.ts"
import { changeable, failed, type Node, type Outcome } from "./node.ts"
import type { Nodes } from "./nodes.ts"
import type { ReadTree } from "./readTree.ts"
import { guardHolds, perform, StepFailed } from "./system.ts"
import type { Twins } from "./twins.ts"
import type { Whereabouts } from "./whereabouts.ts"

/** After so many outcomes that were looked up, one is computed again and compared. */
const auditEvery = 4096

/**
 * Told of what is learnt: the outcomes of steps and choices, and what guards say, each once at least for every node and
 * contents read. Nothing is written when it is told.
 */
export interface Observer {
  /** @param reads the cells that the operation, its guard and its monitors read before they wrote them */
  outcome(node: Node, reads: ReadonlyArray<StoredCell>, outcome: Outcome): void
  guard(node: Node, reads: ReadonlyArray<StoredCell>, holds: boolean): void
}

export class Operations {
  /** How often a guard was found to read cells that it had not read after other contents. */
  guardsGrown = 0
  private readonly instance: Instance
  private readonly nodes: Nodes
  private readonly whereabouts: Whereabouts
  private readonly twins: Twins | undefined
  private readonly observer: Observer | undefined
  private lookUps = 0

  constructor(
    instance: Instance,
    nodes: Nodes,
    whereabouts: Whereabouts,
    twins: Twins | undefined,
    observer: Observer | undefined,
  ) {
    this.instance = instance
    this.nodes = nodes
    this.whereabouts = whereabouts
    this.twins = twins
    this.observer = observer
  }

  /** Whether a fiber that is parked there can go on in the present state. */
  canPerform(node: Node): boolean {
    const { guard, operation } = node
    if (guard !== undefined) return guard.find() ?? this.learnGuard(node, guard)
    return operation?.kind !== "join" || this.whereabouts.named(operation.args[0])?.ended === true
  }

  /** Performs an operation by what is known of it; `undefined`, and nothing is written, where that is not enough. */
  performKnown(node: Node, option: number): Outcome | undefined {
    const known = node.outcomes[option]?.find()
    if (known === undefined) return undefined
    if (++this.lookUps % auditEvery === 0) this.audit(node, option, known)
    this.apply(known)
    return known
  }

  /** Performs an operation by running its code, and notes what it does; not so of operations on other fibers. */
  performNew(node: Node, option: number): Outcome {
    const tree = node.outcomes[option]
    return tree === undefined ? this.run(node, option) : this.learnOutcome(node, option, tree)
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

  /**
   * Performs an operation by running its code, whatever is known of it.
   *
   * @param reads where the cells that are read are being recorded
   */
  run(node: Node, option: number, reads: ReadonlyArray<StoredCell> = []): Outcome {
    const { store } = this.instance
    const { mark } = store
    const { run, operation } = this.nodes.parked(node)
    const result = perform(this.instance, run, operation, option, node.monitors, this.whereabouts)
    const cells = store.writtenSince(mark)
    const entries = cells.map(({ entry }) => entry)
    const { bitsLow: readsLow, bitsHigh: readsHigh } = bitsOf(reads)
    return {
      result,
      reads,
      cells,
      entries,
      ...bitsOf(cells),
      readsLow,
      readsHigh,
      next: undefined,
      footprint: undefined,
    }
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
    if (!tree.learn(reads, outcome)) throw changeable(node)
    this.observer?.outcome(node, reads, outcome)
    this.twins?.outcome(node, this.nodes.parked(node).operation, option, outcome, this.whereabouts)
    this.apply(outcome)
    return outcome
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
}
