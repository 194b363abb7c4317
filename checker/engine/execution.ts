/**
 * Plain re-execution: the definition of what a program means. A fresh instance, real fibers, one step after the other,
 * and no way back but to start again. Whatever the memoised engine reports is confirmed here.
 */
import { labelOf, type Operation } from "../program/operation.ts"
import type { Hash, Plain } from "../program/plain.ts"
import type { Part, StoredCell } from "../program/store.ts"
import { describeDeadlock, type LastWrite } from "../property/deadlock.ts"
import { PropertyTracker } from "../property/tracker.ts"
import { type Upcoming, upcomingIn } from "../property/upcoming.ts"
import type { Violation } from "../property/violation.ts"
import type { Instance, NamedFiber, Program } from "../scenario/program.ts"
import { FiberRun } from "./fiberRun.ts"
import { type History, interruption } from "./history.ts"
import { type FiberPlace, type Interchange, interchangeOf, placeOf } from "./interchange.ts"
import type { LeftOut } from "./plainExecution.ts"
import {
  fiberOf,
  guardHolds,
  type Move,
  monitorsOf,
  type Others,
  optionOf,
  perform,
  pushMoves,
  StepFailed,
  type System,
  waitingIn,
} from "./system.ts"

/** A fiber of the execution. */
interface Member {
  readonly fiber: NamedFiber
  readonly run: FiberRun
  /** Whether its last step failed: it has no way on. */
  failed: boolean
  /** Where it belongs, and the history behind that: a step changes those of few fibers. */
  place: FiberPlace | undefined
  placed: History | undefined
}

const memberOf = (fiber: NamedFiber, origin?: History): Member => ({
  fiber,
  run: new FiberRun(fiber, origin),
  failed: false,
  place: undefined,
  placed: undefined,
})

export class Execution implements System, Others {
  readonly instance: Instance
  readonly tracker: PropertyTracker
  private readonly members: Array<Member>
  private readonly upcoming: Upcoming | undefined
  private readonly lastWrites = new Map<StoredCell, LastWrite>()
  /** What the last step returned. */
  lastResult: Plain = undefined
  /** The fibers that went on from the last move or, before the first, from their start. */
  private wentOn: ReadonlyArray<FiberRun>
  /** Whether histories that end are told apart: see `FiberRun.future`. */
  private readonly keepEnds: boolean
  private readonly interchange: Interchange | undefined
  /** The fingerprint of the state, once it was asked for. */
  private known: Hash | undefined

  constructor(program: Program, options: { readonly keepEnds?: boolean; readonly symmetry?: boolean } = {}) {
    this.instance = program.start()
    this.interchange = interchangeOf(this.instance, options.symmetry ?? false)
    this.keepEnds = options.keepEnds ?? false
    this.members = this.instance.fibers.map((fiber) => memberOf(fiber))
    this.wentOn = this.members.map(({ run }) => run)
    this.tracker = new PropertyTracker(this.instance.store, this.instance.properties, false)
    this.upcoming = upcomingIn(this)
  }

  get fibers(): ReadonlyArray<NamedFiber> {
    return this.members.map(({ fiber }) => fiber)
  }

  get width(): number {
    return this.members.length
  }

  begin(): ReadonlyArray<Violation> {
    return [...this.members.flatMap(({ run }) => brokenIn(run)), ...this.tracker.begin(), ...this.judgeUpcoming()]
  }

  moves(): ReadonlyArray<Move> {
    const moves: Array<Move> = []
    for (const [fiber, { run }] of this.members.entries()) {
      const operation = this.operation(fiber)
      if (operation !== undefined && this.canPerform(run, operation)) pushMoves(moves, fiber, operation)
    }
    return moves
  }

  private canPerform(run: FiberRun, operation: Operation): boolean {
    if (operation.kind === "join") return this.member(operation.args[0])?.run.standing.kind === "ended"
    return guardHolds(this.instance, run, operation)
  }

  /**
   * Takes a step and evaluates the properties behind it.
   *
   * @param all whether every property is evaluated, whatever the step wrote; or only those that have read what it wrote
   */
  take(move: Move, all = true): ReadonlyArray<Violation> {
    const failures = this.follow(move)
    const broken = all ? this.tracker.checkAll() : [...this.tracker.checkStep(0), ...this.tracker.checkState(0)]
    return [...failures, ...broken, ...this.judgeUpcoming()]
  }

  private judgeUpcoming(): ReadonlyArray<Violation> {
    return this.upcoming?.judge() ?? []
  }

