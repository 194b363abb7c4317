/**
 * Strategy `random`: a uniform random choice among the fibers that can go on, at every step (and among the options of a
 * choice). Schedules are independent samples; nothing is ever exhausted.
 */
import seedrandom from "seedrandom"
import { Memoised } from "../engine/memoised.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import { Promises } from "../property/promises.ts"
import type { Program } from "../scenario/program.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  endingOf,
  type Search,
  type SearchOptions,
  type Strategy,
  tooLong,
} from "./strategy.ts"

const defaultExecutions = 10_000

class RandomSearch implements Search {
  readonly statistics = emptyStatistics()
  private readonly engine: Memoised
  private promises: Promises
  private readonly options: SearchOptions
  private readonly random: () => number
  private readonly path: Array<Move> = []
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.random = seedrandom.alea(String(options.seed))
    this.engine = new Memoised(program)
    this.promises = new Promises(this.engine)
    const violation = decisive([...this.engine.begin(), ...this.promises.begin()], options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
  }

  get exercised() {
    return this.engine.tracker.exercised
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
    this.promises = new Promises(engine)
    this.promises.begin()
    for (let move = this.pick(engine.moves()); move !== undefined; move = this.pick(engine.moves())) {
      if (path.length >= options.maxSteps) {
        this.ending = tooLong(options.maxSteps, engine, move)
        return
      }
      path.push(move)
      statistics.transitions++
      statistics.maxDepth = Math.max(statistics.maxDepth, path.length)
      const violation = decisive([...engine.take(move), ...this.promises.step()], options)
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
    const violation = decisive([...engine.end(), ...this.promises.end()], options)
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

  /** First a fiber, then one of its options. */
  private pick(moves: ReadonlyArray<Move>): Move | undefined {
    const fibers = [...new Set(moves.map(fiberOf))]
    const fiber = fibers[Math.floor(this.random() * fibers.length)]
    const own = moves.filter((move) => fiberOf(move) === fiber)
    return own.length < 2 ? own[0] : own[Math.floor(this.random() * own.length)]
  }
}

export const random: Strategy = {
  name: "random",
  summary: `uniform random schedules: --executions N of them (default ${defaultExecutions}) from --seed N`,
  exhaustive: false,
  search: (program, options) => new RandomSearch(program, options),
}
