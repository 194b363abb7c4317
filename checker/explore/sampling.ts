/**
 * What all samplers share: schedules are drawn one after the other, from the start, on the engine of the program. A sampler
 * says which fiber goes on; among the options of a choice all are equally likely. Nothing is ever exhausted.
 */
import seedrandom from "seedrandom"
import type { Engine } from "../engine/engine.ts"
import { Memoised } from "../engine/memoised.ts"
import { type Move, moveOf } from "../engine/system.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { Promises } from "../property/promises.ts"
import { together, type Violation } from "../property/violation.ts"
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

/** Schedules that are drawn unless said otherwise. */
export const defaultExecutions = 10_000

/** Chooses among the fibers, along one schedule after the other. */
export interface Sampler {
  /** A schedule begins. */
  begin(): void
  /**
   * The fiber that goes on: one that can.
   *
   * @param ways by fiber, in how many ways it can go on; 0 where it cannot
   * @param able how many fibers can; at least one
   */
  pick(ways: ReadonlyArray<number>, able: number): number
  /** A schedule of so many steps has come to its end. */
  end?(steps: number): void
  /** What the schedules that were drawn say of the odds, beyond their number. */
  odds?(): string | undefined
}

/** What a sampler has to choose with. */
export interface Chance {
  /** Uniform from 0 to 1, without 1; all that is random comes from it. */
  readonly random: () => number
  readonly options: SearchOptions
  /** For a sampler that needs steps. */
  readonly engine: Memoised
}

class SamplingSearch implements Search {
  readonly statistics = emptyStatistics()
  private readonly engine: Engine
  private readonly restart: () => void
  private readonly promises: Promises
  private readonly order: HappensBefore
  private readonly name: string
  private readonly options: SearchOptions
  private readonly executions: number
  private readonly random: () => number
  private readonly sampler: Sampler
  /** Begins with the present schedule: what is left of longer ones stands behind. */
  private readonly path: Array<Move> = []
  private readonly ways: Array<number> = []
  private ending: Ending | undefined

  constructor(name: string, program: Program, options: SearchOptions, sampler: (chance: Chance) => Sampler) {
    this.name = name
    this.options = options
    this.executions = options.executions ?? defaultExecutions
    this.random = seedrandom.alea(String(options.seed))
    const engine = goingEngine(program, options)
    this.engine = engine
    this.promises = new Promises(this.engine)
    this.order = new HappensBefore(this.engine)
    this.sampler = sampler({
      random: this.random,
      options,
      get engine() {
        if (engine instanceof Memoised) return engine
        throw new Error(`strategy ${name} needs a program written in steps`)
      },
    })
    this.isBroken(together(this.engine.begin(), this.promises.begin()), 0)
    this.restart = this.engine.wayBack()
  }

  get exercised() {
    return this.engine.exercised
  }

  get compared() {
    return this.engine.compared
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  get share() {
    return this.statistics.executions / this.executions
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
    const { engine, order, path, promises, random, sampler, statistics, ways } = this
    const { maxSteps } = this.options
    const promising = promises.all.length > 0
    this.restart()
    promises.begin()
    order.begin()
    sampler.begin()
    let depth = 0
    let broken = false
    for (let able = engine.countWays(ways); able > 0 && !broken; able = engine.countWays(ways)) {
      const fiber = sampler.pick(ways, able)
      const width = ways[fiber] as number // of a fiber that can go on
      const move = width === 1 ? moveOf(fiber, 0) : moveOf(fiber, Math.floor(random() * width))
      if (depth >= maxSteps) {
        this.ending = tooLong(maxSteps, engine, move)
        break
      }
      path[depth++] = move
      const races = order.step(move)
      const violations = together(engine.take(move), races)
      if (promising || violations.length > 0) {
        broken = this.isBroken(promising ? together(violations, promises.step()) : violations, depth)
      }
    }
    statistics.transitions += depth
    statistics.maxDepth = Math.max(statistics.maxDepth, depth)
    if (broken) statistics.executions++
    else if (this.ending === undefined) this.finish(depth)
  }

  private finish(depth: number): void {
    const { engine, executions, options, sampler, statistics } = this
    statistics.executions++
    sampler.end?.(depth)
    const broken = this.isBroken(together(engine.end(), this.promises.end()), depth)
    const { rest } = engine
    if (rest !== "broken") options.survey?.final(engine.instance.store.contents(), rest === "stuck")
    if (broken || statistics.executions < executions) return
    const odds = sampler.odds?.()
    const reason = `${executions} schedules were taken by ${this.name} (seed ${options.seed})${odds === undefined ? "" : `; ${odds}`}; a sample never ends by itself`
    this.ending = { kind: "cut", reason }
  }

  /** Whether violations after the first `depth` moves end the search. */
  private isBroken(violations: ReadonlyArray<Violation>, depth: number): boolean {
    const violation = decisive(violations, this.options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.path.slice(0, depth) }
    return violation !== undefined
  }
}

/** The strategy of a sampler. */
export const sampling = (
  {
    name,
    summary,
    takes = [],
    needsSteps = false,
  }: { name: string; summary: string; takes?: ReadonlyArray<"depth">; needsSteps?: boolean },
  sampler: (chance: Chance) => Sampler,
): Strategy => ({
  name,
  summary,
  exhaustive: false,
  covers: "every schedule",
  needsSteps,
  takes: new Set(["executions", "paranoid", ...takes]),
  search: (program, options) => new SamplingSearch(name, program, options, sampler),
})
