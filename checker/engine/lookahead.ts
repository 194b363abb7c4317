/**
 * Looks ahead: which moves of a state lead to a state that was visited before.
 *
 * Most moves do. What a step comes to is known once it was learnt, and with it the fingerprint of the state that it leads
 * to: the present one with what the step changes. So such a move need not be made, judged and taken back.
 *
 * What a step changes stays the same along a path until its fiber moves, or a step writes a cell that this one reads or
 * writes, so it is handed on from state to state. (Where that is so, the two steps are independent: Godefroid,
 * "Partial-Order Methods for the Verification of Concurrent Systems", LNCS 1032, 1996, section 3.)
 *
 * A move is only left out if making it would break and count nothing that is not known from elsewhere: the state that it
 * leads to was judged when it was visited, and it writes no cell that an action invariant has ever read.
 */
import type { Bits } from "../program/store.ts"
import type { PropertyTracker } from "../property/tracker.ts"
import type { Node } from "./node.ts"
import { type Move, moveOf, StepFailed } from "./system.ts"

/** What is known of a fiber's next move in a state. */
const Now = {
  /** Nothing that could be handed on. */
  nothing: 0,
  impossible: 1,
  /** It can be made, and what it comes to is not known or must be looked at. */
  possible: 2,
  /** It can be made, and what it changes of the fingerprint is known. */
  change: 3,
} as const

/** Known states, by fingerprint. */
export interface Known {
  /** Adds a state; false if it was there. */
  add(low: number, high: number): boolean
  has(low: number, high: number): boolean
}

/**
 * A move that is still to be made; as -1 - move when it is reserved: the state that it leads to is among the known ones
 * already, added for whoever makes the move.
 */
export type OpenMove = number
export const isReserved = (open: OpenMove): boolean => open < 0
export const moveIn = (open: OpenMove): Move => (open < 0 ? -1 - open : open)

/** The moves of a state that are worth making. */
export interface Expansion {
  readonly moves: ReadonlyArray<OpenMove>
  /** How many moves are possible, worth making or not. */
  readonly possible: number
}

/** The engine, as far as it is looked at. */
interface Present {
  readonly tracker: PropertyTracker
  readonly depth: number
  readonly low: number
  readonly high: number
}

const nobody = -1

export class Lookahead {
  /** How many fibers are there from the start: of these alone it is known where they stand. */
  private readonly width: number
  /** By depth: whether what is known there is of the state on the present path, and who made the last step to it. */
  private readonly isFilled: Array<boolean> = [false]
  private readonly mover: Array<number> = [nobody]
  /** By depth: the cells that the last step wrote. */
  private readonly written: Array<Bits | undefined> = [undefined]
  /** By depth: the cells that action invariants had read. */
  private readonly watched: Array<Bits> = []
  /** By depth and fiber. */
  private known = new Uint8Array(0)
  private lows = new Int32Array(0)
  private highs = new Int32Array(0)
  /** The cells on which it depends what is known. */
  private bitsLow = new Int32Array(0)
  private bitsHigh = new Int32Array(0)

  constructor(width: number) {
    this.width = width
  }

  /**
   * Notes that another state is at this depth now.
   *
   * @param fiber the one whose step leads there, if nothing is known but that this fiber moves and what cells are written
   */
  arrive(depth: number, fiber: number = nobody, written?: Bits): void {
    this.isFilled[depth] = false
    this.mover[depth] = fiber
    this.written[depth] = written
  }

  /** See `Memoised.expand`. */
  expand(
    present: Present,
    at: ReadonlyArray<Node>,
    states: Known,
    reserves: boolean,
    canPerform: (node: Node) => boolean,
  ): Expansion {
    const { depth, tracker } = present
    this.fill(present, at, canPerform)
    const row = depth * this.width
    const { low, high } = present
    const moves: Array<OpenMove> = []
    let possible = 0
    for (let fiber = 0; fiber < at.length; fiber++) {
      const node = at[fiber] as Node // a fiber that is there
      const known = fiber < this.width ? this.known[row + fiber] : Now.nothing
      if (known === Now.impossible || (known === Now.nothing && !(node.options > 0 && canPerform(node)))) continue
      possible += node.options
      if (known === Now.change) {
        const nextLow = low ^ (this.lows[row + fiber] ?? 0)
        const nextHigh = high ^ (this.highs[row + fiber] ?? 0)
        const isNew = reserves ? states.add(nextLow, nextHigh) : !states.has(nextLow, nextHigh)
        if (isNew) moves.push(reserves ? -1 - moveOf(fiber, 0) : moveOf(fiber, 0))
        else if (tracker.present.counting) node.taken++
      } else for (let option = 0; option < node.options; option++) moves.push(moveOf(fiber, option))
    }
    return { moves, possible }
  }

