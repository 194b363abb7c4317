/**
 * One real Effect fiber under control: it runs until it reaches an operation, parks there, and goes on when it is
 * told the operation's result.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import { labelOf, type Operation } from "../program/operation.ts"
import { intern, NotPlain, type Plain } from "../program/plain.ts"
import { type Actor, breakRule, noteThatCounts, type ProcedureEnd, runtime } from "../program/runtime.ts"
import { Sections } from "../program/section.ts"
import { builtIn, type Violation } from "../property/violation.ts"
import type { NamedFiber, Rewrite } from "../scenario/program.ts"
import { describeError } from "./fault.ts"
import { type Answer, History, interruption } from "./history.ts"
import { reachedIn } from "./sections.ts"

/** How many Effect operations a fiber may compute between two steps before it is called a runaway. */
const operationLimit = 1_000_000

/** Queues what Effect wants to run later, and counts what a fiber computes. */
class ControlledScheduler implements Scheduler, SchedulerDispatcher {
  readonly executionMode = "sync"
  private readonly tasks: Array<() => void> = []
  private operations = 0
  runaway = false

  makeDispatcher(): SchedulerDispatcher {
    return this
  }
  scheduleTask(task: () => void): void {
    if (!this.runaway) this.tasks.push(task)
  }
  flush(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
  shouldYield(): boolean {
    if (++this.operations > operationLimit) this.runaway = true
    return this.runaway
  }
  reset(): void {
    this.operations = 0
  }
}

const realTime = (): never =>
  breakRule("Effect's Clock is the real world's: model the passing of time with a step or a choice")
const forbiddenClock: Clock.Clock = {
  currentTimeMillisUnsafe: realTime,
  currentTimeNanosUnsafe: realTime,
  monotonicTimeNanosUnsafe: realTime,
  currentTimeMillis: Effect.sync(realTime),
  currentTimeNanos: Effect.sync(realTime),
  monotonicTimeNanos: Effect.sync(realTime),
  sleep: () => Effect.sync(realTime),
}

/** What fibers find around them. Their logs and spans go nowhere: they would come again with each run of a fiber. */
const surroundings = Context.make(Clock.Clock, forbiddenClock).pipe(
  Context.add(References.CurrentLoggers, new Set()),
  Context.add(References.TracerEnabled, false),
  Context.add(References.TracerTimingEnabled, false),
)

/** Where a fiber stands: at an operation, at its end, or somewhere it must not be. */
export type Standing =
  | { readonly kind: "parked"; readonly operation: Operation }
  /** With the value that who joins it is told: only of fibers that were forked. */
  | { readonly kind: "ended"; readonly value: Plain }
  | { readonly kind: "broken"; readonly violation: Violation }

/** A procedure that a fiber is in. */
interface Call {
  /** How the fiber came to it. */
  entry: History
  /** The history right at its beginning; `undefined` once a checkpoint has come. */
  entered: History | undefined
}

/** The end of a call. A class, for there are many: closures with names of their own take time to make. */
class Entered implements ProcedureEnd {
  private readonly run: FiberRun
  private readonly depth: number
  private readonly call: Call

  constructor(run: FiberRun, depth: number, call: Call) {
    this.run = run
    this.depth = depth
    this.call = call
  }

  returned(live: Plain): void {
    this.run.leaveProcedure(this.depth, this.call, { live })
  }

  failed(): void {
    this.run.leaveProcedure(this.depth, this.call)
  }
}

const uncounted: ProcedureEnd = { returned: () => undefined, failed: () => undefined }

export class FiberRun implements Actor {
  readonly name: string
  standing: Standing = { kind: "ended", value: undefined }
  history: History
  /** The history that stands for all those with which it can have ended. */
  private end: History | undefined
  private readonly forked: boolean

