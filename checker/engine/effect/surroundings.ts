/**
 * What an Effect program finds around it while it is explored: services that are the same every time. Its own layers may
 * put others in their place; what those take from the real world is reported by the guards of `realWorld.ts`.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import seedrandom from "seedrandom"

/** What the surroundings ask of whoever runs the program. */
export interface Runner {
  /** The virtual time, in milliseconds. */
  readonly now: number
  /** The name of the fiber whose code is running. */
  readonly running: string
  /** Suspends the running fiber for so many milliseconds of virtual time. */
  readonly sleep: (milliseconds: number) => Effect.Effect<void>
  /** A fiber is made. */
  fiberMade(): void
  /** A fiber is about to evaluate an operation of Effect's: says whether it has to wait for its turn before. */
  evaluating(operation: object, fiber: Fiber.Fiber<unknown, unknown>): boolean
}

const nanosPerMilli = 1_000_000n

/** Time that passes only when a sleeping fiber goes on: it starts at 0. */
class VirtualClock implements Clock.Clock {
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>
  private readonly runner: Runner

  constructor(runner: Runner) {
    this.runner = runner
    this.currentTimeMillis = Effect.sync(() => runner.now)
    this.currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
    this.monotonicTimeNanos = this.currentTimeNanos
  }
  currentTimeMillisUnsafe(): number {
    return this.runner.now
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.runner.now) * nanosPerMilli
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const milliseconds = Duration.toMillis(duration)
    if (milliseconds <= 0) return Effect.yieldNow
    return Number.isFinite(milliseconds) ? this.runner.sleep(milliseconds) : Effect.never
  }
}

const { MAX_SAFE_INTEGER: most, MIN_SAFE_INTEGER: least } = Number

/** A stream of numbers for each fiber, by its name: what a fiber draws does not depend on when the others draw. */
class NamedStreams {
  private readonly runner: Runner
  private readonly streams = new Map<string, () => number>()

  constructor(runner: Runner) {
    this.runner = runner
  }
  nextDoubleUnsafe(): number {
    const name = this.runner.running
    let stream = this.streams.get(name)
    if (stream === undefined) {
      stream = seedrandom.alea(`random numbers of ${name}`)
      this.streams.set(name, stream)
    }
    return stream()
  }
  nextIntUnsafe(): number {
    return Math.floor(this.nextDoubleUnsafe() * (most - least + 1)) + least
  }
}

/** A span whose ids are the same every time. */
class NumberedSpan extends Tracer.NativeSpan {
  private readonly number: number

  constructor(options: ConstructorParameters<typeof Tracer.NativeSpan>[0], number: number) {
    super(options)
    this.number = number
  }
  override get traceId(): string {
    return "1".padStart(32, "0")
  }
  override get spanId(): string {
    return this.number.toString(16).padStart(16, "0")
  }
}

const tracerOf = (runner: Runner): Tracer.Tracer => {
  let spans = 0
  return Tracer.make({
    span: (options) => new NumberedSpan(options, ++spans),
    context: (operation, fiber) => {
      if (!runner.evaluating(operation, fiber)) return operation["~effect/Effect/evaluate"](fiber)
      // An operation is an Effect, and what is returned here is what the run loop goes on with.
      return Effect.andThen(Effect.yieldNow, operation as never) as never
    },
  })
}

/** Hears of fibers that are made. */
class Births implements Metric.FiberRuntimeMetricsService {
  readonly recordFiberStart: () => void

  constructor(runner: Runner) {
    this.recordFiberStart = () => runner.fiberMade()
  }
  recordFiberEnd(): void {}
}

/** Takes whatever is written and keeps it from the terminal: it would come again with each execution. */
const silent: Console.Console = new Proxy(globalThis.console, { get: () => () => undefined })

/** The services for one execution. */
export const surroundingsOf = (runner: Runner): Context.Context<never> =>
  quiet.pipe(
    Context.add(Clock.Clock, new VirtualClock(runner)),
    Context.add(Random.Random, new NamedStreams(runner)),
    Context.add(Tracer.Tracer, tracerOf(runner)),
    Context.add(Metric.FiberRuntimeMetrics, new Births(runner)),
  )

const quiet: Context.Context<never> = Context.make(References.CurrentLoggers, new Set()).pipe(
  Context.add(References.TracerTimingEnabled, false),
  Context.add(Console.Console, silent),
)