  /** Finds out what is known of the moves of the present state. */
  private fill(present: Present, at: ReadonlyArray<Node>, canPerform: (node: Node) => boolean): void {
    const { depth, tracker } = present
    const { width } = this
    const row = depth * width
    if (row + width > this.known.length) this.grow(row + width)
    const watched = tracker.watched
    const written = this.written[depth]
    const mover = this.mover[depth]
    const before = row - width
    const hands =
      depth > 0 && written !== undefined && this.isFilled[depth - 1] === true && this.watched[depth - 1] === watched
    for (let fiber = 0; fiber < width; fiber++) {
      const old = before + fiber
      const now = row + fiber
      if (
        hands &&
        fiber !== mover &&
        this.known[old] !== Now.nothing &&
        (((this.bitsLow[old] ?? 0) & written.bitsLow) | ((this.bitsHigh[old] ?? 0) & written.bitsHigh)) === 0
      ) {
        this.known[now] = this.known[old] ?? 0
        this.lows[now] = this.lows[old] ?? 0
        this.highs[now] = this.highs[old] ?? 0
        this.bitsLow[now] = this.bitsLow[old] ?? 0
        this.bitsHigh[now] = this.bitsHigh[old] ?? 0
      } else this.find(now, at[fiber] as Node, watched, canPerform)
    }
    this.isFilled[depth] = true
    this.watched[depth] = watched
  }

  private find(place: number, node: Node, watched: Bits, canPerform: (node: Node) => boolean): void {
    const { operation, guard } = node
    const can = operation !== undefined && canPerform(node)
    this.known[place] = operation?.kind === "join" ? Now.nothing : can ? Now.possible : Now.impossible
    this.bitsLow[place] = guard?.bitsLow ?? 0
    this.bitsHigh[place] = guard?.bitsHigh ?? 0
    if (!can || operation.kind !== "step") return
    const tree = node.outcomes[0]
    const outcome = tree?.find()
    const next = outcome?.next
    if (tree === undefined || outcome === undefined || next === undefined) return
    if (outcome.result instanceof StepFailed) return
    if (((outcome.bitsLow & watched.bitsLow) | (outcome.bitsHigh & watched.bitsHigh)) !== 0) return
    let low = node.low ^ next.low
    let high = node.high ^ next.high
    for (let i = 0; i < outcome.cells.length; i++) {
      const is = outcome.cells[i]?.entry
      const becomes = outcome.entries[i]
      if (is === undefined || becomes === undefined) continue
      low ^= is.low ^ becomes.low
      high ^= is.high ^ becomes.high
    }
    this.known[place] = Now.change
    this.lows[place] = low
    this.highs[place] = high
    this.bitsLow[place] = (this.bitsLow[place] ?? 0) | tree.bitsLow | outcome.bitsLow
    this.bitsHigh[place] = (this.bitsHigh[place] ?? 0) | tree.bitsHigh | outcome.bitsHigh
  }

  private grow(length: number): void {
    const longer = Math.max(2 * this.known.length, length)
    const known = new Uint8Array(longer)
    known.set(this.known)
    this.known = known
    this.lows = lengthened(this.lows, longer)
    this.highs = lengthened(this.highs, longer)
    this.bitsLow = lengthened(this.bitsLow, longer)
    this.bitsHigh = lengthened(this.bitsHigh, longer)
  }
}

const lengthened = (array: Int32Array, length: number): Int32Array<ArrayBuffer> => {
  const longer = new Int32Array(length)
  longer.set(array)
  return longer
}
