/**
 * Strategy `bounded`: every schedule, those of the fewest preemptions first, so that the first violation found is one of
 * the fewest. Iterative context bounding: Musuvathi and Qadeer, "Iterative context bounding for systematic testing of
 * multithreaded programs", PLDI 2007. Or those of the fewest delays first: Emmi, Qadeer and Rakamarić, "Delay-bounded
 * scheduling", POPL 2011.
 *
 * As in the former's algorithm 1 no schedule is run twice: a move that costs more than the round has waits for its own
 * round. What waits there is the path and not the state, and from one path to the next only their difference is taken
 * back and made. Delays are put into the same rounds.
 */
import type { Engine } from "../engine/engine.ts"
import { fiberOf, type Move, moveOf } from "../engine/system.ts"
import { HappensBefore } from "../property/happensBefore.ts"
import { Promises } from "../property/promises.ts"
import { together, type Violation } from "../property/violation.ts"
import type { Program } from "../scenario/program.ts"
import { Branches } from "./branches.ts"
import { SpotCheck } from "./spotCheck.ts"
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
  type Within,
} from "./strategy.ts"

/** How many moves may be stored of the branches that wait, in all rounds together: they take some 500 MB. */
const mostStored = 2 ** 26

class BoundedSearch implements Search {
  readonly statistics = emptyStatistics()
  private readonly engine: Engine
  private readonly promises: Promises
  private readonly order: HappensBefore
  private readonly options: SearchOptions
  /** Without steps the engine is plain re-execution itself. */
  private readonly spotCheck: SpotCheck | undefined
  /** What a schedule may cost; and whether something cost more and was left out. */
  private readonly most: number
  private leftOut = false
  /** What the schedules cost that are run now; the branches that wait for each round, and how many moves are stored. */
  private round = 0
  private readonly waiting: Array<Branches | undefined> = []
  private stored = 0
  /** The present path. Below `base` it is the branch's, and each of its moves is stamped with when it was made. */
  private readonly path: Array<Move> = []
  private readonly stamps: Array<number> = []
  private clock = 0
  private base = 0
  /** By depth: moves that cost nothing and are still to be made, last one first; and the promises to be kept there. */
  private readonly free: Array<Array<Move>> = []
  private readonly pending: Array<ReadonlyArray<boolean>> = []
  /** By fiber: in how many ways it can go on. */
  private readonly ways: Array<number> = []
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.most = options.delays ?? options.preemptions ?? Number.POSITIVE_INFINITY
    this.engine = goingEngine(program, options)
    this.promises = new Promises(this.engine)
    this.order = new HappensBefore(this.engine)
    this.spotCheck = program.inSteps ? new SpotCheck(program, options) : undefined
    try {
      if (!this.isBroken(together(this.engine.begin(), this.promises.begin()))) this.arrive()
    } catch (error) {
      this.ending = endingOf(error)
    }
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

  get within(): Within | undefined {
    if (this.ending?.kind === "exhausted") return this.leftOut ? this.bound(this.most) : undefined
    return this.round === 0 ? undefined : this.bound(this.round - 1)
  }

  private bound(most: number): Within {
    return this.options.delays === undefined ? { preemptions: most } : { delays: most }
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    try {
      while (this.ending === undefined && this.statistics.transitions < until) this.go()
    } catch (error) {
      this.ending = endingOf(error)
    }
    return this.ending
  }

  /** Makes the next move that costs nothing, or goes back one; below the base the next branch is due. */
  private go(): void {
    const { path } = this
    const move = this.free[path.length]?.pop()
    if (move !== undefined) this.take(move)
    else if (path.length > this.base) this.back()
    else this.branch()
  }

  private back(): void {
    this.engine.undo()
    this.order.undo()
    this.path.pop()
    this.promises.pending = this.pending[this.path.length] ?? []
  }

  /** Makes a move that was not made there before, and looks around. */
  private take(move: Move): void {
    if (this.path.length >= this.options.maxSteps) {
      this.ending = tooLong(this.options.maxSteps, this.engine, move)
      return
    }
    const violations = this.make(move)
    this.statistics.maxDepth = Math.max(this.statistics.maxDepth, this.path.length)
    if (this.isBroken(violations)) this.statistics.executions++
    else this.arrive()
  }

