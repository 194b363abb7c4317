/** The fibers that bear witness of each node, and what is said of a program in which they contradict it. */
import { labelOf } from "../program/operation.ts"
import type { Entry } from "../program/store.ts"
import type { Instance } from "../scenario/program.ts"
import { Unsound } from "./fault.ts"
import type { Standing } from "./fiberRun.ts"
import { type Answer, answersTo } from "./history.ts"
import { hasFailed, type Node } from "./node.ts"
import { guardHolds, type Others } from "./system.ts"
import {
  type Difference,
  describeStanding,
  differenceOf,
  type Effects,
  forgettingOf,
  tryOut,
  Witness,
} from "./witness.ts"

/** How many histories of a node have a witness, at most. */
const witnessesKept = 6

/** How many states are kept for each node in which its guard or body met something new. */
const meetingsKept = 64

/** From this many answers on, only the nodes at every so many more have witnesses: each is run from the start. */
const longHistory = 256
const longStride = 64

/** A state in which a node's guard or body met something new, and what it did. */
interface Meeting {
  readonly entries: ReadonlyArray<Entry>
  readonly did: { readonly holds: boolean } | { readonly option: number; readonly effects: Effects }
}

/** What was compared so far. */
export interface Compared {
  /** Histories along which a fiber was run a second time. */
  histories: number
  /** Steps that were run again. */
  steps: number
  /** Paths that were taken by plain re-execution. */
  paths: number
}

/** Keeps the witnesses of all nodes, and compares each with what its node did where it comes late. */
export class Witnesses {
  private readonly instance: Instance
  private readonly others: Others
  private readonly compared: Compared
  /** By node; the first one's history is the one along which the node was learnt. */
  private readonly witnesses = new Map<Node, Array<Witness>>()
  /** For the witnesses that a node gets later, when the search does not come to such states any more. */
  private readonly meetings = new Map<Node, Array<Meeting>>()
  /** How many of a node's answers were followed to the nodes behind them. */
  private readonly followed = new Map<Node, number>()
  /** The nodes whose fork was followed. */
  private readonly forks = new Set<Node>()

  /** @param compared where it is counted what was compared */
  constructor(instance: Instance, others: Others, compared: Compared) {
    this.instance = instance
    this.others = others
    this.compared = compared
  }

  /** The fibers that bear witness of a node; at first one, which learns the node a second time. */
  of(node: Node): ReadonlyArray<Witness> {
    const known = this.witnesses.get(node)
    if (known !== undefined) return known
    const witnesses: Array<Witness> = []
    this.witnesses.set(node, witnesses)
    if (hasFailed(node) || isSkipped(node)) return witnesses
    const forked = node.forkedBy === undefined ? undefined : this.of(node.forkedBy)[0]?.operation
    const fiber = forked?.kind === "fork" ? this.instance.forked(node.fiber.name, forked.effect) : node.fiber
    this.add(node, new Witness(fiber, node.forkedBy?.history, answersTo(node)))
    return witnesses
  }

  /** Lets another fiber bear witness of a node, and of the nodes behind it that are known. */
  private add(node: Node, witness: Witness): void {
    const witnesses = this.witnesses.get(node) ?? []
    this.compared.histories++
    const first = describeStanding(standingOf(node))
    const second = describeStanding(witness.run.standing)
    if (first !== second) this.blame(node, witness, { what: "its next step", first, second })
    for (const meeting of this.meetings.get(node) ?? []) this.meetAgain(node, witness, meeting)
    if (node.ended && witnesses.length > 0) return
    witnesses.push(witness)
    if (witnesses.length === 1) return
    const behind = [...node.next].slice(0, this.followed.get(node) ?? 0)
    for (const [answer, next] of behind) this.lend(node, answer, next, [witness])
    this.lendToChild(node, [witness])
  }

  /** Notes what a node did in a state in which it met something new, for witnesses that it gets later. */
  note(node: Node, entries: Meeting["entries"], did: Meeting["did"]): void {
    const meetings = this.meetings.get(node) ?? []
    this.meetings.set(node, meetings)
    if (meetings.length < meetingsKept) meetings.push({ entries, did })
  }

