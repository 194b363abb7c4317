/**
 * A program being executed one step at a time. There are two of these: plain re-execution (`execution.ts`), which
 * defines what a program means, and the memoised engine (`memoised.ts`), which can also go back.
 */
import { labelOf, type Operation, optionsOf } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { breakRule, runtime } from "../program/runtime.ts"
import type { Hindrance } from "../program/section.ts"
import { Access, type StoredCell } from "../program/store.ts"
import type { Fibers, Waiting } from "../property/property.ts"
import type { PropertyTracker } from "../property/tracker.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { Instance, NamedFiber } from "../scenario/program.ts"
import type { Monitor, Taken } from "../scenario/scenario.ts"
import { violationOf } from "./fault.ts"
import type { FiberRun } from "./fiberRun.ts"

/**
 * One way to go on: a fiber's position, and which option of its choice (0 for steps). A fiber that is forked comes behind
 * the others, or takes the place of one of its name that has ended: so a move means the same along the same moves.
 */
export type Move = number
export const moveOf = (fiber: number, option: number): Move => option * 0x10000 + fiber
export const fiberOf = (move: Move): number => move % 0x10000
export const optionOf = (move: Move): number => Math.floor(move / 0x10000)

export interface System {
  readonly instance: Instance
  /** The fibers that there are, by position: those of the start, then those that were forked. */
  readonly fibers: ReadonlyArray<NamedFiber>
  /** How many there are. */
  readonly width: number
  readonly tracker: PropertyTracker
  /** The violations of the present state as the first of a path: of fibers that are broken before their first step too. */
  begin(): ReadonlyArray<Violation>
  /** The moves that are possible now: fibers in their order, then options in theirs. */
  moves(): ReadonlyArray<Move>
  /** Makes a possible move. The violations are the step's, the state's it leads to, or its fiber's on the way. */
  take(move: Move): ReadonlyArray<Violation>
  /** The operation that a fiber is parked at; `undefined` when it has ended or broken down. */
  operation(fiber: number): Operation | undefined
  /** Whether a fiber has come to its end. */
  hasEnded(fiber: number): boolean
  /**
   * Stands for where a fiber is: what its operation does there is a function of cells. `undefined` where nothing is
   * remembered of it.
   */
  place(fiber: number): object | undefined
  /** The real fiber that is parked there. */
  actor(fiber: number): FiberRun | undefined
  /** What a state without moves is: all fibers ended, some wait for ever, or some broke down on the way. */
  readonly rest: "ended" | "stuck" | "broken"
  /** Who waits for what, in a state without moves. */
  deadlock(): string
  /** The violations of a state without moves. */
  end(): ReadonlyArray<Violation>
  /** Halves of the fingerprint of the state: cells, and where each fiber stands. */
  readonly low: number
  readonly high: number
}

/** What watches an operation: the monitors of its name and, where it takes locks, what is kept of these. */
export const monitorsOf = (instance: Instance, operation: Operation): ReadonlyArray<Monitor[string]> => {
  const { name } = operation
  const monitors = instance.monitors.flatMap((monitor) => (Object.hasOwn(monitor, name) ? (monitor[name] ?? []) : []))
  const takes = operation.kind === "step" ? operation.wait?.takes : undefined
  const { lockCells, lockGraph, store } = instance
  if (takes === undefined || (lockGraph === undefined && lockCells.size === 0)) return monitors
  const watch = ({ fiber }: Taken) => {
    lockGraph?.note(fiber, takes())
    for (const { lock, shared } of lockCells.size === 0 ? [] : takes()) {
      const cell = lockCells.get(lock)
      if (cell !== undefined) shared ? store.read(cell) : store.write(cell, cell.entry.content)
    }
  }
  return [...monitors, watch]
}

/** The moves of a fiber that can perform its operation. */
export const pushMoves = (moves: Array<Move>, fiber: number, operation: Operation): void => {
  for (let option = 0; option < optionsOf(operation); option++) moves.push(moveOf(fiber, option))
}

/** Whether the guard of an operation, if it has one, holds. One that throws or breaks a rule does, to fail in its step. */
export const guardHolds = (instance: Instance, run: FiberRun, operation: Operation): boolean => {
  if (operation.kind !== "step" || operation.guard === undefined) return true
  const { store } = instance
  run.blamed = undefined
  runtime.actor = run
  store.access = Access.read
  try {
    const holds = operation.guard()
    return holds || run.blamed !== undefined
  } catch {
    return true
  } finally {
    store.access = Access.none
    runtime.actor = undefined
  }
}

/** The step could not be completed. */
export class StepFailed {
  readonly violation: Violation
  constructor(violation: Violation) {
    this.violation = violation
  }
}

