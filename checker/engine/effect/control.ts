/**
 * Takes every decision that Effect leaves to its surroundings: which fiber runs when, and when time passes.
 *
 * Effect asks `shouldYield` before each operation, and with an operation count of 1 at the first operation after a fiber
 * was started or resumed, by whomever. There the answer is yes, unless the fiber was just granted its turn: so whatever
 * makes a fiber go on only makes it ready, and its turn is a move of its own. A turn ends where the fiber suspends: at
 * `yieldNow`, at a wait, at its end, or after as many operations as Effect lets it compute.
 *
 * Or a fiber that is resumed runs inside the turn of whoever resumes it, in the middle of it, as in Effect's own runtime.
 * Neither of the two has all schedules of the other.
 *
 * Three things are kept as Effect promises them or relies on them. A fiber that is started immediately runs to its first
 * suspension where it is started; only those that `Effect.all`, races and their like start begin, where who is woken goes
 * on later, at any time. A fiber that was resumed is not interrupted before its turn: Effect runs it
 * at once, so its queues hand over an element in the belief that nothing comes between; who interrupts it then interrupts
 * it where that turn ends. And work that Effect puts off to the scheduler, such as waking those who wait at a queue, is a
 * move of its own, in the order in which one fiber put it off.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import * as Tracer from "effect/Tracer"
import { breakRule } from "../../program/runtime.ts"
import type { PlainEffect, Woken } from "../../scenario/program.ts"
import { awaitedIn, operationName, suspension } from "./awaited.ts"
import { type Runner, surroundingsOf } from "./surroundings.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** A fiber of the program. */
export interface Strand {
  readonly kind: "fiber"
  /** Its place among the forks: `main`, `main/1`, `main/1/2`. */
  readonly name: string
  readonly fiber: AnyFiber
  /** Lets it go on; there while it is ready. */
  turn: (() => void) | undefined
  /** The virtual time at which it wakes, and what wakes it; there while it sleeps. */
  timer: Timer | undefined
  /** The operation that suspended it last, until it has a name. */
  suspendedIn: object | undefined
  /** What it was suspended in last, or where it stands. */
  standing: string
  /** Whether it was resumed and has not had its turn since. */
  resumed: boolean
  /** Whether an interruption is reaching it right now. */
  interrupting: boolean
  /** Interruptions that came between its resumption and its turn. */
  readonly putOff: Array<Parameters<AnyFiber["interruptUnsafe"]>>
  /** How many fibers it has made. */
  made: number
}

interface Timer {
  readonly at: number
  readonly milliseconds: number
  readonly wake: () => void
}

/** What a fiber has put off to the scheduler. */
export interface Backlog {
  readonly kind: "backlog"
  readonly name: string
  readonly tasks: Array<() => void>
}

/** Whoever can have a turn. */
export type Member = Strand | Backlog

export type ControlOptions = Pick<PlainEffect, "time" | "yieldEvery">

const foreignScheduler =
  "it runs on a scheduler of its own, so its turns are not the checker's to choose: leave the scheduler that is there"

/** Operations of a run loop before the first of the program's own: the one that resumes it and the one put off by it. */
const resuming = 2

export class Control implements Scheduler, SchedulerDispatcher, Runner {
  readonly executionMode = "sync"
  /** In the order in which they came. */
  readonly members: Array<Member> = []
  readonly main: Strand
  now = 0
  /** When fibers go on that are woken. May change as long as no fiber had its turn. */
  woken: Woken = "later"
  private readonly options: ControlOptions
  private readonly strands = new WeakMap<AnyFiber, Strand>()
  private readonly backlogs = new Map<string, Backlog>()
  /** The fiber whose turn it is, until it has asked. */
  private granted: AnyFiber | undefined
  /** The strand whose next task is its turn. */
  private yielding: Strand | undefined
  /** The name of a fiber that was made and has not begun. */
  private begun: { readonly name: string; readonly immediately: boolean } | undefined
  /** The name of the operation that was evaluated last, by whom, and as which of its operations. */
  private operation: unknown
  private evaluator: AnyFiber | undefined
  private count = 0
  /** Who has suspended last and started fibers meanwhile, and as which of its operations. */
  private starter: AnyFiber | undefined
  private startedAt = 0
  /** The fiber that has asked whether to yield, until it evaluates its next operation. */
  private asked: AnyFiber | undefined
  /** Fibers that did not ask when they began: another scheduler runs them. */
  private readonly foreign = new WeakSet<AnyFiber>()
  private readonly tracer: Tracer.Tracer
  /** Fibers that were suspended in the present move. */
  private readonly suspended = new Set<AnyFiber>()
  private strangers = 0

