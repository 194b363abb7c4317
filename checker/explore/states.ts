/**
 * Strategy `states`: depth-first search with state matching on the memoised engine. Every state is visited once, so
 * every invariant is evaluated in every reachable state; states are matched by a 64-bit fingerprint.
 */
import type { Memoised } from "../engine/memoised.ts"
import type { Move } from "../engine/system.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { BreadthFirst } from "./breadthFirst.ts"
import { livenessSearch } from "./liveness.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  endingOf,
  matchingEngine,
  type Search,
  type SearchOptions,
  type Strategy,
  tooLong,
} from "./strategy.ts"
import { Visited } from "./visited.ts"

/** A state on the path: its moves, and how many of them have been explored. */
interface Frame {
  readonly moves: ReadonlyArray<Move>
  next: number
}

/** How many states are kept at most: 16 bytes each, so a little under 1 GiB. */
const stateLimit = 50_000_000

class StatesSearch implements Search {
  readonly statistics = emptyStatistics()
  readonly visited = new Visited()
  private readonly engine: Memoised
  private readonly options: SearchOptions
  /** The states from the initial one to the present one; `stack.length - 1` moves lead there. */
  private readonly stack: Array<Frame> = []
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.engine = matchingEngine(program, options)
    try {
      const violation = decisive(this.engine.begin(), options)
      if (violation === undefined) this.enter()
      else this.ending = { kind: "violated", violation, moves: [] }
    } catch (error) {
      this.ending = endingOf(error)
    }
  }

  get exercised() {
    return this.engine.tracker.exercised
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  get queue() {
    return this.stack.filter(({ moves, next }) => next < moves.length).length
  }

  advance(steps: number): Ending | undefined {
    try {
      for (let left = steps; left > 0 && this.ending === undefined; ) left -= this.go()
    } catch (error) {
      this.ending = endingOf(error)
    }
    return this.ending
  }

  /** Makes the next move, or goes back one. Returns how many steps that took. */
  private go(): number {
    const frame = this.stack.at(-1)
    if (frame === undefined) {
      this.ending = { kind: "exhausted" }
      return 0
    }
    const move = frame.moves[frame.next++]
    if (move === undefined) {
      this.stack.pop()
      if (this.engine.depth > 0) this.engine.undo()
      return 0
    }
    if (this.stack.length > this.options.maxSteps) {
      this.ending = tooLong(this.options.maxSteps, this.engine, move)
      return 0
    }
    this.statistics.transitions++
    if (this.isBroken(this.engine.step(move))) return 1
    if (!this.visited.add(this.engine.low, this.engine.high)) this.engine.undo()
    else if (!this.isBroken(this.engine.judge())) this.enterKnown()
    return 1
  }

  /** Whether the violations that the last move led to end the search. */
  private isBroken(violations: ReadonlyArray<Violation>): boolean {
    const violation = decisive(violations, this.options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.path() }
    return violation !== undefined
  }

  private enter(): void {
    this.visited.add(this.engine.low, this.engine.high)
    this.enterKnown()
  }

  /** Makes the present state, just added, the top of the stack. */
  private enterKnown(): void {
    const { engine, statistics } = this
    statistics.states = this.visited.size
    const moves = engine.moves()
    this.stack.push({ moves, next: 0 })
    statistics.maxDepth = Math.max(statistics.maxDepth, engine.depth)
    if (moves.length === 0) this.end()
    if (statistics.states >= stateLimit) {
      this.ending = { kind: "cut", reason: `${stateLimit} states were visited, which is as many as are kept` }
    }
  }

  private end(): void {
    const { engine, options } = this
    if (engine.rest === "broken") return
    const violation = decisive(engine.end(), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.path() }
    const { store } = engine.instance
    options.survey?.final(store.contents(), engine.rest === "stuck")
  }

  /** The moves made from the initial state to the present one. */
  private path(): ReadonlyArray<Move> {
    return this.stack.slice(0, this.engine.depth).flatMap(({ moves, next }) => moves[next - 1] ?? [])
  }
}

export const states: Strategy = {
  name: "states",
  summary: "every state once, matched by fingerprint",
  exhaustive: true,
  search: (program, options) => new (options.breadthFirst ? BreadthFirst : StatesSearch)(program, options),
  liveness: livenessSearch,
}
