/**
 * Strategy `random`: a uniform random choice among the fibers that can go on, at every step (and among the options of a
 * choice). Schedules are independent samples; nothing is ever exhausted.
 */
import seedrandom from "seedrandom"
import type { Engine } from "../engine/engine.ts"
import { Paranoid } from "../engine/paranoid.ts"
import { type Move, optionOf } from "../engine/system.ts"
import { Promises } from "../property/promises.ts"
import { together } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  endingOf,
  goingEngine,
  type Search,
  type SearchOptions,
  type Strategy,
  tooLong,
} from "./strategy.ts"

const defaultExecutions = 10_000

class RandomSearch implements Search {
  readonly statistics = emptyStatistics()
  private readonly engine: Engine
  private readonly promises: Promises
  private readonly options: SearchOptions
  private readonly random: () => number
  private readonly path: Array<Move> = []
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.random = seedrandom.alea(String(options.seed))
    this.engine = goingEngine(program, options)
    this.promises = new Promises(this.engine)
    const violation = decisive(together(this.engine.begin(), this.promises.begin()), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
  }

  get exercised() {
    return this.engine.exercised
  }

  get compared() {
    return this.engine instanceof Paranoid ? this.engine.compared : undefined
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  get share() {
    return this.statistics.executions / (this.options.executions ?? defaultExecutions)
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    try {
      while (this.ending === undefined && this.statistics.transitions < until) this.runOnce()
    } catch (error) {
      this.ending = endingOf(error)
    }
    return this.ending
  }

  private runOnce(): void {
    const { engine, options, path, statistics } = this
    while (engine.depth > 0) engine.undo()
    path.length = 0
    this.promises.begin()
    for (let move = this.pick(engine.moves()); move !== undefined; move = this.pick(engine.moves())) {
      if (path.length >= options.maxSteps) {
        this.ending = tooLong(options.maxSteps, engine, move)
        return
      }
      path.push(move)
      statistics.transitions++
      statistics.maxDepth = Math.max(statistics.maxDepth, path.length)
      const violation = decisive(together(engine.take(move), this.promises.step()), options)
      if (violation !== undefined) {
        statistics.executions++
        this.ending = { kind: "violated", violation, moves: [...path] }
        return
      }
    }
    this.finish()
  }

  private finish(): void {
    const { engine, options, statistics } = this
    statistics.executions++
    const violation = decisive(together(engine.end(), this.promises.end()), options)
    const { store } = engine.instance
    if (engine.rest !== "broken") {
      options.survey?.final(store.contents(), engine.rest === "stuck")
    }
    const executions = options.executions ?? defaultExecutions
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [...this.path] }
    else if (statistics.executions >= executions) {
      this.ending = {
        kind: "cut",
        reason: `${executions} random schedules were taken (seed ${options.seed}); a sample never ends by itself`,
      }
    }
  }

  /** First a fiber, then one of its options: its moves stand together, the one of option 0 first. */
  private pick(moves: ReadonlyArray<Move>): Move | undefined {
    let fibers = 0
    for (let i = 0; i < moves.length; i++) if (optionOf(moves[i] ?? 0) === 0) fibers++
    let wanted = Math.floor(this.random() * fibers)
    let first = 0
    for (; first < moves.length; first++) {
      if (optionOf(moves[first] ?? 0) === 0 && wanted-- === 0) break
    }
    let end = first + 1
    while (end < moves.length && optionOf(moves[end] ?? 0) > 0) end++
    return end - first < 2 ? moves[first] : moves[first + Math.floor(this.random() * (end - first))]
  }
}

export const random: Strategy = {
  name: "random",
  summary: `nothing is ever proved: --executions N schedules (default ${defaultExecutions}) drawn from --seed N showed no violation, and the exit status is 3`,
  exhaustive: false,
  needsSteps: false,
  covers: "every schedule",
  takes: new Set(["executions", "paranoid"]),
  search: (program, options) => new RandomSearch(program, options),
}