/** What an operation asks of the other fibers. */
export interface Others {
  /** What a fiber ended with; of one that has not, nothing is asked. */
  valueOf(fiber: string): Plain
  /** Whether a fiber of that name has not ended. */
  isRunning(fiber: string): boolean
}

/**
 * Performs an enabled operation on the cells and returns its result, or what went wrong; it has then written nothing.
 * What it does to other fibers is the caller's part.
 */
export const perform = (
  instance: Instance,
  run: FiberRun,
  operation: Operation,
  option: number,
  monitors: ReadonlyArray<Monitor[string]>,
  others: Others,
): Plain | StepFailed => {
  const { store } = instance
  const { mark } = store
  let thrown: unknown
  run.blamed = undefined
  runtime.actor = run
  store.access = Access.write
  try {
    const result = resultOf(instance, operation, option, others)
    for (const monitor of monitors) monitor({ fiber: run.name, args: operation.args, result })
    if (run.blamed === undefined) return result
  } catch (error) {
    thrown = error
  } finally {
    store.access = Access.none
    runtime.actor = undefined
  }
  store.rollback(mark)
  const place = where(run, operation)
  if (run.blamed === undefined) return new StepFailed(violationOf(thrown, place))
  return new StepFailed({ property: builtIn.rules, message: `${place}: ${run.blamed}` })
}

const resultOf = (instance: Instance, operation: Operation, option: number, others: Others): Plain => {
  switch (operation.kind) {
    case "step":
      if (operation.guard !== undefined && !instance.store.reading(operation.guard)) {
        throw new Error("its guard held and then did not: a guard must be a pure read of cells")
      }
      return intern(operation.body())
    case "choice":
      return operation.options[option]
    case "fork": {
      const [fiber] = operation.args
      if (others.isRunning(fiber)) breakRule(`there is a fiber ${fiber} already, and it has not ended`)
      return intern({ fiber })
    }
    case "join":
      return others.valueOf(operation.args[0])
    case "interrupt":
      return undefined
  }
}

const where = (run: FiberRun, operation: Operation) => `fiber ${run.name}, in ${labelOf(operation)}`

/** A fiber that has not ended, by name and position, and the operation it is at. */
export interface Standing {
  readonly name: string
  readonly fiber: number
  readonly operation: Operation
}

/** The fibers that have not ended: those of the start in their order, then those that were forked, by name. */
export const unended = (system: System): ReadonlyArray<Standing> => {
  const standing = system.fibers.flatMap(({ name }, fiber) => {
    const operation = system.operation(fiber)
    return operation === undefined ? [] : [{ name, fiber, operation }]
  })
  const first = system.instance.fibers.length
  const forked = standing.filter(({ fiber }) => fiber >= first).sort((a, b) => (a.name < b.name ? -1 : 1))
  return [...standing.filter(({ fiber }) => fiber < first), ...forked]
}

/** The fibers that wait, in a state without moves. */
export const waitingIn = (system: System): ReadonlyArray<Waiting> =>
  unended(system).map(({ name, operation }) => ({ fiber: name, step: operation.name, args: operation.args }))

/** What promises may ask of the fibers, at any moment. */
export const fibersOf = (system: System): Fibers => ({
  ended: (name) => system.hasEnded(system.fibers.findIndex((fiber) => fiber.name === name)),
})

/** The step that a fiber is parked at: of the fiber that is there now, as another one's may close over what that one became. */
export const parkedAt = (system: System, fiber: number) => {
  if (system.operation(fiber) === undefined) return undefined
  const run = system.actor(fiber)
  const operation = run?.standing.kind === "parked" ? run.standing.operation : undefined
  return operation?.kind === "step" ? operation : undefined
}

/** Reads cells as a fiber's guard does. */
export const readingAs = <A>(system: System, fiber: number, read: () => A): A => {
  runtime.actor = system.actor(fiber)
  try {
    return system.instance.store.reading(read)
  } finally {
    runtime.actor = undefined
  }
}

/** The cells that a fiber's guard reads in the present state. */
export const guardReads = (system: System, fiber: number): ReadonlyArray<StoredCell> => {
  const guard = parkedAt(system, fiber)?.guard
  if (guard === undefined) return []
  const { store } = system.instance
  const reads = store.record()
  try {
    readingAs(system, fiber, guard)
  } finally {
    store.stopRecording()
  }
  return reads
}

/** What a fiber says that it waits for, and who keeps it waiting in the present state. */
export const waitingFor = (
  system: System,
  fiber: number,
): { readonly on: string; readonly hindrances: ReadonlyArray<Hindrance> } | undefined => {
  const wait = parkedAt(system, fiber)?.wait
  return wait === undefined ? undefined : { on: wait.on, hindrances: readingAs(system, fiber, wait.hindrances) }
}
