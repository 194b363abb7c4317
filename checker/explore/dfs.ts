/**
 * Strategy `dfs`: every schedule, one after the other, by plain re-execution from the start. No reduction, no matching
 * of states: slow, and the yardstick for everything else.
 */
import { notTheSame } from "../engine/fault.ts"
import { execute, type PlainExecution } from "../engine/plainExecution.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import { labelOf } from "../program/operation.ts"
import { addTimes } from "../property/coverage.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { Promises } from "../property/promises.ts"
import type { Program } from "../scenario/program.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  type Search,
  type SearchOptions,
  type Strategy,
  tooLong,
} from "./strategy.ts"

/** A place on the present schedule. */
interface Branch {
  /** The moves to try there. */
  readonly moves: ReadonlyArray<Move>
  /** The position of the move that is being tried. */
  taken: number
  /** The fiber that ran last, if it could go on: a move of another one preempts it. */
  readonly running: number | undefined
  /** Preemptive switches on the way there. */
  readonly preemptions: number
  /** Which promises are to be kept still. */
  readonly pending: ReadonlyArray<boolean>
  /** What the place looked like when it was reached first: the next time it must look the same. */
  readonly look: string
}

/** The cells, and what each fiber is parked at. */
const lookOf = (execution: PlainExecution): string => {
  const { fibers } = execution
  const { store } = execution.instance
  let look = `${store.low} ${store.high}`
  for (let fiber = 0; fiber < fibers.length; fiber++) {
    const operation = execution.operation(fiber)
    look += operation === undefined ? "\n" : `\n${labelOf(operation)}`
  }
  return look
}

class DfsSearch implements Search {
  readonly statistics = emptyStatistics()
  readonly exercised: Array<{ readonly id: string; times: number }> = []
  readonly steps = new Map<string, number>()
  private readonly program: Program
  private readonly options: SearchOptions
  private readonly stack: Array<Branch> = []
  private execution: PlainExecution
  private promises: Promises
  private order: HappensBefore
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.program = program
    this.options = options
    this.execution = execute(program)
    this.promises = new Promises(this.execution)
    this.order = new HappensBefore(this.execution)
    const violation = decisive([...this.execution.begin(), ...this.promises.begin()], options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
  }

  /**
   * The leaves of the tree of schedules that are behind the present one, if each move at a branch had as many below it
   * as the others (Knuth, "Estimating the efficiency of backtrack programs", Mathematics of Computation 29, 1975, with
   * the present schedule as the probe); or the share of the executions that were asked for.
   */
  get share() {
    if (this.ending?.kind === "exhausted") return 1
    const { executions } = this.options
    let behind = 0
    let weight = 1
    for (const { moves, taken } of this.stack) {
      behind += (weight * taken) / moves.length
      weight /= moves.length
    }
    return executions === undefined ? behind : Math.max(behind, this.statistics.executions / executions)
  }

  get within() {
    const { preemptions } = this.options
    return preemptions === undefined || this.ending?.kind !== "exhausted" ? undefined : { preemptions }
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    while (this.ending === undefined && this.statistics.transitions < until) {
      this.runToEnd()
      if (this.ending === undefined) this.backtrack()
    }
    return this.ending
  }

  /** Continues the present execution to its end, always by the first move, and judges every state on the way. */
  private runToEnd(): void {
    const { execution, options, statistics } = this
    while (this.ending === undefined) {
      const branch = this.branch()
      const move = branch.moves[0]
      if (move === undefined) {
        this.finish()
        return
      }
      if (this.stack.length >= options.maxSteps) {
        this.ending = tooLong(options.maxSteps, execution, move)
        return
      }
      this.stack.push(branch)
      this.step(move)
      statistics.maxDepth = Math.max(statistics.maxDepth, this.stack.length)
    }
  }