  private make(move: Move): ReadonlyArray<Violation> {
    const { engine, order, path, promises, statistics } = this
    statistics.transitions++
    const races = order.step(move)
    const violations = together(engine.take(move), races)
    this.stamps[path.length] = ++this.clock
    path.push(move)
    return together(violations, promises.step())
  }

  /** Finds out which moves there are and what they cost. */
  private arrive(): void {
    const { engine, path, ways } = this
    const depth = path.length
    const free = this.free[depth] ?? []
    this.free[depth] = free
    free.length = 0
    this.pending[depth] = this.promises.pending
    if (engine.countWays(ways) === 0) {
      this.finish()
      return
    }
    const last = fiberOf(path[depth - 1] ?? 0)
    const preempts = depth > 0 && (ways[last] ?? 0) > 0
    let skipped = 0
    for (let i = 0; i < ways.length; i++) {
      const fiber = (last + i) % ways.length
      const options = ways[fiber] ?? 0
      if (options === 0) continue
      const cost = this.options.delays === undefined ? Number(preempts && fiber !== last) : skipped
      for (let option = 0; option < options; option++) {
        if (cost === 0) free.push(moveOf(fiber, option))
        else this.defer(cost, moveOf(fiber, option))
      }
      skipped++
    }
    free.reverse()
  }

  /** Leaves a move to the round that has what it costs. */
  private defer(cost: number, move: Move): void {
    const round = this.round + cost
    if (round > this.most) {
      this.leftOut = true
      return
    }
    const branches = this.waiting[round] ?? new Branches()
    this.waiting[round] = branches
    this.stored += branches.add(this.path, this.stamps, this.clock, move)
    if (this.stored <= mostStored) return
    const reason = `the ways to schedules of more than ${this.round} ${this.options.delays === undefined ? "preemptions" : "delays"} fill the memory that they may have`
    this.ending = { kind: "cut", reason }
  }

  /** Goes on with the next branch of the round, or begins the next round. */
  private branch(): void {
    const branches = this.waiting[this.round]
    if (branches === undefined || branches.isEmpty) {
      this.waiting[this.round] = undefined
      if (this.round + 1 >= this.waiting.length) this.ending = { kind: "exhausted" }
      else this.round++
      return
    }
    const { tracker } = this.engine
    const { common, moves } = branches.next()
    this.stored -= moves.length
    while (this.path.length > common) this.back()
    tracker.present.counting = false
    for (let i = 0; i < moves.length - 1; i++) {
      this.pending[this.path.length] = this.promises.pending
      this.make(moves[i] as Move) // i is within
    }
    tracker.present.counting = true
    this.pending[this.path.length] = this.promises.pending
    this.base = this.path.length + 1
    this.take(moves.at(-1) as Move) // a branch has a move at its end
  }

  private finish(): void {
    const { engine, options, path, statistics } = this
    statistics.executions++
    const { rest } = engine
    if (this.isBroken(together(engine.end(), this.promises.end()))) return
    if (rest !== "broken") options.survey?.final(engine.instance.store.contents(), rest === "stuck")
    this.spotCheck?.look(engine, path)
    if (options.executions !== undefined && statistics.executions >= options.executions) {
      this.ending = { kind: "cut", reason: `${options.executions} executions were run, as asked` }
    }
  }

  /** Whether violations at the end of the present path end the search. */
  private isBroken(violations: ReadonlyArray<Violation>): boolean {
    const violation = decisive(violations, this.options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [...this.path] }
    return violation !== undefined
  }
}

export const bounded: Strategy = {
  name: "bounded",
  summary:
    "every schedule was run, those with the fewest preemptive switches first, so the first violation found is one of the fewest. With --preemptions N, every one of at most N; with --delays, of delays: a fiber goes on as long as it can, then the next one in their order, and each that could go on and is skipped is one. Without a number it ends where no schedule has more; cut short, it says up to which number all were run",
  exhaustive: true,
  covers: "every schedule",
  needsSteps: false,
  takes: new Set(["executions", "preemptions", "delays", "paranoid"]),
  search: (program, options) => new BoundedSearch(program, options),
}
