/**
 * What exploring a correct program at one bound shows of its steps: which there are, what they return, read and change,
 * which follows which, and what waits for what. Mutants are made from this, and some are proved equivalent by it.
 *
 * All of it holds for every state that was visited: the engine tells of each step once at least for every combination of
 * contents that it reads. A cell that is written unread counts as changed, since what it held before is not told.
 */

import type { Node, Outcome } from "../engine/node.ts"
import type { Observer } from "../engine/operations.ts"
import { labelOf, type Operation } from "../program/operation.ts"
import type { StoredCell } from "../program/store.ts"

/** Names without their numbers: what is said of `gpu0` and of page 1 is said of every GPU and every page. */
export const generic = (name: string): string => name.replace(/\d+/g, "#")

/** What stands among the followers of a step where a fiber ends behind it, or comes to a checkpoint. */
export const end = "\0end"
export const checkpoint = "\0checkpoint"

/** The cells that a step touches in one fiber. */
export interface Footprint {
  readonly reads: Set<string>
  readonly changes: Set<string>
}

/** What is known of the steps of one name, or of one label of the fibers of one generic name. */
export interface StepFacts {
  readonly name: string
  /** By fiber. */
  readonly footprints: Map<string, Footprint>
  /** The cells that its guard reads, in any fiber. */
  readonly awaits: Set<string>
  /** Whether nothing but `undefined` was ever returned. */
  returnsNothing: boolean
  isGuarded: boolean
  /** Whether its guard was ever false. */
  hasWaited: boolean
  /** Whether it says what it waits for, as locks do. */
  saysWhatFor: boolean
}

/** Who touches a cell: fibers by name. */
export interface CellFacts {
  readonly readers: Set<string>
  readonly changers: Set<string>
  /** The fibers that were seen to wait for it: their guard read it and was false. */
  readonly waiters: Set<string>
  /** The names of the steps that read or change it, and their keys in `Facts.labels`. */
  readonly steps: Set<string>
  readonly labels: Set<string>
}

/** See above. */
export class Facts implements Observer {
  /** By name. */
  readonly steps = new Map<string, StepFacts>()
  /** By `labelKey`. */
  readonly labels = new Map<string, StepFacts>()
  /** By generic fiber, by name of a step, the names of the steps that come next. */
  readonly followers = new Map<string, Map<string, Set<string>>>()
  readonly cells = new Map<string, CellFacts>()
  /** Whether every state was visited. */
  isComplete = false
  /** The cells that monitors write, in any program: notes for the properties, which are no part of a step. */
  readonly notes = new Set<string>()
  /** The cells that properties read. */
  observed: ReadonlySet<string> = new Set()
  /** Whether some fiber is interrupted: between two steps it may be, and then takes the first one only. */
  hasInterrupts = false
  states = 0
  private readonly nodes = new Set<Node>()

  outcome(node: Node, reads: ReadonlyArray<StoredCell>, { result, cells, entries }: Outcome): void {
    const { operation, fiber } = node
    if (operation?.kind !== "step") return
    this.nodes.add(node)
    const changed = cells.filter((cell, position) => !reads.includes(cell) || cell.entry !== entries[position])
    for (const facts of this.of(node)) {
      if (result !== undefined) facts.returnsNothing = false
      const { reads: read, changes } = footprintOf(facts, fiber.name)
      for (const { name } of reads) read.add(name)
      for (const { name } of changed) changes.add(name)
    }
    for (const { name } of reads) this.touch(name, fiber.name, operation).readers.add(fiber.name)
    for (const { name } of changed) this.touch(name, fiber.name, operation).changers.add(fiber.name)
  }

  guard(node: Node, reads: ReadonlyArray<StoredCell>, holds: boolean): void {
    const { operation, fiber } = node
    if (operation === undefined) return
    for (const facts of this.of(node)) {
      if (!holds) facts.hasWaited = true
      const footprint = footprintOf(facts, fiber.name)
      for (const { name } of reads) {
        footprint.reads.add(name)
        facts.awaits.add(name)
      }
    }
    for (const { name } of reads) {
      const cell = this.touch(name, fiber.name, operation)
      cell.readers.add(fiber.name)
      if (!holds) cell.waiters.add(fiber.name)
    }
  }