  private step(move: Move): void {
    this.statistics.transitions++
    addTimes(this.steps, this.execution.operation(fiberOf(move))?.name, 1)
    const races = this.order.step(move)
    const violation = decisive([...this.execution.take(move), ...races, ...this.promises.step()], this.options)
    if (violation !== undefined) {
      this.statistics.executions++
      this.ending = { kind: "violated", violation, moves: this.path() }
    }
  }

  /** The present state as a place to branch, within the preemption bound. */
  private branch(): Branch {
    const { fibers } = this.execution
    for (let fiber = 0; fiber < fibers.length; fiber++) addTimes(this.steps, this.execution.operation(fiber)?.name, 0)
    const moves = this.execution.moves()
    const here = { moves, taken: 0, pending: this.promises.pending, look: lookOf(this.execution) }
    const last = this.stack.at(-1)
    const before = last?.moves[last.taken]
    if (last === undefined || before === undefined) return { ...here, running: undefined, preemptions: 0 }
    const preempted = last.running !== undefined && last.running !== fiberOf(before)
    const preemptions = last.preemptions + (preempted ? 1 : 0)
    const own = moves.filter((move) => fiberOf(move) === fiberOf(before))
    if (own.length === 0) return { ...here, running: undefined, preemptions }
    const bounded = this.options.preemptions !== undefined && preemptions >= this.options.preemptions
    return { ...here, moves: bounded ? own : moves, running: fiberOf(before), preemptions }
  }

  private finish(): void {
    const { execution, options } = this
    this.statistics.executions++
    const violation = decisive([...execution.end(), ...this.promises.end()], options)
    this.countExercised()
    const { store } = execution.instance
    if (execution.rest !== "broken") {
      options.survey?.final(store.contents(), execution.rest === "stuck")
    }
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.path() }
    else if (options.executions !== undefined && this.statistics.executions >= options.executions) {
      this.ending = { kind: "cut", reason: `${options.executions} executions were run, as asked` }
    }
  }

  private countExercised(): void {
    this.execution.tracker.exercised.forEach(({ id, times }, position) => {
      const total = this.exercised[position]
      if (total === undefined) this.exercised.push({ id, times })
      else total.times += times
    })
  }

  /** Turns to the next schedule: a fresh execution, run along the present one up to the last place with a move left. */
  private backtrack(): void {
    for (let branch = this.stack.at(-1); branch !== undefined; branch = this.stack.at(-1)) {
      if (branch.taken + 1 < branch.moves.length) break
      this.stack.pop()
    }
    const branch = this.stack.at(-1)
    if (branch === undefined) {
      this.ending = { kind: "exhausted" }
      return
    }
    branch.taken++
    this.execution = execute(this.program)
    this.order = new HappensBefore(this.execution)
    for (const [depth, { moves, taken, look }] of this.stack.entries()) {
      if (lookOf(this.execution) !== look) {
        this.ending = { kind: "unsound", message: notTheSame(depth + 1).message }
        return
      }
      const move = moves[taken]
      if (move === undefined) throw new Error("a branch is left with no move to try")
      if (depth === this.stack.length - 1) {
        this.beginAgain(branch.pending)
        this.step(move)
      } else {
        this.statistics.transitions++
        this.order.step(move)
        this.execution.follow(move)
      }
    }
  }

  /** Begins where the execution has come to: a state that was counted when it was reached first. */
  private beginAgain(pending: ReadonlyArray<boolean>): void {
    const { present } = this.execution.tracker
    present.counting = false
    this.execution.begin()
    present.counting = true
    this.promises = new Promises(this.execution, pending)
  }

  private path(): ReadonlyArray<Move> {
    return this.stack.flatMap(({ moves, taken }) => moves[taken] ?? [])
  }
}

export const dfs: Strategy = {
  name: "dfs",
  summary:
    "every schedule within the bound was run, one by one, by plain re-execution; with --preemptions N, every one of at most N preemptive switches",
  exhaustive: true,
  covers: "every schedule",
  needsSteps: false,
  takes: new Set(["executions", "preemptions"]),
  search: (program, options) => new DfsSearch(program, options),
}