  constructor(effect: Effect.Effect<unknown, unknown>, options: ControlOptions) {
    this.options = options
    const surroundings = surroundingsOf(this)
    this.tracer = Context.get(surroundings, Tracer.Tracer)
    const fiber = Effect.runForkWith(surroundings)(effect, { scheduler: this })
    this.main = this.strandOf(fiber)
    this.release()
  }

  /** Whether somebody can have a turn. */
  isReady(member: Member): boolean {
    if (member.kind === "backlog") return member.tasks.length > 0
    return member.turn !== undefined && member.fiber.pollUnsafe() === undefined
  }

  /** Whoever can have a turn: those that are ready, and of the sleepers those that wake first. */
  *ready(): Generator<number> {
    let none = true
    let earliest = Number.POSITIVE_INFINITY
    for (const member of this.members) {
      if (this.isReady(member)) none = false
      else if (member.kind === "fiber" && member.timer !== undefined) earliest = Math.min(earliest, member.timer.at)
    }
    const wake = none || this.options.time === "passes"
    for (const [position, member] of this.members.entries()) {
      if (this.isReady(member)) yield position
      else if (wake && member.kind === "fiber" && member.timer?.at === earliest) yield position
    }
  }

  /** Gives a member its turn. Throws what a task of a backlog throws. */
  run(member: Member): void {
    try {
      if (member.kind === "backlog") member.tasks.shift()?.()
      else this.goOn(member)
    } finally {
      this.release()
    }
  }

  private goOn(strand: Strand): void {
    const { turn, timer, fiber, putOff } = strand
    strand.turn = undefined
    strand.resumed = false
    this.granted = fiber
    if (turn !== undefined) turn()
    else if (timer !== undefined) {
      strand.timer = undefined
      this.now = timer.at
      timer.wake()
    }
    this.granted = undefined
    for (const interruption of putOff.splice(0)) fiber.interruptUnsafe(...interruption)
  }

  /** What a member stands at, in words. */
  describe(member: Member): string {
    if (member.kind === "backlog") return "run"
    const { suspendedIn } = member
    if (suspendedIn !== undefined) {
      member.suspendedIn = undefined
      member.standing = this.inSpan(
        member,
        member.timer === undefined ? awaitedIn(suspendedIn) : `sleep(${member.timer.milliseconds})`,
      )
    }
    return member.standing
  }

  /** Says in which span, or function of `Effect.fn`, it is. */
  private inSpan({ fiber }: Strand, what: string): string {
    const { span, stackFrame } = fiber.cache
    const name = stackFrame?.name ?? (span?._tag === "Span" ? span.name : undefined)
    return name === undefined || name === "" ? what : `${name}: ${what}`
  }

  get running(): string {
    const fiber = Fiber.getCurrent()
    return (fiber === undefined ? undefined : this.strands.get(fiber)?.name) ?? "outside"
  }

  shouldYield(fiber: AnyFiber): boolean {
    if (fiber.currentOpCount === 1) return this.isPutOff(fiber)
    const { yieldEvery } = this.options
    const most = fiber.cache.maxOpsBeforeYield
    const yields = fiber.currentOpCount >= (yieldEvery === undefined ? most : Math.min(most, yieldEvery + resuming))
    if (yields) this.standAt(this.strandOf(fiber), "yield")
    return yields
  }

  /** Whether a fiber that begins or goes on has to wait for its turn. */
  private isPutOff(fiber: AnyFiber): boolean {
    this.asked = fiber
    if (this.granted === fiber) {
      this.granted = undefined
      return false
    }
    const known = this.strands.get(fiber)
    const immediately = known === undefined && this.begun?.immediately === true
    const strand = known ?? this.strandOf(fiber)
    if (immediately || (known !== undefined && this.woken === "at once")) return false
    if (strand.interrupting) this.standAt(strand, `interrupted in ${this.describe(strand)}`)
    else if (known !== undefined) {
      this.describe(strand)
      strand.resumed = true
    }
    strand.timer = undefined
    this.yielding = strand
    return true
  }

  private standAt(strand: Strand, standing: string): void {
    strand.suspendedIn = undefined
    strand.standing = strand.interrupting ? standing : this.inSpan(strand, standing)
    this.yielding = strand
  }

