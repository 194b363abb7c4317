/**
 * Strategy `states`, breadth first: all states of one step, then all of two, so that the first violation that is found
 * is one of the fewest steps. It visits the states and makes the transitions that depth-first search does, and differs
 * in what it keeps: the states that wait, whole, and for every state how it was reached.
 */
import { getHeapStatistics } from "node:v8"
import type { Memoised, Snapshot } from "../engine/memoised.ts"
import type { Move } from "../engine/system.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import {
  decisive,
  type Ending,
  emptyStatistics,
  endingOf,
  matchingEngine,
  type Search,
  type SearchOptions,
  tooLong,
} from "./strategy.ts"
import { Visited } from "./visited.ts"

/** How many states are kept at most: 24 bytes each, so some 1.2 GiB. */
const stateLimit = 50_000_000

/** A state whose moves are still to be made. */
interface Waiting {
  /** States are numbered in the order in which they are found, from 0 for the initial one. */
  readonly state: number
  readonly snapshot: Snapshot
  readonly moves: ReadonlyArray<Move>
}

/** About how many bytes of the heap a waiting state takes. */
const sizeOf = ({ snapshot: { entries, at, present }, moves }: Waiting): number =>
  8 * (entries.length + at.length + present.length + moves.length) + 200

export class BreadthFirst implements Search {
  readonly statistics = emptyStatistics()
  readonly visited = new Visited()
  private readonly engine: Memoised
  private readonly options: SearchOptions
  private readonly heapLimit: number
  private readonly ways = new Ways()
  /** The states that are `depth` steps away and wait, the next one last. */
  private layer: Array<Waiting> = []
  /** Those that are one step further, the first one first. */
  private further: Array<Waiting> = []
  private depth = 0
  /** Moves that are known and not made. */
  open = 0
  /** What all that waits takes of the heap, in bytes. */
  private held = 0
  private ending: Ending | undefined

  /**
   * Throws what the scenario's setup throws.
   *
   * @param heapLimit bytes that the states that wait may take of the heap, about
   */
  constructor(program: Program, options: SearchOptions, heapLimit = getHeapStatistics().heap_size_limit / 2) {
    this.options = options
    this.heapLimit = heapLimit
    this.engine = matchingEngine(program, options)
    try {
      const violation = decisive(this.engine.begin(), options)
      if (violation === undefined) this.enterInitial()
      else this.ending = { kind: "violated", violation, moves: [] }
    } catch (error) {
      this.ending = endingOf(error)
    }
  }

  get exercised() {
    return this.engine.exercised
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    try {
      while (this.ending === undefined && this.statistics.transitions < until) this.expandNext()
    } catch (error) {
      this.ending = endingOf(error)
    }
    return this.ending
  }

  private expandNext(): void {
    if (this.layer.length === 0) {
      if (this.further.length === 0) {
        this.ending = { kind: "exhausted" }
        return
      }
      this.layer = this.further.reverse()
      this.further = []
      this.depth++
    }
    const waiting = this.layer.pop()
    if (waiting === undefined) return
    this.held -= sizeOf(waiting)
    this.expand(waiting)
  }

  /** Makes all moves of a state. */
  private expand({ state, snapshot, moves }: Waiting): void {
    const { engine, options, statistics } = this
    engine.restore(snapshot)
    for (const move of moves) {
      if (this.depth > options.maxSteps) {
        this.ending = tooLong(options.maxSteps, engine, move)
        return
      }
      statistics.transitions++
      this.open--
      this.judge(engine.step(move), state, move)
      if (this.ending === undefined && this.visited.add(engine.low, engine.high)) {
        this.judge(engine.judge(), state, move)
        if (this.ending === undefined) this.enter(state, move)
      }
      if (this.ending !== undefined) return
      engine.undo()
    }
  }

  /** Ends the search if one of the violations that a move from a state has led to does. */
  private judge(violations: ReadonlyArray<Violation>, from: number, move: Move): void {
    const violation = decisive(violations, this.options)
    if (violation === undefined) return
    this.statistics.maxDepth = Math.max(this.statistics.maxDepth, this.depth)
    this.ending = { kind: "violated", violation, moves: [...this.ways.to(from), move] }
  }

  private enterInitial(): void {
    this.visited.add(this.engine.low, this.engine.high)
    this.enter(0, 0)
  }

  /** Takes in the present state, which was just found: by a move from another one, or as the initial one. */
  private enter(from: number, move: Move): void {
    const { engine, statistics } = this
    const state = this.ways.add(from, move)
    statistics.states++
    statistics.maxDepth = Math.max(statistics.maxDepth, this.depth)
    const { moves, possible } = engine.expand(this.visited, false)
    statistics.transitions += possible - moves.length
    if (possible === 0) this.end(state)
    else if (moves.length > 0) {
      const waiting: Waiting = { state, snapshot: engine.snapshot(), moves }
      this.further.push(waiting)
      this.held += sizeOf(waiting)
      this.open += moves.length
    }
    if (this.ending !== undefined) return
    if (this.held > this.heapLimit) {
      this.ending = {
        kind: "cut",
        reason: `${this.layer.length + this.further.length} states waited to be explored, which is as many as are kept; without --breadth-first none have to be`,
      }
    } else if (statistics.states >= stateLimit) {
      this.ending = { kind: "cut", reason: `${stateLimit} states were visited, which is as many as are kept` }
    }
  }

  /** Judges a state in which nothing can go on. */
  private end(state: number): void {
    const { engine, options } = this
    if (engine.rest === "broken") return
    const violation = decisive(engine.end(), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: this.ways.to(state) }
    const { store } = engine.instance
    options.survey?.final(store.contents(), engine.rest === "stuck")
  }
}

/** How each state was reached first: by which move from which other state. 8 bytes a state. */
class Ways {
  private count = 0
  private from = new Uint32Array(1 << 16)
  private by = new Uint32Array(1 << 16)

  /** Adds a state, and returns its number. The initial one, number 0, was reached from nowhere. */
  add(from: number, move: Move): number {
    if (this.count === this.from.length) {
      this.from = twiceAsLong(this.from)
      this.by = twiceAsLong(this.by)
    }
    this.from[this.count] = from
    this.by[this.count] = move
    return this.count++
  }

  /** The moves from the initial state to this one. */
  to(state: number): ReadonlyArray<Move> {
    const moves: Array<Move> = []
    for (let at = state; at !== 0; at = this.from[at] ?? 0) moves.push(this.by[at] ?? 0)
    return moves.reverse()
  }
}

const twiceAsLong = (array: Uint32Array) => {
  const longer = new Uint32Array(2 * array.length)
  longer.set(array)
  return longer
}
