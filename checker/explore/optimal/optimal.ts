/**
 * Strategy `optimal`: one execution of each class of executions that differ only in the order of independent steps.
 *
 * Optimal dynamic partial-order reduction with wakeup trees (Abdulla, Aronis, Jonsson, Sagonas, "Source Sets: A
 * Foundation for Optimal Dynamic Partial Order Reduction", JACM 64(4), 2017, algorithm 2). Where it differs:
 *
 * - Nothing is run again: the memoised engine goes back by its log, so a step is executed once for each branch.
 * - A reversed race is inserted as its least sequence where nothing sleeps that agrees with it, so that later executions
 *   need not look at the race again (`Race.settled`); the algorithm's sequence, with all that need not come after the
 *   first step, else.
 * - What the later step does when it comes first is computed, and so are the ways to make its guard true: see
 *   `Reversals`. The options of a choice are inserted as reversals too.
 * - What depends on what is learnt on the way (`Footprints`): what properties and guards read. When that has grown, the
 *   search begins anew with all that is known then.
 */
import type { Memoised } from "../../engine/memoised.ts"
import type { Node } from "../../engine/node.ts"
import { Paranoid } from "../../engine/paranoid.ts"
import { fiberOf, type Move, moveOf, optionOf } from "../../engine/system.ts"
import { Promises } from "../../property/promises.ts"
import { together, type Violation } from "../../property/violation.ts"
import type { Program } from "../../scenario/program.ts"
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
} from "../strategy.ts"
import { conflict, Footprints } from "./footprint.ts"
import { type Candidate, mostContexts, type Reversal, Reversals, TooManyContexts } from "./reversals.ts"
import { type Event, Trace } from "./trace.ts"
import { type Branch, insert, isWeakInitial, type Step } from "./wakeupTree.ts"

/** A state on the present execution, before the event of its number. */
interface Frame {
  /** What need not come next: all that begins so has been explored. */
  readonly asleep: Array<Step>
  /** What is still to be explored. */
  readonly branches: Array<Branch>
  /** Which promises are to be kept still. */
  readonly pending: ReadonlyArray<boolean>
}

/** After so many executions a search is carried on to its end before it begins anew. */
const manyExecutions = 1000

class Optimal implements Search {
  readonly statistics = emptyStatistics()
  private readonly engine: Memoised
  private readonly options: SearchOptions
  private readonly footprints: Footprints
  private readonly trace = new Trace()
  private readonly reversals: Reversals
  private readonly fibersAtStart: number
  private promises: Promises
  private readonly path: Array<Move> = []
  private frames: Array<Frame> = []
  /** What was known of footprints when the search began anew last. */
  private version: number
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.engine = matchingEngine(program, { ...options, symmetry: false })
    this.footprints = new Footprints(this.engine)
    this.reversals = new Reversals(this.engine, this.footprints, this.trace)
    this.fibersAtStart = this.engine.at.length
    this.promises = new Promises(this.engine)
    const found = this.footprints.promising(() => this.promises.begin())
    const violation = decisive(together(this.engine.begin(), found), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
    this.version = this.footprints.version
    this.frames.push({ asleep: [], branches: [], pending: this.promises.pending })
  }

  get exercised() {
    return this.engine.tracker.exercised
  }

  get compared() {
    return this.engine instanceof Paranoid ? this.engine.compared : undefined
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    try {
      while (this.ending === undefined && this.statistics.transitions < until) {
        this.runToEnd()
        if (this.ending === undefined) this.reverseRaces()
        if (this.ending === undefined) this.backtrack()
      }
    } catch (error) {
      this.ending =
        error instanceof TooManyContexts
          ? { kind: "cut", reason: `there are more than ${mostContexts} ways to bring about what a guard waits for` }
          : endingOf(error)
    }
    return this.ending
  }

  /** Continues the present execution to its end. */
  private runToEnd(): void {
    const { frames, options, path } = this
    while (this.ending === undefined) {
      const frame = frames[frames.length - 1] as Frame // there is always one
      const next = frame.branches.shift() ?? this.pick(frame)
      if (next === undefined) {
        this.finish()
        return
      }
      const move = "children" in next ? moveOf(this.positionOf(next.id), next.option) : next.move
      if (path.length >= options.maxSteps) {
        this.ending = tooLong(options.maxSteps, this.engine, move)
        return
      }
      this.take(move, frame, "children" in next ? next.children : [])
    }
  }

