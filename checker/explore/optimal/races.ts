/**
 * Which races of an execution are to be reversed: steps that depend on each other, and could come in the other order.
 *
 * Executions are looked at one after the other, and share their beginnings: what was looked at stays looked at, but where
 * it depends on what comes after.
 */
import { conflict, type Footprints } from "../../engine/dependence.ts"
import type { Memoised } from "../../engine/memoised.ts"
import type { Node } from "../../engine/node.ts"
import { type Candidate, mayWait, type Reversals } from "./reversals.ts"
import { type Displaced, type Event, nowhere, type Trace } from "./trace.ts"

export class Races {
  private readonly engine: Memoised
  private readonly footprints: Footprints
  private readonly trace: Trace
  private readonly reversals: Reversals
  /** How many steps the present execution shares with the one before. */
  private newFrom = 0

  constructor(engine: Memoised, footprints: Footprints, trace: Trace, reversals: Reversals) {
    this.engine = engine
    this.footprints = footprints
    this.trace = trace
    this.reversals = reversals
  }

  /**
   * Looks at the races of the present execution that are not settled, and tells of what they ask to be explored.
   *
   * @param newFrom how many steps it shares with the one that was looked at before
   * @throws TooManyContexts
   */
  look(newFrom: number): void {
    const { engine, trace } = this
    this.newFrom = newFrom
    for (let at = 0; at < trace.length; at++) {
      const event = trace.at(at)
      if (event.isOpen) event.isOpen = this.reverseAll(event, at)
    }
    if (engine.rest === "ended") return
    for (const node of engine.at) {
      if (node.options > 0) this.bringForward(this.notTaken(node, 0, trace.length, this.lastOf(node)))
    }
  }

  /** Returns whether something is left that depends on what comes after. */
  private reverseAll(event: Event, at: number): boolean {
    let isOpen = event.displaced !== undefined && this.takeInTime(event.displaced, at)
    if (event.node.options > 1) isOpen = this.chooseOthers(event, at) || isOpen
    if (mayWait(event.node)) return this.bringForward(this.taken(event, at), event) || isOpen
    const { races } = event
    let left = 0
    for (let i = 0; i < races.length; i++) {
      const first = races[i] as number // within
      if (!this.isNews(first, at) || !this.reversals.of(first, this.taken(event, at), true)) races[left++] = first
    }
    races.length = left
    return left > 0 || isOpen
  }

  /** What a fiber would have done next that was interrupted. It may always be that it comes before other things. */
  private takeInTime({ node, before }: Displaced, at: number): boolean {
    for (let option = 0; option < node.options; option++) {
      this.reversals.of(at, this.notTaken(node, option, at, before), true)
      // Its guard has been asked now, perhaps for the first time: the candidate may be another.
      if (mayWait(node)) this.bringForward(this.notTaken(node, option, at, before))
    }
    return true
  }

  /** The other options of a choice. */
  private chooseOthers(event: Event, at: number): boolean {
    event.settled ??= new Set()
    for (let option = 0; option < event.node.options; option++) {
      if (option === event.option || event.settled.has(option) || !this.isNews(at, at)) continue
      const other = { ...this.taken(event, at), isTaken: false, option }
      if (this.reversals.of(at, other, false)) event.settled.add(option)
    }
    return event.settled.size < event.node.options - 1
  }

  /** An operation that may have to wait: everything that it may depend on since its fiber came to it. */
  private bringForward(candidate: Candidate, event?: Event): boolean {
    const { newFrom, trace } = this
    const { at, before, footprint, id, node } = candidate
    const guard = this.footprints.ofGuard(node)
    let isOpen = false
    for (let first = at - 1; first >= 0; first--) {
      const other = trace.at(first)
      if (other.id === id || !(conflict(other.footprint, guard) || conflict(other.footprint, footprint))) continue
      if (before !== nowhere && trace.happensBefore(first, before)) continue
      if (event?.settled?.has(first)) continue
      if (event !== undefined && at < newFrom && !this.isNews(first, at)) isOpen = true
      else if (!this.reversals.of(first, candidate, true)) isOpen = true
      else if (event !== undefined) event.settled = (event.settled ?? new Set()).add(first)
    }
    return isOpen
  }

  /** Whether something about two events has not been looked at, or may have changed since. */
  private isNews(first: number, at: number): boolean {
    return at >= this.newFrom || !this.trace.isBeforeAllFrom(first, this.newFrom)
  }

  private taken({ before, footprint, id, node, option }: Event, at: number): Candidate {
    return { id, option, node, isTaken: true, at, before, footprint }
  }

  private notTaken(node: Node, option: number, at: number, before: number): Candidate {
    const id = this.footprints.idOf(node.fiber.name)
    return { id, option, node, isTaken: false, at, before, footprint: this.footprints.ofGuard(node) }
  }

  private lastOf({ fiber }: Node): number {
    return this.trace.lastOf(this.footprints.idOf(fiber.name))
  }
}
