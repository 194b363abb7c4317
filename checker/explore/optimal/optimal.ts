/**
 * Strategy `optimal`: one execution of each class of executions that differ only in the order of independent steps.
 *
 * Optimal dynamic partial-order reduction with wakeup trees (Abdulla, Aronis, Jonsson, Sagonas, "Source Sets: A
 * Foundation for Optimal Dynamic Partial Order Reduction", JACM 64(4), 2017, algorithm 2). Where it differs:
 *
 * - Nothing is run again: the memoised engine goes back by its log, so a step is executed once for each branch.
 * - A reversed race is inserted as its least sequence where nothing sleeps that agrees with it, so that later executions
 *   need not look at the race again; the algorithm's sequence, with all that need not come after the
 *   first step, else.
 * - What the later step does when it comes first is computed, and so are the ways to make its guard true: see
 *   `Reversals`. The options of a choice are inserted as reversals too.
 * - What depends on what is learnt on the way (`Footprints`): what properties and guards read. When that has grown, the
 *   search begins anew with all that is known then.
 */
import { conflict, Footprints } from "../../engine/dependence.ts"
import type { Memoised } from "../../engine/memoised.ts"
import type { Node, Outcome } from "../../engine/node.ts"
import { fiberOf, type Move, moveOf, optionOf, StepFailed } from "../../engine/system.ts"
import { HappensBefore } from "../../property/happensBefore.ts"
import { Promises } from "../../property/promises.ts"
import { together, type Violation } from "../../property/violation.ts"
import type { Program } from "../../scenario/program.ts"
import { SpotCheck } from "../spotCheck.ts"
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
import { Races } from "./races.ts"
import { type Listener, mostContexts, Reversals, TooManyContexts } from "./reversals.ts"
import { type Displaced, nowhere, Trace } from "./trace.ts"
import { type Branch, insert, isWeakInitial, type Step } from "./wakeupTree.ts"

/** A state on the present execution: the one before the event of the same number. */
interface Frame {
  /** What need not come next: all that begins so has been explored. */
  asleep: ReadonlyArray<Step>
  /** What is still to be explored. */
  branches: ReadonlyArray<Branch>
  /** Which promises are to be kept still. */
  pending: ReadonlyArray<boolean>
}

const nothing: ReadonlyArray<never> = []

/** After so many executions a search is carried on to its end before it begins anew. */
const manyExecutions = 1000

class Optimal implements Search, Listener {
  readonly isReduced = true
  readonly statistics = emptyStatistics()
  private readonly engine: Memoised
  private readonly options: SearchOptions
  private readonly footprints: Footprints
  private readonly trace: Trace
  private readonly reversals: Reversals
  private readonly races: Races
  private readonly spotCheck: SpotCheck
  private readonly fibersAtStart: number
  private readonly promises: Promises
  private readonly order: HappensBefore
  /** Objects are used again for other states of the same number: there are more than the present execution has. */
  private readonly frames: Array<Frame> = []
  private readonly path: Array<Move> = []
  /** How many steps the present execution shares with the one before. */
  private newFrom = 0
  /** What was known of footprints when the search began anew last. */
  private version: number
  private ending: Ending | undefined

  constructor(program: Program, options: SearchOptions) {
    this.options = options
    this.engine = matchingEngine(program, { ...options, symmetry: false })
    this.fibersAtStart = this.engine.at.length
    this.trace = new Trace(this.fibersAtStart)
    this.footprints = new Footprints(this.engine)
    this.reversals = new Reversals(this.engine, this.footprints, this.trace, this)
    this.races = new Races(this.engine, this.footprints, this.trace, this.reversals)
    this.promises = new Promises(this.engine)
    this.order = new HappensBefore(this.engine)
    this.spotCheck = new SpotCheck(program, options)
    const found = this.footprints.promising(() => this.promises.begin())
    const violation = decisive(together(this.engine.begin(), found), options)
    if (violation !== undefined) this.ending = { kind: "violated", violation, moves: [] }
    this.version = this.footprints.version
    this.enter(0, nothing, nothing)
  }

  get exercised() {
    return this.engine.tracker.exercised
  }

  get compared() {
    return this.engine.compared
  }

  /** One with a run that need not end is cut. */
  get everyRunEnds() {
    return this.ending?.kind === "exhausted"
  }