  /** The first move that need not be passed over. */
  private pick({ asleep }: Frame): { readonly move: Move } | undefined {
    const { engine } = this
    for (let position = 0; position < engine.at.length; position++) {
      const node = engine.at[position]
      if (node === undefined || node.options === 0 || !engine.canPerform(node)) continue
      const id = this.idAt(position)
      for (let option = 0; option < node.options; option++) {
        if (asleep.some((step) => step.id === id && step.option === option)) continue
        return { move: moveOf(position, option) }
      }
    }
    return undefined
  }

  private take(move: Move, frame: Frame, branches: Array<Branch>): void {
    const { engine, footprints, frames, options, path, statistics } = this
    const position = fiberOf(move)
    const node = engine.at[position]
    const operation = node?.operation
    if (node === undefined || operation === undefined || !engine.canPerform(node)) throw new Error(`move ${move} is not possible`)
    const displaced = operation.kind === "interrupt" ? this.standing(operation.args[0]) : undefined
    const broken = engine.take(move)
    const outcome = engine.last
    if (outcome === undefined) throw new Error("a step was taken that came to nothing")
    statistics.transitions++
    path.push(move)
    statistics.maxDepth = Math.max(statistics.maxDepth, path.length)
    const found = footprints.promising(() => this.promises.step())
    const about = node.outcomes.length === 0 ? String(operation.args[0]) : node.fiber.name
    const event = this.trace.push({
      id: this.idAt(position),
      option: optionOf(move),
      footprint: node.outcomes.length === 0 ? footprints.ofOther(node) : footprints.of(node, outcome),
      node,
      outcome,
      displaced,
      forks: operation.kind === "fork" ? footprints.idOf(about) : undefined,
      hasEnded: engine.at.some(({ ended, fiber }) => ended && fiber.name === about),
    })
    const asleep = frame.asleep.filter((step) => step.id !== event.id && !conflict(step.footprint, event.footprint))
    frames.push({ asleep, branches, pending: this.promises.pending })
    const violation = decisive(together(broken, found), options)
    if (violation !== undefined) this.violated(violation)
  }

  /** Where a fiber stands that can be interrupted. */
  private standing(name: string): Event["displaced"] {
    const node = this.engine.at.find(({ fiber }) => fiber.name === name)
    if (node === undefined || node.operation === undefined || node.interrupted) return undefined
    return { node, before: this.trace.lastOf(this.footprints.idOf(name)) }
  }

  private violated(violation: Violation): void {
    this.statistics.executions++
    this.ending = { kind: "violated", violation, moves: [...this.path] }
  }

  /** Judges the end of an execution. */
  private finish(): void {
    const { engine, options, statistics } = this
    if (engine.moves().length > 0) {
      statistics.blocked++
      return
    }
    const violation = decisive(together(engine.end(), this.promises.end()), options)
    if (violation !== undefined) {
      this.violated(violation)
      return
    }
    statistics.executions++
    if (engine.rest !== "broken") options.survey?.final(engine.instance.store.contents(), engine.rest === "stuck")
    if (statistics.executions === options.executions) {
      this.ending = { kind: "cut", reason: `${options.executions} executions were run, as asked` }
    }
  }

  /** Looks at the races of the present execution that are not settled, and notes what they ask to be explored. */
  private reverseRaces(): void {
    const { engine, trace } = this
    for (let at = 0; at < trace.length; at++) {
      const event = trace.at(at)
      if (event.node.options > 1) this.chooseOthers(event, at)
      if (event.displaced !== undefined) this.takeInTime(event.displaced, at)
      if (mayWait(event.node)) this.bringForward({ ...event, at, isTaken: true }, event)
      else {
        for (const race of event.races) {
          if (!race.settled) race.settled = this.reverse(race.first, { ...event, at, isTaken: true }, true)
        }
      }
    }
    for (const [position, node] of engine.at.entries()) {
      if (node.options > 0) this.bringForward(this.notTaken(node, 0, trace.length, trace.lastOf(this.idAt(position))))
    }
  }

  private notTaken(node: Node, option: number, at: number, before: number): Candidate {
    const id = this.footprints.idOf(node.fiber.name)
    return { id, option, node, isTaken: false, at, before, footprint: this.footprints.ofGuard(node) }
  }