  evaluating(operation: object, fiber: AnyFiber): boolean {
    const begins = fiber.currentOpCount === 1
    const isAsked = this.asked === fiber
    if (begins) this.asked = undefined
    if (begins && !isAsked && this.isPutOffUnasked(fiber)) return true
    this.operation = operationName(operation)
    this.evaluator = fiber
    this.count = fiber.currentOpCount
    const suspends = this.operation === suspension || this.operation === "Yield"
    if (suspends && this.foreign.has(fiber)) return breakRule(foreignScheduler)
    if (this.operation === suspension) {
      this.strandOf(fiber).suspendedIn = operation
      this.suspended.add(fiber)
    } else if (this.operation === "Yield") {
      const strand = this.strandOf(fiber)
      if (this.yielding !== strand) this.standAt(strand, "yieldNow")
      this.suspended.add(fiber)
    }
    return false
  }

  /** Whether it has to wait for its turn, of a fiber that begins or goes on and does not ask: it never yields, or another scheduler runs it. */
  private isPutOffUnasked(fiber: AnyFiber): boolean {
    const { preventYield, scheduler } = fiber.cache
    if (preventYield && scheduler === this) {
      const isPutOff = this.isPutOff(fiber)
      this.asked = undefined
      return isPutOff
    }
    if (this.strands.has(fiber)) return breakRule(foreignScheduler)
    // One that `Effect.runSync` runs comes to its end without being suspended, so that there is nothing to decide.
    this.foreign.add(fiber)
    this.begun = undefined
    return false
  }

  fiberMade(): void {
    const maker = Fiber.getCurrent()
    const strand = maker === undefined ? undefined : this.strands.get(maker)
    const name = strand === undefined ? this.nextStranger() : `${strand.name}/${++strand.made}`
    this.begun = { name, immediately: this.woken === "at once" || this.startsImmediately(maker) }
  }

  /** Whether a fiber that its maker starts immediately does start, where who is woken goes on later. */
  private startsImmediately(maker: AnyFiber | undefined): boolean {
    if (maker === undefined || maker.cache.tracer !== this.tracer) return false
    // What `Effect.all` and its like start, they start while they suspend. Whom they started before may have run since.
    if (maker === this.evaluator && maker.currentOpCount === this.count) {
      this.starter = this.operation === suspension ? maker : undefined
      this.startedAt = this.count
    }
    return this.starter !== maker || this.startedAt !== maker.currentOpCount
  }

  private nextStranger(): string {
    return this.members.length === 0 ? "main" : `fiber ${++this.strangers}`
  }

  private strandOf(fiber: AnyFiber): Strand {
    const known = this.strands.get(fiber)
    if (known !== undefined) return known
    const strand: Strand = {
      kind: "fiber",
      name: this.begun?.name ?? this.nextStranger(),
      fiber,
      turn: undefined,
      timer: undefined,
      suspendedIn: undefined,
      standing: "start",
      resumed: false,
      interrupting: false,
      putOff: [],
      made: 0,
    }
    this.begun = undefined
    this.strands.set(fiber, strand)
    this.members.push(strand)
    const interrupt = fiber.interruptUnsafe
    // Interruption takes no way through the scheduler, so it is caught where everybody calls it.
    Reflect.set(fiber, "interruptUnsafe", (...interruption: Parameters<AnyFiber["interruptUnsafe"]>) => {
      if (strand.resumed) {
        strand.putOff.push(interruption)
        return
      }
      const before = strand.interrupting
      strand.interrupting = true
      interrupt.apply(fiber, interruption)
      strand.interrupting = before
    })
    return strand
  }

  makeDispatcher(): SchedulerDispatcher {
    return this
  }

  scheduleTask(task: () => void): void {
    const { yielding } = this
    if (yielding !== undefined) {
      this.yielding = undefined
      yielding.turn = task
    } else if (this.begun !== undefined) {
      this.begun = { ...this.begun, immediately: false }
      task()
      this.begun = undefined
    } else this.backlogOf(this.running).tasks.push(task)
  }

  flush(): void {}

  private backlogOf(name: string): Backlog {
    const known = this.backlogs.get(name)
    if (known !== undefined) return known
    const backlog: Backlog = { kind: "backlog", name: `wake-ups of ${name}`, tasks: [] }
    this.backlogs.set(name, backlog)
    this.members.push(backlog)
    return backlog
  }

  sleep(milliseconds: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const fiber = Fiber.getCurrent()
      if (fiber === undefined) return
      const strand = this.strandOf(fiber)
      strand.timer = { at: this.now + milliseconds, milliseconds, wake: () => resume(Effect.void) }
      return Effect.sync(() => {
        strand.timer = undefined
      })
    })
  }

  private release(): void {
    // Effect resumes a fiber inside the AsyncResource that it was suspended with. Nothing here needs one: see `fiberRun.ts`.
    for (const fiber of this.suspended) Reflect.set(fiber, "_asyncContext", undefined)
    this.suspended.clear()
  }
}
