import { fibersOf, type System } from "../engine/system.ts"
import type { BoundPromise, BoundProperty } from "./property.ts"
import type { Promised } from "./tracker.ts"
import type { Violation } from "./violation.ts"

/** Whether a property is a promise. */
export const isPromise = (property: BoundProperty): property is BoundPromise => property.kind === "leadsTo"

/** Whether a promise is to be kept still: from where it was made until it is kept. */
export const isPending = (before: boolean, { made, kept }: Promised): boolean => (before || made) && !kept

/** The violation of a promise. */
export const unkept = ({ id, statement }: BoundPromise, why: string): Violation => ({
  property: id,
  message: `${statement} It does not: ${why}`,
})

const none: ReadonlyArray<Violation> = []
const nothingPending: ReadonlyArray<boolean> = []

/** Follows the promises of a program along one path of states. */
export class Promises {
  /** The promises, in the order of the program. */
  readonly all: ReadonlyArray<BoundPromise>
  private readonly system: System
  private waiting: ReadonlyArray<boolean>

  /** @param pending which of them are to be kept still in the present state, if it is not the initial one */
  constructor(system: System, pending: ReadonlyArray<boolean> = []) {
    this.system = system
    this.all = system.instance.properties.filter(isPromise)
    this.waiting = pending
  }

  /** Which of the promises are to be kept still; set by whoever goes back on the path. */
  get pending(): ReadonlyArray<boolean> {
    return this.waiting
  }
  set pending(pending: ReadonlyArray<boolean>) {
    this.waiting = pending
  }

  /** Looks at the initial state, where nothing is pending from before. */
  begin(): ReadonlyArray<Violation> {
    this.waiting = nothingPending
    return this.look(true)
  }

  /** Looks at the state that a step led to. */
  step(): ReadonlyArray<Violation> {
    return this.look(false)
  }

  /** The violations of a state in which nothing can go on. */
  end(): ReadonlyArray<Violation> {
    const { system } = this
    if (this.all.length === 0 || system.rest === "broken") return []
    return this.all
      .filter((_, position) => this.waiting[position])
      .map((promise) => unkept(promise, system.rest === "ended" ? "all fibers have ended" : system.deadlock()))
  }

  private look(initial: boolean): ReadonlyArray<Violation> {
    if (this.all.length === 0) return none
    const violations: Array<Violation> = []
    const promised = this.system.tracker.promised(fibersOf(this.system), initial, violations)
    this.waiting = promised.map((each, position) => isPending(this.waiting[position] ?? false, each))
    return violations
  }
}