  /** What a fiber would have done next that was interrupted. */
  private takeInTime({ node, before }: { readonly node: Node; readonly before: number }, at: number): void {
    for (let option = 0; option < node.options; option++) {
      const candidate = this.notTaken(node, option, at, before)
      this.reverse(at, candidate, true)
      if (mayWait(node)) this.bringForward(candidate)
    }
  }

  /** The other options of a choice. */
  private chooseOthers(event: Event, at: number): void {
    for (let option = 0; option < event.node.options; option++) {
      if (option === event.option || event.settledOptions[option] === true) continue
      event.settledOptions[option] = this.reverse(at, { ...event, at, isTaken: false, option }, false)
    }
  }

  /** An operation that may have to wait: everything that it may depend on since its fiber came to it. */
  private bringForward(candidate: Candidate, event?: Event): void {
    const { trace } = this
    const { at, before, footprint, id, node } = candidate
    const guard = this.footprints.ofGuard(node)
    for (let first = at - 1; first >= 0; first--) {
      const other = trace.at(first)
      if (other.id === id || !(conflict(other.footprint, guard) || conflict(other.footprint, footprint))) continue
      if (before >= 0 && trace.happensBefore(first, before)) continue
      if (event?.settledFirsts.has(first)) continue
      if (this.reverse(first, candidate, true)) event?.settledFirsts.add(first)
    }
  }

  /**
   * Notes that executions are to be explored in which the candidate comes before the event.
   *
   * @returns whether that is done with, whatever comes after both
   */
  private reverse(first: number, candidate: Candidate, depends: boolean): boolean {
    const frame = this.frames[first] as Frame // there is one for each event
    let settled = true
    for (const reversal of this.reversals.of(first, candidate, depends)) {
      if (!this.note(frame, reversal)) settled = false
    }
    return settled
  }

  private note({ asleep, branches }: Frame, { isFinal, least, whole }: Reversal): boolean {
    const shortest = least()
    if (shortest.length === 0) return isFinal
    if (!asleep.some((step) => isWeakInitial(step, shortest)) && insert(branches, shortest, true)) return isFinal
    const all = whole()
    if (!asleep.some((step) => isWeakInitial(step, all))) insert(branches, all, false)
    return false
  }

  /** Goes back to the last state from which something is still to be explored. */
  private backtrack(): void {
    const { engine, frames, path, statistics, trace } = this
    if (this.footprints.version !== this.version && statistics.executions < manyExecutions) {
      this.beginAnew()
      return
    }
    while (trace.length > 0) {
      engine.undo()
      path.pop()
      frames.pop()
      const { footprint, id, option } = trace.pop()
      const frame = frames[frames.length - 1] as Frame // that of the state before
      frame.asleep.push({ id, option, footprint })
      if (frame.branches.length === 0) continue
      if (frame.pending.length > 0) this.promises = new Promises(engine, frame.pending)
      return
    }
    if (this.footprints.version === this.version) this.ending = { kind: "exhausted" }
    else this.beginAnew()
  }

  private beginAnew(): void {
    const { engine, frames, path, statistics, trace } = this
    while (trace.length > 0) {
      engine.undo()
      trace.pop()
    }
    path.length = 0
    const [{ pending } = { pending: [] }] = frames
    frames.length = 0
    frames.push({ asleep: [], branches: [], pending })
    this.promises = new Promises(engine, pending)
    this.footprints.forget()
    this.version = this.footprints.version
    statistics.executions = 0
    statistics.blocked = 0
  }

  private idAt(position: number): number {
    return position < this.fibersAtStart ? position : this.footprints.idOf(this.engine.at[position]?.fiber.name ?? "")
  }

  private positionOf(id: number): number {
    if (id < this.fibersAtStart) return id
    return this.engine.at.findIndex(({ fiber }) => this.footprints.idOf(fiber.name) === id)
  }
}

/** Whether an operation may have to wait. */
const mayWait = ({ guard, operation }: Event["node"]): boolean => guard !== undefined || operation?.kind === "join"

export const optimal: Strategy = {
  name: "optimal",
  summary: "one execution of each class that differs only in the order of independent steps, by optimal DPOR",
  exhaustive: true,
  search: (program, options) => new Optimal(program, options),
}