  get steps() {
    return this.engine.stepsTaken()
  }

  advance(steps: number): Ending | undefined {
    const until = this.statistics.transitions + steps
    try {
      while (this.ending === undefined && this.statistics.transitions < until) {
        this.runToEnd()
        if (this.ending === undefined) this.races.look(this.newFrom)
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
    const { options, path } = this
    while (this.ending === undefined) {
      const frame = this.frame(path.length)
      const [branch] = frame.branches
      const move = branch === undefined ? this.pick(frame) : moveOf(this.positionOf(branch.id), branch.option)
      if (move === undefined) {
        this.finish()
        return
      }
      if (path.length >= options.maxSteps) {
        this.ending = tooLong(options.maxSteps, this.engine, move)
        return
      }
      frame.branches = frame.branches.length < 2 ? nothing : frame.branches.slice(1)
      this.take(move, frame, branch?.children ?? nothing)
    }
  }

  /** The first move that need not be passed over. */
  private pick({ asleep }: Frame): Move | undefined {
    const { engine } = this
    for (let position = 0; position < engine.at.length; position++) {
      const node = engine.at[position] as Node // within
      if (node.options === 0 || !engine.canPerform(node)) continue
      if (asleep.length === 0) return moveOf(position, 0)
      const id = this.idAt(position)
      for (let option = 0; option < node.options; option++) {
        if (!asleep.some((step) => step.id === id && step.option === option)) return moveOf(position, option)
      }
    }
    return undefined
  }

  private take(move: Move, { asleep }: Frame, branches: ReadonlyArray<Branch>): void {
    const { engine, footprints, options, path, statistics } = this
    const position = fiberOf(move)
    const node = engine.at[position]
    if (node === undefined || node.options === 0 || !engine.canPerform(node)) {
      throw new Error(`a sequence to explore has a move that is not possible: ${node?.fiber.name}`)
    }
    const isOwn = node.outcomes.length > 0
    const displaced = isOwn ? undefined : this.displacedBy(node)
    const races = this.order.step(move)
    const violations = together(engine.take(move), races)
    const { last: outcome } = engine
    if (outcome === undefined) throw new Error("a step was taken that came to nothing")
    statistics.transitions++
    path.push(move)
    const depth = path.length
    if (depth > statistics.maxDepth) statistics.maxDepth = depth
    const id = this.idAt(position)
    const footprint = isOwn ? footprints.of(node, outcome) : footprints.ofOther(node)
    this.trace.push({
      id,
      option: optionOf(move),
      footprint,
      node,
      outcome,
      displaced,
      forks: this.forkedBy(node, outcome),
      hasEnded: isOwn ? outcome.next?.ended === true : this.hasEnded(node),
    })
    const found = footprints.hasPromises ? footprints.promising(() => this.promises.step()) : nothing
    this.enter(depth, this.stillAsleep(asleep, id, footprint), branches)
    if (violations.length === 0 && found.length === 0) return
    const violation = decisive(together(violations, found), options)
    if (violation !== undefined) this.violated(violation)
  }

  /** What need not come next once a step was taken. */
  private stillAsleep(asleep: Frame["asleep"], id: number, footprint: Step["footprint"]): Frame["asleep"] {
    if (asleep.length === 0) return asleep
    const still = asleep.filter((step) => step.id !== id && !conflict(step.footprint, footprint))
    return still.length === 0 ? nothing : still
  }

  private enter(depth: number, asleep: Frame["asleep"], branches: Frame["branches"]): void {
    const frame = this.frames[depth]
    const { pending } = this.promises
    if (frame === undefined) this.frames.push({ asleep, branches, pending })
    else {
      frame.asleep = asleep
      frame.branches = branches
      frame.pending = pending
    }
  }

  /** The fiber that a step has forked: none if it broke down as there is one of that name. */
  private forkedBy({ operation }: Node, { result }: Outcome): number {
    if (operation?.kind !== "fork" || result instanceof StepFailed) return nowhere
    return this.footprints.idOf(operation.args[0])
  }

  /** Where a fiber stands that is about to be interrupted. */
  private displacedBy({ operation }: Node): Displaced | undefined {
    if (operation?.kind !== "interrupt") return undefined
    const [name] = operation.args
    const node = this.engine.at.find(({ fiber }) => fiber.name === name)
    if (node === undefined || node.operation === undefined || node.interrupted) return undefined
    return { node, before: this.trace.lastOf(this.footprints.idOf(name)) }
  }

  /** Whether the fiber that an operation is about has ended. */
  private hasEnded({ operation }: Node): boolean {
    return this.engine.at.some(({ ended, fiber }) => ended && fiber.name === operation?.args[0])
  }

  private violated(violation: Violation): void {
    this.statistics.executions++
    this.ending = { kind: "violated", violation, moves: [...this.path] }
  }

  /** Judges the end of an execution. */
  private finish(): void {
    const { engine, options, path, statistics } = this
    if (this.frame(path.length).asleep.length > 0 && engine.moves().length > 0) {
      statistics.blocked++
      return
    }
    const violation = decisive(together(engine.end(), this.promises.end()), options)
    if (violation !== undefined) {
      this.violated(violation)
      return
    }
    statistics.executions++
    const { rest } = engine
    if (rest !== "broken") options.survey?.final(engine.instance.store.contents(), rest === "stuck")
    this.spotCheck.look(engine, path)
    if (statistics.executions === options.executions) {
      this.ending = { kind: "cut", reason: `${options.executions} executions were run, as asked` }
    }
  }

  /** See `Listener`. */
  note(first: number, least: ReadonlyArray<Step>): boolean {
    const frame = this.frame(first)
    const branches = [...frame.branches]
    if (!isAsleep(frame, least) && insert(branches, least, true)) {
      frame.branches = branches
      return true
    }
    const whole = this.reversals.whole()
    if (isAsleep(frame, whole)) return false
    insert(branches, whole, false)
    frame.branches = branches
    return false
  }

  /** Goes back to the last state from which something is still to be explored. */
  private backtrack(): void {
    const { engine, footprints, path, statistics, trace } = this
    if (footprints.version !== this.version && statistics.executions < manyExecutions) {
      this.beginAnew()
      return
    }
    while (trace.length > 0) {
      engine.undo()
      this.order.undo()
      path.pop()
      const { footprint, id, option } = trace.pop()
      const frame = this.frame(path.length)
      if (frame.branches.length === 0) continue
      frame.asleep = [...frame.asleep, { id, option, footprint }]
      this.newFrom = path.length
      if (footprints.hasPromises) this.promises.pending = frame.pending
      return
    }
    if (footprints.version === this.version) this.ending = { kind: "exhausted" }
    else this.beginAnew()
  }

  private beginAnew(): void {
    const { engine, footprints, path, statistics, trace } = this
    while (trace.length > 0) {
      engine.undo()
      trace.pop()
    }
    this.order.begin()
    path.length = 0
    this.promises.pending = this.frame(0).pending
    this.enter(0, nothing, nothing)
    this.newFrom = 0
    footprints.forget()
    this.version = footprints.version
    statistics.executions = 0
    statistics.blocked = 0
  }

  private frame(depth: number): Frame {
    return this.frames[depth] as Frame // there is one for each state of the present execution
  }

  private idAt(position: number): number {
    return position < this.fibersAtStart ? position : this.footprints.idOf(this.engine.at[position]?.fiber.name ?? "")
  }

  private positionOf(id: number): number {
    if (id < this.fibersAtStart) return id
    return this.engine.at.findIndex(({ fiber }) => this.footprints.idOf(fiber.name) === id)
  }
}

/** Whether what begins with a sequence has been explored. */
const isAsleep = ({ asleep }: Frame, sequence: ReadonlyArray<Step>): boolean => {
  for (let i = 0; i < asleep.length; i++) if (isWeakInitial(asleep[i] as Step, sequence)) return true // within
  return false
}

export const optimal: Strategy = {
  name: "optimal",
  summary:
    "one schedule was run of each class of those that differ only in the order of independent steps, so every invariant held in all that it can see, and whatever can happen at the end of a schedule has happened. Steps are independent when neither writes what the other reads or writes, and no invariant sees both. It wins where states are many and steps seldom meet; a loop that need not end has no end here",
  exhaustive: true,
  covers: "every schedule, up to the order of independent steps",
  needsSteps: true,
  takes: new Set(["executions", "paranoid"]),
  search: (program, options) => new Optimal(program, options),
}