  /** As `take`, for a step that was judged before: no property is evaluated until `begin`. */
  follow(move: Move): ReadonlyArray<Violation> {
    const member = this.members[fiberOf(move)]
    const operation = this.operation(fiberOf(move))
    if (member === undefined || operation === undefined) throw new Error(`move ${move} is not possible`)
    const { run } = member
    const { store } = this.instance
    const monitors = monitorsOf(this.instance, operation)
    store.forget()
    this.known = undefined
    const result = perform(this.instance, run, operation, optionOf(move), monitors, this)
    for (const cell of store.writtenSince(0)) this.lastWrites.set(cell, { fiber: run.name, operation })
    if (result instanceof StepFailed) {
      this.lastResult = undefined
      this.wentOn = []
      member.failed = true
      return [result.violation]
    }
    this.lastResult = result
    // What is forked begins before the fiber that forks it goes on.
    const forked = operation.kind === "fork" ? [this.fork(operation, run.history)] : []
    run.answer(result)
    this.wentOn = [run, ...forked, ...this.reach(operation)]
    return this.wentOn.flatMap(brokenIn)
  }

  private fork({ args: [name], effect }: Operation & { readonly kind: "fork" }, origin: History): FiberRun {
    const member = memberOf(this.instance.forked(name, effect), origin)
    const position = this.members.findIndex(({ fiber }) => fiber.name === name)
    this.members[position < 0 ? this.members.length : position] = member
    return member.run
  }

  /** Does to another fiber what the operation does. Returns it, if it reaches one. */
  private reach(operation: Operation): ReadonlyArray<FiberRun> {
    if (operation.kind === "interrupt") {
      const target = this.member(operation.args[0])
      if (target === undefined || target.failed || target.run.interrupted) return []
      if (target.run.standing.kind !== "parked") return []
      target.run.answer(interruption)
      return [target.run]
    }
    return []
  }

  private member(name: string): Member | undefined {
    return this.members.find(({ fiber }) => fiber.name === name)
  }

  get leftOut(): ReadonlyArray<LeftOut> {
    return this.wentOn.flatMap(({ name, leftOut }) =>
      leftOut.map((operation) => ({ fiber: name, label: labelOf(operation) })),
    )
  }

  valueOf(fiber: string): Plain {
    const standing = this.member(fiber)?.run.standing
    return standing?.kind === "ended" ? standing.value : undefined
  }

  isRunning(fiber: string): boolean {
    const standing = this.member(fiber)?.run.standing
    return standing !== undefined && standing.kind !== "ended"
  }

  operation(fiber: number): Operation | undefined {
    const member = this.members[fiber]
    return member?.run.standing.kind === "parked" && !member.failed ? member.run.standing.operation : undefined
  }

  hasEnded(fiber: number): boolean {
    return this.members[fiber]?.run.standing.kind === "ended"
  }

  place(): undefined {
    return undefined
  }

  actor(fiber: number): FiberRun | undefined {
    return this.members[fiber]?.run
  }

  get rest(): "ended" | "stuck" | "broken" {
    if (this.members.some(({ run, failed }) => failed || run.standing.kind === "broken")) return "broken"
    return this.members.every(({ run }) => run.standing.kind === "ended") ? "ended" : "stuck"
  }

  deadlock(): string {
    return describeDeadlock(this, this.lastWrites)
  }

  end(): ReadonlyArray<Violation> {
    if (this.rest === "broken") return []
    return this.tracker.end(waitingIn(this), () => this.deadlock())
  }

  get low(): number {
    return this.fingerprint.low
  }

  get high(): number {
    return this.fingerprint.high
  }

  private get fingerprint(): Hash {
    this.known ??= this.computeFingerprint()
    return this.known
  }

  private computeFingerprint(): Hash {
    const { store } = this.instance
    const rest: Part = { low: store.low, high: store.high }
    const places = this.members.map((member) => this.placeOf(member))
    toggle(places, rest)
    if (this.interchange === undefined) return rest
    this.interchange.fingerprint(rest.low, rest.high, places)
    toggle(places, rest)
    const { low, high } = this.interchange
    return { low, high }
  }

  private placeOf(member: Member): FiberPlace {
    const future = member.run.future(this.keepEnds)
    if (member.place === undefined || member.placed !== future) {
      member.placed = future
      member.place = placeOf(this.interchange, member.run.name, future)
    }
    return member.place
  }
}

/** Puts places into the parts of a fingerprint that they belong to, or takes them out again. */
const toggle = (places: ReadonlyArray<FiberPlace>, rest: Part): void => {
  for (const { part = rest, low, high } of places) {
    part.low ^= low
    part.high ^= high
  }
}

const brokenIn = ({ standing }: FiberRun): ReadonlyArray<Violation> =>
  standing.kind === "broken" ? [standing.violation] : []
