/**
 * Lassos as plain re-execution sees them. A lasso is a run of infinite length that can be written down: a prefix, and a
 * cycle of steps that leads from the state behind the prefix to that same state, so that it can be repeated for ever.
 */
import type { PlainExecution } from "../engine/plainExecution.ts"
import { fiberOf, unended } from "../engine/system.ts"
import { labelOf } from "../program/operation.ts"
import { type Promises, unkept } from "../property/promises.ts"
import type { Violation } from "../property/violation.ts"

/**
 * Goes once round a cycle with a plain re-execution, and judges the run that repeats it for ever. Such a run breaks a
 * promise if the promise is pending where the cycle begins and is not kept in it, the cycle closes, and the run is
 * weakly fair: every fiber takes a step in the cycle, or cannot go on in some state of it.
 */
export class Lasso {
  private readonly execution: PlainExecution
  private readonly promises: Promises
  /** How many steps lead to the cycle, and how many it has so far. */
  private readonly prefix: number
  private length = 0
  /** Halves of the fingerprint of the state where the cycle begins. */
  private readonly low: number
  private readonly high: number
  /** For each promise, whether it is pending in every state of the cycle. */
  private pending: ReadonlyArray<boolean>
  /** The fibers, by name, that can go on in every state of the cycle, in one at least, and those that take a step. */
  private always: ReadonlySet<string>
  private readonly sometimes = new Set<string>()
  private readonly moved = new Set<string>()

  /** At the state where the cycle begins, behind `prefix` steps. */
  constructor(execution: PlainExecution, promises: Promises, prefix: number) {
    this.execution = execution
    this.promises = promises
    this.prefix = prefix
    this.low = execution.low
    this.high = execution.high
    this.pending = promises.pending
    this.always = this.enabled()
  }

  /** Looks at the state that a step of the cycle led to. */
  step(fiber: string): void {
    this.length++
    this.moved.add(fiber)
    const enabled = this.enabled()
    this.always = new Set([...this.always].filter((fiber) => enabled.has(fiber)))
    this.pending = this.pending.map((pending, position) => pending && this.promises.pending[position] === true)
  }

  /** At the end of the cycle: why it is no cycle, or no fair one; nothing where it is. */
  get fault(): string | undefined {
    const { execution, length, prefix, low, high } = this
    if (length === 0 || execution.low !== low || execution.high !== high) {
      return `the state after step ${prefix + length} is not the one before step ${prefix + 1}: the cycle does not close`
    }
    const [starved] = [...this.always].filter((fiber) => !this.moved.has(fiber))
    if (starved === undefined) return undefined
    return `${starved} could go on all the time in the cycle and takes no step: the run is not weakly fair`
  }

  /** At the end of the cycle: the promises that repeating it for ever breaks. */
  violations(): ReadonlyArray<Violation> {
    if (this.fault !== undefined) return []
    const why = this.describe()
    return this.promises.all.filter((_, position) => this.pending[position]).map((promise) => unkept(promise, why))
  }

  private enabled(): ReadonlySet<string> {
    const { fibers } = this.execution
    const enabled = new Set(this.execution.moves().flatMap((move) => fibers[fiberOf(move)]?.name ?? []))
    for (const fiber of enabled) this.sometimes.add(fiber)
    return enabled
  }

  /** Who goes round, and who waits meanwhile. */
  private describe(): string {
    const { execution, length, prefix } = this
    const moving = execution.fibers.flatMap(({ name }) => (this.moved.has(name) ? [name] : []))
    const which = length === 1 ? "this step of" : `these ${length} steps of`
    const waits = unended(execution).flatMap(({ name, operation }) => {
      if (this.moved.has(name)) return []
      const seldom = this.sometimes.has(name) ? ", which it could take in some of these states, but not in all" : ""
      return [`${name} waits in ${labelOf(operation)}${seldom}`]
    })
    return [
      `from step ${prefix + 1} on ${which} ${listed(moving)} repeat${length === 1 ? "s" : ""} for ever`,
      ...waits,
    ].join("; ")
  }
}

/** `a`, `a and b`, `a, b and c` */
const listed = (names: ReadonlyArray<string>): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`