  /** Notes what comes behind each step, once a program is explored, and keeps nothing of it but what is known. */
  conclude(): void {
    for (const node of this.nodes) {
      const { operation, fiber } = node
      if (operation === undefined) continue
      const followers = this.followersOf(generic(fiber.name), operation.name)
      for (const [answer, next] of node.next) {
        if (node.heads?.has(answer) === true) followers.add(checkpoint)
        else if (next.operation?.kind === "step") followers.add(next.operation.name)
        else if (next.ended) followers.add(end)
      }
    }
    this.nodes.clear()
  }

  private followersOf(fiber: string, step: string): Set<string> {
    const ofFiber = this.followers.get(fiber) ?? new Map<string, Set<string>>()
    this.followers.set(fiber, ofFiber)
    const followers = ofFiber.get(step) ?? new Set()
    ofFiber.set(step, followers)
    return followers
  }

  /** Whether a fiber alone touches what a step touches in it, and no property sees what it changes there. */
  isLocal({ footprints, hasWaited }: StepFacts): boolean {
    if (hasWaited) return false
    const alone = (fibers: ReadonlySet<string> | undefined, fiber: string) =>
      fibers === undefined || fibers.size === 0 || (fibers.size === 1 && fibers.has(fiber))
    return [...footprints].every(
      ([fiber, { reads, changes }]) =>
        [...reads, ...changes].every((cell) => alone(this.cells.get(cell)?.changers, fiber)) &&
        [...changes].every((cell) => alone(this.cells.get(cell)?.readers, fiber) && !this.observed.has(cell)),
    )
  }

  /** Whether what a step reads in a fiber is changed by that fiber alone. */
  readsItsOwn({ footprints }: StepFacts): boolean {
    return [...footprints].every(([fiber, { reads }]) =>
      [...reads].every((cell) => [...(this.cells.get(cell)?.changers ?? [])].every((changer) => changer === fiber)),
    )
  }

  private of(node: Node): ReadonlyArray<StepFacts> {
    const { operation, fiber } = node
    if (operation?.kind !== "step") return []
    const { name, guard, wait } = operation
    const isGuarded = guard !== undefined
    return [[this.steps, name] as const, [this.labels, labelKey(fiber.name, labelOf(operation))] as const].map(
      ([map, key]) => {
        let facts = map.get(key)
        if (facts === undefined) {
          const learnt = { footprints: new Map(), awaits: new Set<string>(), returnsNothing: true }
          facts = { name, ...learnt, isGuarded, hasWaited: false, saysWhatFor: false }
          map.set(key, facts)
        }
        facts.isGuarded ||= isGuarded
        facts.saysWhatFor ||= wait !== undefined
        return facts
      },
    )
  }

  private touch(name: string, fiber: string, operation: Operation): CellFacts {
    let cell = this.cells.get(name)
    if (cell === undefined) {
      cell = { readers: new Set(), changers: new Set(), waiters: new Set(), steps: new Set(), labels: new Set() }
      this.cells.set(name, cell)
    }
    cell.steps.add(operation.name)
    cell.labels.add(labelKey(fiber, labelOf(operation)))
    return cell
  }
}

const footprintOf = ({ footprints }: StepFacts, fiber: string): Footprint => {
  let footprint = footprints.get(fiber)
  if (footprint === undefined) {
    footprint = { reads: new Set(), changes: new Set() }
    footprints.set(fiber, footprint)
  }
  return footprint
}

/** The key of a step of fibers: both without numbers. */
export const labelKey = (fiber: string, label: string): string => `${generic(label)} by ${generic(fiber)}`

/** All cells that a step was seen to change, in any fiber. */
export const changesOf = ({ footprints }: StepFacts): ReadonlySet<string> =>
  new Set([...footprints.values()].flatMap(({ changes }) => [...changes]))

/** All cells that a step was seen to read, in any fiber. */
export const readsOf = ({ footprints }: StepFacts): ReadonlySet<string> =>
  new Set([...footprints.values()].flatMap(({ reads }) => [...reads]))

/** Of cells that a step touches, those that are no notes of monitors. */
export const ownOf = ({ notes }: Facts, cells: ReadonlySet<string>): ReadonlyArray<string> =>
  [...cells].filter((cell) => !notes.has(cell))
