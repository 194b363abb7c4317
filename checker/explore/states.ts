/**
 * Strategy `states`: depth-first search with state matching on the memoised engine. Every state is visited once, so
 * every invariant is evaluated in every reachable state; states are matched by a 64-bit fingerprint.
 */
import { NotDeterministic } from "../engine/fault.ts"
import { isReserved, moveIn, type OpenMove } from "../engine/lookahead.ts"
import type { Memoised } from "../engine/memoised.ts"
import { fiberOf, type Move } from "../engine/system.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { BreadthFirst } from "./breadthFirst.ts"
import { livenessSearch } from "./liveness.ts"
import { openIn, type Piece } from "./piece.ts"
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

/** Why a search ends whose table may not grow. */
export const memoryFull = "the memory that may be used is full; --memory SIZE sets the limit"

/** A state on the path: its moves, and how many of them have been explored. */
interface Frame {
  moves: ReadonlyArray<OpenMove>
  next: number
}

/** A search by states, which can be taken apart: what is left of it is pieces, and pieces are what it starts from. */
export class StatesSearch implements Search {
  readonly statistics = emptyStatistics()
  readonly visited: Visited
  private readonly engine: Memoised
  private readonly options: SearchOptions
  /** The states from the initial one to the present one; `stack.length - 1` moves lead there. */
  private readonly stack: Array<Frame> = []
  /** How many moves on the stack have not been made. */
  private unmade = 0
  private ending: Ending | undefined

  /**
   * A search from the initial state on; or one that joins another, whose table it shares, and has nothing to explore
   * until it is given a piece. Throws what the scenario's setup throws.
   */
  constructor(program: Program, options: SearchOptions, visited = new Visited(), joins = false) {
    this.options = options
    this.visited = visited
    this.engine = matchingEngine(program, options)
    this.engine.tracker.present.counting = !joins
    try {
      const violation = decisive(this.engine.begin(), options)
      if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
      else if (!joins) this.enter()
    } catch (error) {
      this.ending = endingOf(error)
    }
    this.engine.tracker.present.counting = true
  }

  get exercised() {
    return this.engine.tracker.exercised
  }

  /** The names of the cells that properties have read so far, other than promises. */
  get observed(): ReadonlySet<string> {
    return this.engine.tracker.observed
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  /** How many moves are known and not made yet. */
  get open(): number {
    return this.unmade
  }

  /** What is left to explore. */
  get rest(): Piece {
    return {
      path: this.path().slice(0, Math.max(0, this.stack.length - 1)),
      open: this.stack.map(({ moves, next }) => moves.slice(next)),
    }
  }

  /**
   * Takes up a piece, once nothing is left of the last.
   *
   * @throws NotDeterministic when the program has no such path
   */
  begin({ path, open }: Piece): void {
    const { engine } = this
    if (this.stack.length > 0) throw new Error("a piece is taken up before the last is done")
    if (this.ending?.kind === "exhausted") this.ending = undefined
    while (engine.depth > 0) engine.undo()
    engine.tracker.present.counting = false
    for (const [position, left] of open.entries()) {
      const move = path[position]
      const moves = move === undefined ? left : [move, ...left]
      this.expect(moves, position)
      if (move !== undefined) engine.take(move)
      this.stack.push({ moves, next: moves.length - left.length })
    }
    engine.tracker.present.counting = true
    this.unmade = openIn({ path, open })
  }

  /** Makes sure that the moves of a piece can be made. */
  private expect(moves: ReadonlyArray<OpenMove>, position: number): void {
    const { engine } = this
    const possible = engine.moves()
    const missing = moves.map(moveIn).find((move) => !possible.includes(move))
    if (missing === undefined) return
    const name = engine.fibers[fiberOf(missing)]?.name ?? `number ${fiberOf(missing)}`
    throw new NotDeterministic(name, `it cannot do after ${position} steps of a path what it could do there before`)
  }

  /** Gives away half of what is left, the branches nearest to the initial state, if there are two at least. */
  give(): Piece | undefined {
    let wanted = Math.floor(this.unmade / 2)
    if (wanted === 0) return undefined
    this.unmade -= wanted
    const path = this.path()
    const open: Array<ReadonlyArray<OpenMove>> = []
    for (const frame of this.stack) {
      const left = frame.moves.length - frame.next
      const kept = frame.moves.length - Math.min(left, wanted)
      wanted -= frame.moves.length - kept
      open.push(frame.moves.slice(kept))
      frame.moves = frame.moves.slice(0, kept)
      if (wanted === 0) break
    }
    return { path: path.slice(0, open.length - 1), open }
  }

  get compared() {
    return this.engine.compared
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
    const open = frame.moves[frame.next]
    if (open === undefined) {
      this.stack.pop()
      if (this.engine.depth > 0) this.engine.undo()
      return 0
    }
    const move = moveIn(open)
    if (this.stack.length > this.options.maxSteps) {
      this.ending = tooLong(this.options.maxSteps, this.engine, move)
      return 0
    }
    const broken = this.engine.step(move)
    // Only now: a move at which the engine met a limit is still to be made.
    frame.next++
    this.unmade--
    this.statistics.transitions++
    if (this.isBroken(broken)) return 1
    if (!this.isNew(open)) this.engine.undo()
    else if (!this.isBroken(this.engine.judge())) this.enterKnown()
    return 1
  }

  /** Whether the present state, to which an open move has led, is to be visited. It is in the table then. */
  private isNew(open: OpenMove): boolean {
    const { low, high } = this.engine
    if (!isReserved(open)) return this.visited.add(low, high)
    // Looking misses what another thread is moving just now; adding looks again under the lock.
    const isThere = this.visited.has(low, high) || !this.visited.add(low, high)
    if (!isThere) throw new Error("a move leads to another state than was foreseen")
    return true
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
    const { engine, options, statistics } = this
    statistics.states++
    const { moves, possible } = engine.expand(this.visited, true)
    this.stack.push({ moves, next: 0 })
    this.unmade += moves.length
    statistics.transitions += possible - moves.length
    statistics.maxDepth = Math.max(statistics.maxDepth, engine.depth)
    if (possible === 0) this.end()
    if (statistics.states >= (options.maxStates ?? Number.POSITIVE_INFINITY)) {
      this.ending ??= { kind: "cut", reason: `the budget of ${options.maxStates} states ran out` }
    }
    if (this.visited.full) this.ending ??= { kind: "cut", reason: memoryFull }
  }

  private end(): void {
    const { engine, options } = this
    if (engine.rest === "broken") return
    const violation = decisive(engine.end(), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.path() }
    const { store } = engine.instance
    options.survey?.final(store.contents(), engine.rest === "stuck")
  }

  /** The moves made last at each state of the stack: from the initial state to the present one. */
  private path(): ReadonlyArray<Move> {
    return this.stack.flatMap(({ moves, next }) => moves.slice(next - 1, next).map(moveIn))
  }
}

export const states: Strategy = {
  name: "states",
  summary:
    "every state within the bound was visited once, so every invariant held in all of them; states are matched by 64-bit fingerprints, and the odds that two of them were equal are printed. Promises (leadsTo) are then decided for runs without an end too, under weak fairness; the other strategies judge them where runs end. --breadth-first visits the states in the order of their distance, which takes more memory: the first violation found is then one of the fewest steps",
  exhaustive: true,
  needsSteps: true,
  covers: "every state within the bound",
  takes: new Set(["breadthFirst", "paranoid", "workers", "memory", "checkpoint", "resume"]),
  search: (program, options) => new (options.breadthFirst ? BreadthFirst : StatesSearch)(program, options),
  liveness: livenessSearch,
}