  private readonly scheduler = new ControlledScheduler()
  private readonly rewrite: Rewrite | undefined
  private readonly root: Fiber.Fiber<unknown, unknown>
  private rootSeen: Fiber.Fiber<unknown, unknown> | undefined
  private parked: { readonly operation: Operation; readonly resume: (result: Exit.Exit<Plain>) => void } | undefined
  /** The first rule that the fiber's code broke, if it broke one. */
  blamed: string | undefined
  /** Whether it was interrupted: it may then end so. */
  interrupted = false
  /** The operation performed last. */
  private last: Operation | undefined
  /** The procedures that it is in, the outermost first. */
  private readonly calls: Array<Call> = []
  /** The names of the operations that are being replaced right now: inside, they mean themselves. */
  private readonly replacing = new Set<string>()
  /** What a seeded bug has left out since the last answer: it performed nothing in the place of these. */
  leftOut: Array<Operation> = []

  /** @param origin the history of the fiber that forks it, if it is not there from the start */
  constructor(fiber: NamedFiber, origin?: History) {
    this.name = fiber.name
    this.history = History.of(fiber.name, origin)
    this.forked = origin !== undefined
    this.rewrite = fiber.rewrite()
    const effect = Effect.withFiber((self) => {
      this.rootSeen = self
      return Effect.provideContext(fiber.effect, surroundings)
    })
    this.root = this.running(() => Effect.runFork(effect, { scheduler: this.scheduler }))
    this.settle()
  }

  /** Tells the parked fiber its operation's result, or that it is interrupted, and lets it run on to the next. */
  answer(answer: Answer): void {
    const parked = this.parked
    if (parked === undefined) throw new Error(`fiber ${this.name} is not parked`)
    this.history = this.history.after(answer)
    if (this.leftOut.length > 0) this.leftOut = []
    this.scheduler.reset()
    if (answer === interruption) {
      // An uninterruptible region goes on waiting where it is: `parked` is emptied by the wait itself, if it ends.
      this.interrupted = true
      this.running(() => this.root.interruptUnsafe())
    } else {
      this.parked = undefined
      this.last = parked.operation
      this.running(() => parked.resume(Exit.succeed(answer)))
    }
    this.settle()
  }

  /**
   * What the fiber's future depends on. All ends of a fiber are one (of a forked one, those with one value), unless
   * `keepEnds`.
   */
  future(keepEnds: boolean): History {
    const { standing } = this
    if (standing.kind !== "ended" || keepEnds) return this.history
    this.end ??= History.of(this.name, undefined).passing({
      label: "ended",
      live: standing.value,
      entry: undefined,
      calls: 0,
      interrupted: false,
    })
    return this.end
  }

  get place(): string {
    return this.parked === undefined ? this.behind : `in ${labelOf(this.parked.operation)}`
  }

  /** What the fiber has done last. */
  private get behind(): string {
    return this.last === undefined ? "before its first step" : `after ${labelOf(this.last)}`
  }

  perform(operation: Operation): Effect.Effect<Plain> {
    const original = this.park(operation)
    const { name } = operation
    if (this.rewrite === undefined || this.replacing.has(name)) return original
    const replacement = this.rewrite.replace(operation, original)
    if (replacement === undefined || replacement === original) return original
    return Effect.suspend(() => {
      const { told } = this.history
      this.replacing.add(name)
      // A replacement may fail where the original cannot: its errors are the fiber's.
      return Effect.ensuring(
        replacement as Effect.Effect<Plain>,
        Effect.sync(() => {
          this.replacing.delete(name)
          if (this.history.told === told) this.leftOut.push(operation)
        }),
      )
    })
  }

  passCheckpoint(label: string, live: ReadonlyArray<Plain>): void {
    this.passHead(`checkpoint ${label}`, live, undefined, 0)
  }

  enterLoop(label: string): (live: ReadonlyArray<Plain>) => void {
    const { history, calls } = this
    const depth = calls.length
    return (live) => this.passHead(`loop ${label}`, live, history, depth)
  }

  /** @param depth how many calls the past that is not forgotten is in */
  private passHead(label: string, live: Plain, entry: History | undefined, depth: number): void {
    const { calls, interrupted } = this
    this.history = this.history.passing({ label, live, entry, calls: calls.length - depth, interrupted })
    // The calls that are open go on from here, each told from the others.
    for (const [position, call] of calls.entries()) {
      if (position < depth) continue
      call.entry = this.history.calling(position - depth + 1)
      call.entered = undefined
    }
  }

