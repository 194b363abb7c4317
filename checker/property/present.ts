import type { Plain } from "../program/plain.ts"
import type { BoundProperty } from "./property.ts"

/**
 * What properties come to in the present state of a path, with a log to take steps back, and how often each was
 * exercised on the way. By position of the property: whether an invariant's premise is true, and what an action
 * invariant observes.
 *
 * The states in which a premise was true are counted when it becomes false: most states change few premises.
 */
export class Present {
  private readonly isInvariant: ReadonlyArray<boolean>
  private readonly values: Array<Plain>
  /** Positions and what was present there, oldest first. */
  private readonly positions: Array<number> = []
  private readonly before: Array<Plain> = []
  /** How many states were counted. */
  private counted = 0
  /** How often a property was exercised; for an invariant, before its premise was true last. */
  private readonly times: Array<number>
  /** How many states had been counted when the premise became true. */
  private readonly since: Array<number>
  /** Whether states and exercises count: not while a path is followed that was judged before. */
  counting = true

  constructor(properties: ReadonlyArray<BoundProperty>) {
    this.isInvariant = properties.map(({ kind }) => kind === "invariant")
    this.values = properties.map(() => false)
    this.times = properties.map(() => 0)
    this.since = properties.map(() => 0)
  }

  at(position: number): Plain {
    return this.values[position]
  }

  set(position: number, value: Plain): void {
    const before = this.values[position]
    if (before === value) return
    this.positions.push(position)
    this.before.push(before)
    this.put(position, value)
  }

  /** The length of the log, to `rollback` to. */
  get mark(): number {
    return this.positions.length
  }

  /** Makes present what was when the log was as long as the mark says. */
  rollback(mark: number): void {
    while (this.positions.length > mark) {
      const position = this.positions.pop() ?? 0
      this.put(position, this.before.pop())
    }
  }

  /** Begins a new log. */
  forget(): void {
    if (this.positions.length === 0) return
    this.positions.length = 0
    this.before.length = 0
  }

  /** All that is present, to `restore`. */
  snapshot(): ReadonlyArray<Plain> {
    return [...this.values]
  }

  /** Makes present what was, and begins a new log. */
  restore(snapshot: ReadonlyArray<Plain>): void {
    this.forget()
    for (let position = 0; position < snapshot.length; position++) this.put(position, snapshot[position])
  }

  /** Counts the present state where premises of invariants are true. */
  count(): void {
    if (this.counting) this.counted++
  }

  /** Counts an exercise of a property that is no invariant. */
  tally(position: number): void {
    if (this.counting) this.add(position, 1)
  }

  /** How often a property was exercised: for an invariant, in how many of the states counted its premise was true. */
  timesOf(position: number): number {
    const times = this.times[position] ?? 0
    const isTrue = this.isInvariant[position] === true && this.values[position] === true
    return isTrue ? times + this.counted - (this.since[position] ?? 0) : times
  }

  private put(position: number, value: Plain): void {
    if (this.isInvariant[position] === true && this.values[position] !== value) {
      if (value === true) this.since[position] = this.counted
      else this.add(position, this.counted - (this.since[position] ?? 0))
    }
    this.values[position] = value
  }

  private add(position: number, times: number): void {
    this.times[position] = (this.times[position] ?? 0) + times
  }
}
