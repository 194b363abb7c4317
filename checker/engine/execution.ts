/**
 * Plain re-execution: the definition of what a program means. A fresh instance, real fibers, one step after the other,
 * and no way back but to start again. Whatever the memoised engine reports is confirmed here.
 */
import type { Operation } from "../program/operation.ts"
import { digestText, type Plain } from "../program/plain.ts"
import type { Actor } from "../program/runtime.ts"
import type { StoredCell } from "../program/store.ts"
import { describeDeadlock, type LastWrite } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import type { Violation } from "../property/violation.ts"
import type { Instance, Program } from "../scenario/program.ts"
import { FiberRun } from "./fiberRun.ts"
import {
  fiberOf,
  isEnabled,
  type Move,
  monitorsOf,
  moveOf,
  optionOf,
  perform,
  StepFailed,
  type System,
  waitingIn,
} from "./system.ts"

export class Execution implements System {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  private readonly runs: ReadonlyArray<FiberRun>
  private readonly lastWrites = new Map<StoredCell, LastWrite>()
  /** What the last step returned. */
  lastResult: Plain = undefined
  /** Fibers whose last step failed: they have no way on. */
  private readonly failed = new Set<number>()
  /** Whether histories that end are told apart: see `FiberRun.history`. */
  private readonly keepEnds: boolean

  constructor(program: Program, options: { readonly keepEnds?: boolean } = {}) {
    this.instance = program.start()
    this.keepEnds = options.keepEnds ?? false
    this.runs = this.instance.fibers.map((fiber) => new FiberRun(fiber))
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties)
  }

  begin(): ReadonlyArray<Violation> {
    const broken = this.runs.flatMap(({ standing }) => (standing.kind === "broken" ? [standing.violation] : []))
    return [...broken, ...this.tracker.begin()]
  }

  moves(): ReadonlyArray<Move> {
    const moves: Array<Move> = []
    this.runs.forEach((run, fiber) => {
      const operation = this.operation(fiber)
      if (operation === undefined || !isEnabled(this.instance, run, operation)) return
      const options = operation.kind === "choice" ? operation.options.length : 1
      for (let option = 0; option < options; option++) moves.push(moveOf(fiber, option))
    })
    return moves
  }

  take(move: Move): ReadonlyArray<Violation> {
    return [...this.follow(move), ...this.tracker.checkAll()]
  }

  /** As `take`, for a step that was judged before: no property is evaluated until `begin`. */
  follow(move: Move): ReadonlyArray<Violation> {
    const fiber = fiberOf(move)
    const run = this.runs[fiber]
    const operation = this.operation(fiber)
    if (run === undefined || operation === undefined) throw new Error(`fiber ${fiber} has no operation to perform`)
    const { store } = this.instance
    store.forget()
    const result = perform(this.instance, run, operation, optionOf(move), monitorsOf(this.instance, operation.name))
    store.forEachWritten(0, (cell) => this.lastWrites.set(cell, { fiber: run.name, operation }))
    if (result instanceof StepFailed) {
      this.lastResult = undefined
      this.failed.add(fiber)
      return [result.violation]
    }
    this.lastResult = result
    run.answer(result)
    return run.standing.kind === "broken" ? [run.standing.violation] : []
  }

  operation(fiber: number): Operation | undefined {
    const standing = this.runs[fiber]?.standing
    return standing?.kind === "parked" && !this.failed.has(fiber) ? standing.operation : undefined
  }

  hasEnded(fiber: number): boolean {
    return this.runs[fiber]?.standing.kind === "ended"
  }

  actor(fiber: number): Actor | undefined {
    return this.runs[fiber]
  }

  get rest(): "ended" | "stuck" | "broken" {
    if (this.failed.size > 0 || this.runs.some(({ standing }) => standing.kind === "broken")) return "broken"
    return this.runs.every(({ standing }) => standing.kind === "ended") ? "ended" : "stuck"
  }

  deadlock(): string {
    return describeDeadlock(this, this.lastWrites)
  }

  end(): ReadonlyArray<Violation> {
    if (this.rest === "broken") return []
    return this.tracker.end(waitingIn(this), () => this.deadlock())
  }

  get low(): number {
    return this.runs.reduce((low, run) => low ^ digestText(run.history(this.keepEnds)).low, this.instance.store.low)
  }

  get high(): number {
    return this.runs.reduce((high, run) => high ^ digestText(run.history(this.keepEnds)).high, this.instance.store.high)
  }
}