  enterProcedure(by: Fiber.Fiber<unknown, unknown>): ProcedureEnd {
    // One that the root fiber has forked takes no steps, and may end at any time.
    if (by !== this.rootSeen) return uncounted
    const depth = this.calls.length
    const entered = this.history.calling()
    const call: Call = { entry: this.history, entered }
    this.calls.push(call)
    this.history = entered
    return new Entered(this, depth, call)
  }

  /** Notes that a call has returned what is plain data, or failed. */
  leaveProcedure(depth: number, { entry, entered }: Call, returned?: { readonly live: Plain }): void {
    this.calls.length = depth
    // What came of no answer is the same whenever the fiber comes there: there is no past to forget.
    if (this.history === entered) {
      this.history = entry
      return
    }
    if (returned === undefined || this.rewrite?.remembers() === true) return
    const { interrupted, last } = this
    this.history = this.history.returning({ live: returned.live, interrupted, last, entry })
  }

  blame(message: string): void {
    this.blamed = noteThatCounts(this.blamed, message)
  }

  private park(operation: Operation): Effect.Effect<Plain> {
    return Effect.withFiber((self) => {
      if (self !== this.rootSeen) {
        return breakRule(
          `a fiber that it forked reached ${labelOf(operation)}; steps belong to the fibers that the scenario names and those started with fork`,
        )
      }
      return Effect.callback<Plain>((resume) => {
        const changed = this.replacing.size === 0 ? operation : { ...operation, changed: true }
        this.parked = { operation: reachedIn(self.getRef(Sections), changed), resume }
        return Effect.sync(() => {
          this.parked = undefined
        })
      })
    })
  }

  private running<A>(run: () => A): A {
    const before = runtime.actor
    runtime.actor = this
    try {
      const result = run()
      this.scheduler.flush()
      return result
    } finally {
      runtime.actor = before
    }
  }

  private settle(): void {
    // Effect resumes a fiber inside the AsyncResource that it parked with. Nothing here needs one, it costs time, and
    // code that is terminated inside would leave Node's stack of them corrupted: see `supervised.ts`.
    Reflect.set(this.root, "_asyncContext", undefined)
    this.standing = this.judge()
    if (this.standing.kind === "broken") this.running(() => this.root.interruptUnsafe())
  }

  /** The end of a fiber that may be joined. */
  private endedWith(value: unknown): Standing {
    try {
      return { kind: "ended", value: intern(value) }
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error
      const message = `fiber ${this.name}, ${this.behind}: it was forked and ends with a value that is not plain data: ${error.message}; who joins it could not be told`
      return { kind: "broken", violation: { property: builtIn.rules, message } }
    }
  }

  /** Against the rules of the language of programs. */
  private against(message: string): Standing {
    const violation = { property: builtIn.rules, message: `fiber ${this.name}, ${this.behind}: ${message}` }
    return { kind: "broken", violation }
  }

  private judge(): Standing {
    if (this.blamed !== undefined) return this.against(this.blamed)
    if (this.scheduler.runaway) {
      return this.against(`it computed ${operationLimit} operations without reaching a step`)
    }
    const exit = this.root.pollUnsafe()
    if (exit !== undefined) {
      if (Exit.isSuccess(exit)) return this.forked ? this.endedWith(exit.value) : { kind: "ended", value: undefined }
      if (this.interrupted && Cause.hasInterruptsOnly(exit.cause)) return { kind: "ended", value: undefined }
      const failed = Cause.hasFails(exit.cause)
      const error = Cause.squash(exit.cause)
      return {
        kind: "broken",
        violation: {
          property: failed ? builtIn.failure : builtIn.defect,
          message: `fiber ${this.name}, ${this.behind}, ${failed ? "failed with" : "died of"} ${describeError(error)}`,
        },
      }
    }
    if (this.parked !== undefined) return { kind: "parked", operation: this.parked.operation }
    return this.against(
      "it waits for something that is not a step (a promise, a timer, or an Effect primitive that no one completes)",
    )
  }
}
