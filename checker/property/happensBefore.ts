/**
 * Data races of single executions, by vector clocks: Mattern's clocks, kept per fiber and per cell as in Djit+ (Pozniansky
 * and Schuster, PPoPP 2003), so that a race is found however far apart its steps are. What races, and what orders, is
 * said in `upcoming.ts`; over all executions the two find races in the same programs.
 *
 * A strategy that takes one execution after another follows it with this. One that matches states does without: of the
 * ways to a state it knows one alone.
 */
import { Intents } from "../engine/intents.ts"
import { fiberOf, type Move, type Others, type System } from "../engine/system.ts"
import { labelOf } from "../program/operation.ts"
import type { CellAccess, StoredCell } from "../program/store.ts"
import type { Violation } from "./violation.ts"

/** By the number of a fiber: how many of its steps come before. */
type Clock = ReadonlyArray<number>

/** A step that accessed a data cell. */
interface Epoch {
  readonly thread: number
  readonly time: number
  readonly fiber: string
  readonly label: string
}

/** What is known of a cell that orders: the clocks of those that wrote it, and of those that read it. */
interface Released {
  readonly writes: Clock
  readonly reads: Clock
}

/** What is known of a data cell: of each fiber the last step that wrote it, and the last that read it. */
interface Accessed {
  readonly writes: ReadonlyArray<Epoch>
  readonly reads: ReadonlyArray<Epoch>
}

const none: ReadonlyArray<Violation> = []

/** Follows the data races of one execution. */
export class HappensBefore {
  private readonly system: System & Others
  private readonly intents: Intents
  private readonly property: string | undefined
  /** Numbers for the names of fibers. */
  private readonly threads = new Map<string, number>()
  /** What is known. Values do not change once their step is done. */
  private readonly clocks = new Map<number, Clock>()
  private readonly released = new Map<StoredCell, Released>()
  private readonly accessed = new Map<StoredCell, Accessed>()
  /** What puts back what steps have changed, newest last; and for each step, how long this was before. */
  private readonly log: Array<() => void> = []
  private readonly marks: Array<number> = []

  constructor(system: System & Others) {
    this.system = system
    this.intents = new Intents(system)
    this.property = system.instance.properties.find(({ kind }) => kind === "dataRaces")?.id
  }

  /** Takes back all steps: an execution begins. */
  begin(): void {
    while (this.marks.length > 0) this.undo()
  }

  /** Takes back the last step. */
  undo(): void {
    const mark = this.marks.pop() ?? 0
    while (this.log.length > mark) this.log.pop()?.()
  }

  private put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
    const before = map.get(key)
    this.log.push(() => (before === undefined ? map.delete(key) : map.set(key, before)))
    map.set(key, value)
  }

  /** Looks at a possible move, before it is made. Returns the races of its step with those before it. */
  step(move: Move): ReadonlyArray<Violation> {
    const { property, system } = this
    if (property === undefined) return none
    const fiber = fiberOf(move)
    const operation = system.operation(fiber)
    const name = system.fibers[fiber]?.name
    if (operation === undefined || name === undefined) throw new Error(`move ${move} is not possible`)
    this.marks.push(this.log.length)
    const thread = this.thread(name)
    const clock = [...(this.clocks.get(thread) ?? [])]
    clock[thread] = (clock[thread] ?? 0) + 1
    this.put(this.clocks, thread, clock)
    if (operation.kind === "step") {
      const epoch = { thread, time: clock[thread], fiber: name, label: labelOf(operation) }
      const accesses = this.intents.of(fiber)?.accesses ?? []
      const races = accesses.flatMap((access) => this.access(property, clock, epoch, access))
      for (const access of accesses) if (!access.cell.isData) this.release(clock, access)
      return races
    }
    if (operation.kind === "choice") return none
    // What another fiber did comes before its end, and before an interruption, which finds it where that led it. One that
    // is forked takes the place of one of its name that has ended.
    const other = this.thread(operation.args[0])
    join(clock, this.clocks.get(other))
    if (operation.kind !== "join") {
      const begun = [...(this.clocks.get(other) ?? [])]
      join(begun, clock)
      this.put(this.clocks, other, begun)
    }
    return none
  }

  private thread(name: string): number {
    const thread = this.threads.get(name) ?? this.threads.size
    this.threads.set(name, thread)
    return thread
  }

  /** Orders a step behind what is before an access, or finds what that races with. */
  private access(property: string, clock: Array<number>, epoch: Epoch, { cell, writes }: CellAccess) {
    if (!cell.isData) {
      const released = this.released.get(cell)
      join(clock, released?.writes)
      if (writes) join(clock, released?.reads)
      return none
    }
    const before = this.accessed.get(cell) ?? { writes: [], reads: [] }
    const isUnordered = ({ thread, time }: Epoch) => thread !== epoch.thread && (clock[thread] ?? 0) < time
    const raced = before.writes.filter(isUnordered).map((other) => ({ other, wrote: true }))
    if (writes) raced.push(...before.reads.filter(isUnordered).map((other) => ({ other, wrote: false })))
    const others = before[writes ? "writes" : "reads"].filter(({ thread }) => thread !== epoch.thread)
    this.put(this.accessed, cell, { ...before, [writes ? "writes" : "reads"]: [...others, epoch] })
    return raced.map(({ other, wrote }) => ({
      property,
      message: `${cell.name} is data, and nothing orders two accesses: ${other.fiber} in ${other.label} ${wrote ? "wrote" : "read"} it, ${epoch.fiber} in ${epoch.label} ${writes ? "writes" : "reads"} it`,
    }))
  }

  /** Makes a step's clock known to those who access the cell later. */
  private release(clock: Clock, { cell, writes }: CellAccess): void {
    const before = this.released.get(cell)
    const joined = [...((writes ? before?.writes : before?.reads) ?? [])]
    join(joined, clock)
    const empty = before ?? { writes: [], reads: [] }
    this.put(this.released, cell, { ...empty, [writes ? "writes" : "reads"]: joined })
  }
}

/** Takes in what another clock knows. */
const join = (clock: Array<number>, other: Clock | undefined): void => {
  for (const [thread, time] of (other ?? []).entries()) clock[thread] = Math.max(clock[thread] ?? 0, time ?? 0)
}