  /** Compares what a node did once with what another fiber does in the same state. */
  private meetAgain(node: Node, witness: Witness, { entries, did }: Meeting): void {
    const { instance } = this
    const { store } = instance
    const { run, operation } = witness
    if (operation === undefined) return
    const { mark } = store
    for (const [position, cell] of store.cells.entries()) {
      const entry = entries[position]
      if (entry !== undefined) store.put(cell, entry)
    }
    this.compared.steps++
    const difference =
      "holds" in did
        ? differenceOfGuards(did.holds, guardHolds(instance, run, operation))
        : differenceOf(did.effects, tryOut(instance, run, operation, did.option, node.monitors, this.others))
    store.rollback(mark)
    if (difference !== undefined) this.blame(node, witness, difference)
  }

  /** Lets a node's witnesses bear witness of the nodes that were learnt behind it since. Returns whether there were any. */
  follow(node: Node): boolean {
    const before = this.followed.get(node) ?? 0
    if (before === node.next.size && (node.child === undefined || this.forks.has(node))) return false
    const behind = [...node.next].slice(before)
    this.followed.set(node, node.next.size)
    for (const [answer, next] of behind) this.lend(node, answer, next, this.of(node))
    if (node.child !== undefined && !this.forks.has(node)) {
      this.forks.add(node)
      const own = node.child.forkedBy === node
      this.lendToChild(node, own ? this.of(node).slice(1) : this.of(node).slice(0, 1))
    }
    return behind.length > 0
  }

  /**
   * Lets witnesses of a node, told an answer, bear witness of where that leads. Where the checkpoint made a history
   * equivalent to that of a node that was known, one of them does: else each round of a loop would add another.
   */
  private lend(node: Node, answer: Answer, next: Node, witnesses: ReadonlyArray<Witness>): void {
    const learntSo = next.parent === node && Object.is(next.answer, answer)
    const [first] = this.of(node)
    // All ends of a fiber may be one node, and nothing comes behind it: there each has its say, and none is kept.
    const lent = next.ended ? witnesses : witnesses.filter((witness) => (witness === first) !== learntSo)
    for (const witness of lent) {
      if (isSkipped(next) || (!next.ended && this.of(next).length >= witnessesKept)) return
      this.add(next, witness.after(answer))
    }
  }

  /** Lets the fibers that other histories of a node fork bear witness of the one that it forks. */
  private lendToChild(node: Node, witnesses: ReadonlyArray<Witness>): void {
    const { child, history } = node
    if (child === undefined) return
    for (const { operation } of witnesses) {
      if (operation?.kind !== "fork" || this.of(child).length >= witnessesKept) continue
      this.add(child, new Witness(this.instance.forked(child.fiber.name, operation.effect), history))
    }
  }

  /** @param witness the fiber that does something else than the node says; `undefined` for the node's own */
  blame(node: Node, witness: Witness | undefined, { what, first, second }: Difference): never {
    const { operation, fiber } = node
    const where = operation === undefined ? "at its end" : `in ${labelOf(operation)}`
    const [learnt] = this.witnesses.get(node) ?? []
    const but = (who: string, why: string) =>
      new Unsound(`fiber ${fiber.name}, ${where}: ${what} is ${first}, and ${second} ${who}: ${why}`)
    if (witness === undefined) {
      throw but(
        "when its code runs again in the same state",
        "it keeps something outside, or depends on something there",
      )
    }
    if (learnt === undefined || learnt === witness) {
      throw but(
        "for a fiber that was told the same results and ran no body before",
        "the body or guard of a step keeps something in a variable for later, or fibers share one; a step speaks to its fiber through its result only",
      )
    }
    const forgetting = forgettingOf(learnt, witness)
    if (forgetting === undefined) {
      throw but("for a fiber that came here along an equivalent history", "fibers share nothing but cells")
    }
    throw but(`for a fiber that ${forgetting.who}`, forgetting.why)
  }
}

export const differenceOfGuards = (first: boolean, second: boolean): Difference | undefined =>
  first === second ? undefined : { what: "its guard", first: String(first), second: String(second) }

const isSkipped = ({ history: { told } }: Node): boolean => told > longHistory && told % longStride !== 0

const standingOf = ({ operation, violation, value }: Node): Standing => {
  if (operation !== undefined) return { kind: "parked", operation }
  return violation === undefined ? { kind: "ended", value } : { kind: "broken", violation }
}
