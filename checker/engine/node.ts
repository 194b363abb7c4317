/** A fiber after one history of results, and what is known of its next operation. */
import { labelOf, type Operation } from "../program/operation.ts"
import { digestText, type Plain, show } from "../program/plain.ts"
import type { Entry, Part, StoredCell } from "../program/store.ts"
import type { Violation } from "../property/violation.ts"
import type { Monitor } from "../scenario/scenario.ts"
import type { Footprint } from "./dependence.ts"
import { NotDeterministic } from "./fault.ts"
import type { FiberRun } from "./fiberRun.ts"
import type { Answer, History, Way } from "./history.ts"
import type { Mention } from "./mention.ts"
import type { ReadTree } from "./readTree.ts"
import type { StepFailed } from "./system.ts"

/** What performing an operation comes to. */
export interface Outcome {
  readonly result: Plain | StepFailed
  /** The cells that are read before they are written, guard and monitors included. */
  readonly reads: ReadonlyArray<StoredCell>
  /** The cells that are written, each once, and what they hold then. */
  readonly cells: ReadonlyArray<StoredCell>
  readonly entries: ReadonlyArray<Entry>
  /** The bits of these cells: see `StoredCell`. */
  readonly bitsLow: number
  readonly bitsHigh: number
  /** Those of the cells that were read before they were written. */
  readonly readsLow: number
  readonly readsHigh: number
  /** Where the fiber then stands; `undefined` until it is learnt. */
  next: Node | undefined
  /** What it touches, once somebody has asked: see `Footprints`. */
  footprint: Footprint | undefined
}

/**
 * A fiber after one history of results.
 *
 * `run` is a real fiber parked after exactly this history: the code of what it is parked at closes over that fiber's
 * local variables, so a fiber that has moved on would not do. A node lends its fiber to the first child that is learnt,
 * and gets another, run along the same history, when its code is next needed.
 */
export interface Node extends Way {
  readonly forkedBy: Node | undefined
  readonly parent: Node | undefined
  run: FiberRun | undefined
  /** The fiber that came here last with another past, until it is compared: see `alone.ts`. */
  newcomer: FiberRun | undefined
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
  readonly next: Map<Answer, Node>
  /** The answers behind which it passes a checkpoint or the head of a loop. */
  heads: Set<Answer> | undefined
  /** The fiber that the operation forks, as it is at first. */
  child: Node | undefined
  /** Whether the guard holds; `undefined` where there is none. */
  readonly guard: ReadTree<boolean> | undefined
  /** By option, what performing the operation comes to. */
  readonly outcomes: ReadonlyArray<ReadTree<Outcome>>
  /** How often the operation was performed, where that counts: see `Present.counting`. */
  taken: number
}

/** The node of a fiber whose last step failed: it has no way on. */
export const failed = (node: Node): Node => ({
  ...node,
  operation: undefined,
  options: 0,
  guard: undefined,
  monitors: [],
  ...digestText(`failed after ${node.low} ${node.high}`),
})

export const hasFailed = ({ operation, ended, violation }: Node): boolean =>
  operation === undefined && !ended && violation === undefined

/** What is wrong with a fiber whose operation does not do the same for the same contents. */
export const changeable = ({ fiber, operation }: Node): NotDeterministic =>
  new NotDeterministic(
    fiber.name,
    `${operation === undefined ? "its end" : labelOf(operation)} does not always do the same`,
  )

/**
 * Compares where a fiber stands with the node of its history, as far as labels tell.
 *
 * @throws NotDeterministic when they differ
 */
export const expectSame = (run: FiberRun, node: Node): void => {
  const operation = run.standing.kind === "parked" ? run.standing.operation : undefined
  if (isAlike(node.operation, operation)) return
  const first = reached(node.operation)
  const then = reached(operation)
  if (first !== then) throw new NotDeterministic(run.name, `it reached ${first} once and ${then} another time`)
}

/** Whether two steps have one label, where that is seen without writing it. */
const isAlike = (a: Operation | undefined, b: Operation | undefined): boolean =>
  a?.kind === "step" &&
  b?.kind === "step" &&
  a.name === b.name &&
  a.args.length === b.args.length &&
  a.args.every((arg, position) => arg === b.args[position])

const reached = (operation: Operation | undefined): string => {
  if (operation === undefined) return "its end"
  const label = labelOf(operation)
  return operation.kind === "choice" ? `${label}, a choice of ${show(operation.options)}` : label
}
