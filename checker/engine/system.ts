/**
 * A program being executed one step at a time. There are two of these: plain re-execution (`execution.ts`), which
 * defines what a program means, and the memoised engine (`memoised.ts`), which can also go back.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import { intern, type Plain } from "../program/plain.ts"
import { type Actor, runtime } from "../program/runtime.ts"
import { Access, type StoredCell } from "../program/store.ts"
import type { Fibers, Waiting } from "../property/property.ts"
import type { PropertyTracker } from "../property/tracker.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { Instance } from "../scenario/program.ts"
import type { Monitor } from "../scenario/scenario.ts"
import { violationOf } from "./fault.ts"
import type { FiberRun } from "./fiberRun.ts"

/** One way to go on: a fiber's position, and which option of its choice (0 for steps). */
export type Move = number
export const moveOf = (fiber: number, option: number): Move => option * 0x10000 + fiber
export const fiberOf = (move: Move): number => move % 0x10000
export const optionOf = (move: Move): number => Math.floor(move / 0x10000)

export interface System {
  readonly instance: Instance
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
  /** The real fiber that is parked there. */
  actor(fiber: number): Actor | undefined
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

/** The monitors that watch steps of a name. */
export const monitorsOf = (instance: Instance, name: string): ReadonlyArray<Monitor[string]> =>
  instance.monitors.flatMap((monitor) => (Object.hasOwn(monitor, name) ? (monitor[name] ?? []) : []))

/** Whether the operation can be performed now. A guard that throws or breaks a rule lets its step through, to fail there. */
export const isEnabled = (instance: Instance, run: FiberRun, operation: Operation): boolean => {
  if (operation.kind === "choice" || operation.guard === undefined) return true
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

/** Performs an enabled operation on the cells and returns its result, or what went wrong; it has then written nothing. */
export const perform = (
  instance: Instance,
  run: FiberRun,
  operation: Operation,
  option: number,
  monitors: ReadonlyArray<Monitor[string]>,
): Plain | StepFailed => {
  const { store } = instance
  const { mark } = store
  let thrown: unknown
  run.blamed = undefined
  runtime.actor = run
  store.access = Access.write
  try {
    const result = operation.kind === "choice" ? operation.options[option] : runBody(instance, operation)
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

const runBody = (instance: Instance, operation: Operation & { kind: "step" }): Plain => {
  if (operation.guard !== undefined && !instance.store.reading(operation.guard)) {
    throw new Error("its guard held and then did not: a guard must be a pure read of cells")
  }
  return intern(operation.body())
}

const where = (run: FiberRun, operation: Operation) => `fiber ${run.name}, in ${labelOf(operation)}`

/** The fibers that wait, in a state without moves. */
export const waitingIn = (system: System): ReadonlyArray<Waiting> =>
  system.instance.fibers.flatMap(({ name }, fiber) => {
    const operation = system.operation(fiber)
    return operation === undefined ? [] : [{ fiber: name, step: operation.name, args: operation.args }]
  })

/** What promises may ask of the fibers, at any moment. */
export const fibersOf = (system: System): Fibers => ({
  ended: (name) => {
    const { fibers } = system.instance
    const fiber = fibers.findIndex((other) => other.name === name)
    if (fiber < 0)
      throw new Error(`there is no fiber ${name}; there are ${fibers.map((other) => other.name).join(", ")}`)
    return system.hasEnded(fiber)
  },
})

/** The cells that a fiber's guard reads in the present state. */
export const guardReads = (system: System, fiber: number): ReadonlyArray<StoredCell> => {
  const operation = system.operation(fiber)
  if (operation?.kind !== "step" || operation.guard === undefined) return []
  const { store } = system.instance
  const cells = new Set<StoredCell>()
  store.recorder = (cell) => cells.add(cell)
  runtime.actor = system.actor(fiber)
  try {
    store.reading(operation.guard)
  } finally {
    store.recorder = undefined
    runtime.actor = undefined
  }
  return [...cells]
}
