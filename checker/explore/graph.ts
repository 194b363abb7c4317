/**
 * The graph of all states of a program, kept: each state by a number, its edges, and what the promises of the program
 * are in it. Infinite runs are paths in it, so what is true of them all is read off it.
 */
import { LimitReached } from "../engine/fault.ts"
import { Memoised } from "../engine/memoised.ts"
import { fiberOf, fibersOf, type Move, moveOf, optionOf } from "../engine/system.ts"
import { isPromise } from "../property/promises.ts"
import type { BoundPromise, Fibers } from "../property/property.ts"
import type { Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { Column } from "./column.ts"
import { Numbering } from "./numbering.ts"
import { decisive, type Ending, emptyStatistics, type SearchOptions, tooLong } from "./strategy.ts"

/** How many states are kept at most: some 100 bytes each, with what the analysis needs. */
export const defaultStateLimit = 5_000_000

/** Bits of what a promise is in a state. */
export const made = 1
export const kept = 2

/**
 * A graph of states, state 0 the initial one.
 *
 * Representation: the edges of state s have the numbers `first[s]` up to `first[s + 1]`, or up to `takers.length` for
 * the last state; edge e leads to state `targets[e]`, and `takers[e]` says by whose step: a move with the position of the
 * fiber's name in `names` in the place of the fiber's own, which may differ between two ways to a state once fibers are
 * forked.
 */
export class StateGraph {
  readonly statistics = emptyStatistics()
  readonly promises: ReadonlyArray<BoundPromise>
  private readonly takers = new Column(Uint32Array)
  private readonly names: Array<string> = []
  readonly targets = new Column(Int32Array)
  private readonly first = new Column(Uint32Array)
  /** For each promise, and each state, the bits of what it is there. */
  private readonly labels: ReadonlyArray<Column<Uint8Array>>
  /** 1 for the states in which some fiber broke down: that is for the properties of safety to say, and the run ends. */
  private readonly broken = new Column(Uint8Array)
  private readonly numbers = new Numbering()
  private readonly engine: Memoised
  private readonly fibers: Fibers
  private readonly options: SearchOptions
  private readonly stateLimit: number

  constructor(program: Program, options: SearchOptions, stateLimit = defaultStateLimit) {
    this.engine = new Memoised(promisesOf(program, options.target), options.keepEnds ? { keepEnds: true } : {})
    this.fibers = fibersOf(this.engine)
    this.promises = this.engine.instance.properties.filter(isPromise)
    this.labels = this.promises.map(() => new Column(Uint8Array))
    this.options = options
    this.stateLimit = stateLimit
  }

  /** How many states there are. */
  get size(): number {
    return this.first.length
  }

  get exercised() {
    return this.engine.tracker.exercised
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  /** The number of a state's first edge. */
  begin(state: number): number {
    return this.first.at(state)
  }

  /** The number behind that of a state's last edge. */
  end(state: number): number {
    return state + 1 < this.first.length ? this.first.at(state + 1) : this.takers.length
  }

  /** The fiber that takes the step of an edge, as a number that means the same in all states. */
  fiber(edge: number): number {
    return fiberOf(this.takers.at(edge))
  }

  /** What a promise, by its position, is in a state. */
  label(promise: number, state: number): number {
    return this.labels[promise]?.at(state) ?? 0
  }

  /** Whether nothing can go on in a state, though no fiber broke down. */
  isTerminal(state: number): boolean {
    return this.begin(state) === this.end(state) && this.broken.at(state) === 0
  }

  /**
   * Visits every state, depth-first, with a pause after each step. Returns an ending when it ends otherwise than with
   * the whole graph.
   */
  *build(): Generator<void, Ending | undefined> {
    const { engine, options, statistics, targets } = this
    engine.begin()
    /** The edges from the initial state to the present one, and for each state on the way the edge to try next. */
    const path: Array<number> = []
    const next: Array<number> = []
    const ending = this.enter(path)
    if (ending !== undefined) return ending
    next.push(this.begin(0))
    const states = [0]
    for (let state = states.at(-1); state !== undefined; state = states.at(-1)) {
      const edge = next.at(-1) ?? 0
      if (edge === this.end(state)) {
        states.pop()
        next.pop()
        path.pop()
        if (engine.depth > 0) engine.undo()
        continue
      }
      next[next.length - 1] = edge + 1
      const move = this.moveHere(edge)
      if (states.length > options.maxSteps) return tooLong(options.maxSteps, engine, move)
      engine.step(move)
      statistics.transitions++
      const known = this.numbers.of(engine.low, engine.high)
      targets.set(edge, known)
      if (known < this.size) engine.undo()
      else {
        path.push(edge)
        const ended = this.enter(path)
        if (ended !== undefined) return ended
        states.push(known)
        next.push(this.begin(known))
      }
      yield
    }
    return undefined
  }

  /** Adds the present state, to which these edges lead. */
  private enter(path: ReadonlyArray<number>): Ending | undefined {
    const { engine, options, statistics } = this
    if (this.size === 0) this.numbers.of(engine.low, engine.high)
    const violations: Array<Violation> = []
    const promised = engine.tracker.promised(this.fibers, this.size === 0, violations)
    const broken = engine.rest === "broken"
    this.first.push(this.takers.length)
    this.broken.push(broken ? 1 : 0)
    for (const [position, each] of promised.entries()) {
      this.labels[position]?.push((each.made ? made : 0) | (each.kept ? kept : 0))
    }
    for (const move of broken ? [] : engine.moves()) {
      const taker = moveOf(this.nameOf(fiberOf(move)), optionOf(move))
      if (taker > 0xffffffff)
        throw new LimitReached("a choice has more options than the graph of states can keep apart")
      this.takers.push(taker)
      this.targets.push(0)
    }
    statistics.states = this.size
    statistics.maxDepth = Math.max(statistics.maxDepth, path.length)
    if (this.size >= this.stateLimit) {
      throw new LimitReached(`${this.stateLimit} states were visited, which is as many as are kept with their edges`)
    }
    const violation = decisive(violations, options)
    return violation && { kind: "violated", violation, moves: this.movesOf(path) }
  }

  /** The moves of edges that follow one another from the initial state. */
  movesOf(edges: ReadonlyArray<number>): ReadonlyArray<Move> {
    const { engine } = this
    while (engine.depth > 0) engine.undo()
    return edges.map((edge) => {
      const move = this.moveHere(edge)
      engine.step(move)
      return move
    })
  }

  /** The move of an edge in the present state. */
  private moveHere(edge: number): Move {
    const name = this.names[this.fiber(edge)]
    const fiber = this.engine.fibers.findIndex((other) => other.name === name)
    return moveOf(fiber, optionOf(this.takers.at(edge)))
  }

  /** The position of a fiber's name. */
  private nameOf(fiber: number): number {
    const name = this.engine.fibers[fiber]?.name ?? ""
    const known = this.names.indexOf(name)
    return known < 0 ? this.names.push(name) - 1 : known
  }
}

/** The program with its promises alone, or the one that is looked for: other properties were judged before. */
const promisesOf = (program: Program, target: string | undefined): Program => ({
  ...program,
  start: () => {
    const instance = program.start()
    const properties = instance.properties.filter(
      (property) => isPromise(property) && (target === undefined || property.id === target),
    )
    return { ...instance, properties }
  },
})
