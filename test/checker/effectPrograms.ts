/** Ordinary Effect programs, each with a mistake and without it. Nothing in them knows of the checker. */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import { type EffectProgram, effectProgram } from "../../checker/index.ts"

const together = { concurrency: "unbounded", discard: true } as const

/** Two increments, by whatever increments. */
const counting = (id: string, increment: (counter: Ref.Ref<number>) => Effect.Effect<void>) =>
  effectProgram({
    id,
    program: () =>
      Effect.gen(function* () {
        const counter = yield* Ref.make(0)
        yield* Effect.all([increment(counter), increment(counter)], together)
        return yield* Ref.get(counter)
      }),
    check: (exit) => Exit.isSuccess(exit) && exit.value === 2,
  })

const increment = Effect.fn("increment")(function* (counter: Ref.Ref<number>) {
  const seen = yield* Ref.get(counter)
  yield* Effect.yieldNow
  yield* Ref.set(counter, seen + 1)
})

export const lostUpdate = counting("lost-update", increment)
export const atomicUpdate = counting("atomic-update", (counter) =>
  Effect.andThen(
    Effect.yieldNow,
    Ref.update(counter, (seen) => seen + 1),
  ),
)

/** Somebody waits until a flag is set, having looked at it before; whoever sets it wakes him in some way. */
const waking = (id: string, wake: (latch: Latch.Latch) => Effect.Effect<boolean>) =>
  effectProgram({
    id,
    program: () =>
      Effect.gen(function* () {
        const ready = yield* Ref.make(false)
        const latch = yield* Latch.make()
        const waiter = Effect.gen(function* () {
          const seen = yield* Ref.get(ready)
          yield* Effect.yieldNow
          if (!seen) yield* latch.await
        })
        const setter = Effect.andThen(Ref.set(ready, true), wake(latch))
        yield* Effect.all([waiter, setter], together)
      }),
  })

export const lostWakeUp = waking("lost-wake-up", (latch) => latch.release)
export const keptWakeUp = waking("kept-wake-up", (latch) => latch.open)

/** A fiber that holds a permit is interrupted, and the permit is wanted afterwards. */
const interrupting = (
  id: string,
  held: (semaphore: Semaphore.Semaphore, work: Effect.Effect<void>) => Effect.Effect<unknown>,
) =>
  effectProgram({
    id,
    program: () =>
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1)
        const worker = yield* Effect.forkChild(held(semaphore, Effect.yieldNow))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(worker)
        yield* semaphore.take(1)
        return "got it"
      }),
  })

export const interruptedHolder = interrupting("interrupted-holder", (semaphore, work) =>
  Effect.gen(function* () {
    yield* semaphore.take(1)
    yield* work
    yield* semaphore.release(1)
  }),
)
export const scopedHolder = interrupting("scoped-holder", (semaphore, work) => semaphore.withPermit(work))

/** A payment that takes too long is given up; what was given up must not be charged. */
export const timeoutRace = effectProgram({
  id: "timeout-race",
  program: () =>
    Effect.gen(function* () {
      const charged = yield* Ref.make(0)
      const pay = Effect.gen(function* () {
        yield* Effect.sleep("500 millis")
        yield* Ref.update(charged, (sum) => sum + 10)
        yield* Effect.sleep("500 millis")
      })
      const paid = yield* Effect.timeoutOption(pay, "700 millis")
      return { paid: paid._tag === "Some", charged: yield* Ref.get(charged) }
    }),
  check: (exit) => {
    if (Exit.isSuccess(exit) && !exit.value.paid && exit.value.charged > 0) throw new Error("given up, and charged")
  },
})

/** The same, with one place where it is decided. */
export const timeoutDecided = effectProgram({
  id: "timeout-decided",
  program: () =>
    Effect.gen(function* () {
      const charged = yield* Ref.make(0)
      const outcome = yield* Deferred.make<"paid" | "given up">()
      const pay = Effect.gen(function* () {
        yield* Effect.sleep("500 millis")
        if (yield* Deferred.succeed(outcome, "paid")) yield* Ref.update(charged, (sum) => sum + 10)
      })
      const giveUp = Effect.andThen(Effect.sleep("700 millis"), Deferred.succeed(outcome, "given up"))
      yield* Effect.forkChild(pay)
      yield* Effect.forkChild(giveUp)
      const decided = yield* Deferred.await(outcome)
      return { paid: decided === "paid", charged: yield* Ref.get(charged) }
    }),
  check: (exit) => {
    if (Exit.isSuccess(exit) && !exit.value.paid && exit.value.charged > 0) throw new Error("given up, and charged")
  },
})

/** Two fibers that take two semaphores, in orders of their own. */
const locking = (id: string, orders: readonly [string, string]) =>
  effectProgram({
    id,
    program: () =>
      Effect.gen(function* () {
        const semaphores = new Map<string, Semaphore.Semaphore>()
        for (const name of "ab") semaphores.set(name, yield* Semaphore.make(1))
        const take = (order: string): Effect.Effect<void> => {
          const semaphore = semaphores.get(order.slice(0, 1))
          return semaphore === undefined
            ? Effect.void
            : semaphore.withPermit(Effect.andThen(Effect.yieldNow, take(order.slice(1))))
        }
        const fibers = yield* Effect.forEach(orders, (order) => Effect.forkChild(take(order)))
        yield* Effect.forEach(fibers, Fiber.join)
      }),
  })

export const semaphoreDeadlock = locking("semaphore-deadlock", ["ab", "ba"])
export const semaphoreOrder = locking("semaphore-order", ["ab", "ab"])

/** A producer that closes the queue behind its last element, and a consumer. */
const closing = (id: string, close: (queue: Queue.Queue<number, Cause.Done>) => Effect.Effect<boolean>) =>
  effectProgram({
    id,
    program: () =>
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<number, Cause.Done>()
        const taken: Array<number> = []
        const consumer = Effect.forever(Effect.map(Queue.take(queue), (element) => taken.push(element)))
        const producer = Effect.gen(function* () {
          yield* Queue.offer(queue, 1)
          yield* Effect.yieldNow
          yield* Queue.offer(queue, 2)
          yield* close(queue)
        })
        yield* Effect.all([Effect.exit(consumer), producer], together)
        return taken
      }),
    properties: [
      {
        id: "nothing-lost",
        statement: "Whatever was offered is taken.",
        source: "what a queue is for",
        holds: (exit) => Exit.isSuccess(exit) && exit.value.length === 2,
        explain: (exit) => `Of two elements ${Exit.isSuccess(exit) ? exit.value.length : 0} were taken.`,
      },
    ],
  })

export const shutDownQueue = closing("shut-down-queue", Queue.shutdown)
export const endedQueue = closing("ended-queue", Queue.end)

/** Programs with a mistake: the property that breaks, and the same without the mistake. */
export const mistakes: ReadonlyArray<readonly [EffectProgram, string, EffectProgram]> = [
  [lostUpdate, "check", atomicUpdate],
  [lostWakeUp, "deadlock", keptWakeUp],
  [interruptedHolder, "deadlock", scopedHolder],
  [timeoutRace, "check", timeoutDecided],
  [semaphoreDeadlock, "deadlock", semaphoreOrder],
  [shutDownQueue, "nothing-lost", endedQueue],
]
