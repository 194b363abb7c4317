/**
 * What a suspended fiber waits for, in the words of Effect's modules. Effect itself only knows that it waits for a
 * callback. But each module registers its callbacks with a function of its own, and how that function is written is
 * learnt here by suspending in each of them once: nothing is known in advance, and what is not recognised is a callback.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type { Scheduler, SchedulerDispatcher } from "effect/Scheduler"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import { runtime } from "../../program/runtime.ts"

/** The name of an operation of Effect's. */
export const operationName = (operation: object): unknown => Reflect.get(operation, "~effect/Effect/identifier")

/** The name of the operation that suspends a fiber until it is called back. */
export const suspension = "Async"

/** What waits for something that no fiber of the program brings about. */
export const promised = "Effect.promise"

const anything = new Promise<never>(() => undefined)

/** Ways to be suspended. Where two are written alike, the later one gives the name. */
const samples: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> = [
  ["Effect.never", Effect.never],
  [promised, Effect.promise(() => anything)],
  [promised, Effect.tryPromise(() => anything)],
  ["Deferred.await", Effect.flatMap(Deferred.make(), Deferred.await)],
  ["Semaphore.take", Effect.flatMap(Semaphore.make(0), (semaphore) => semaphore.take(1))],
  ["Latch.await", Effect.flatMap(Latch.make(), (latch) => latch.await)],
  ["Queue.take", Effect.flatMap(Queue.unbounded(), Queue.take)],
  ["Queue.offer", Effect.flatMap(Queue.bounded<number>(0), (queue) => Queue.offer(queue, 1))],
  ["Queue.offerAll", Effect.flatMap(Queue.bounded<number>(1), (queue) => Queue.offerAll(queue, [1, 2]))],
  [
    "PubSub.take",
    Effect.scoped(Effect.flatMap(Effect.flatMap(PubSub.unbounded(), PubSub.subscribe), (own) => PubSub.take(own))),
  ],
  ["Fiber.join", Effect.flatMap(Effect.forkDetach(Effect.never), Fiber.join)],
  ["Fiber.joinAll", Effect.flatMap(Effect.forkDetach(Effect.never), (fiber) => Fiber.joinAll([fiber, fiber]))],
  ["Fiber.await", Effect.flatMap(Effect.forkDetach(Effect.never), Fiber.await)],
  ["Fiber.awaitAll", Effect.flatMap(Effect.forkDetach(Effect.never), (fiber) => Fiber.awaitAll([fiber, fiber]))],
  ["Effect.all", Effect.all([Effect.never, Effect.never], { concurrency: "unbounded" })],
  ["Effect.race", Effect.raceAll([Effect.never, Effect.never])],
  ["Effect.raceFirst", Effect.raceAllFirst([Effect.never, Effect.never])],
]

/** Runs nothing but what runs at once. */
const inert: Scheduler & SchedulerDispatcher = {
  executionMode: "sync",
  shouldYield: () => false,
  makeDispatcher: () => inert,
  scheduleTask: () => undefined,
  flush: () => undefined,
}

/** How the function that registers a callback is written. */
const writingOf = (operation: object): string | undefined => {
  const register: unknown = Reflect.get(operation, "register")
  return typeof register === "function" ? Function.prototype.toString.call(register) : undefined
}

const learn = (): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  for (const [name, sample] of samples) {
    let root: unknown
    let last: string | undefined
    const tracer = Tracer.make({
      span: (options) => new Tracer.NativeSpan(options),
      context: (operation, fiber) => {
        root ??= fiber
        if (fiber === root && operationName(operation) === suspension) last = writingOf(operation)
        return operation["~effect/Effect/evaluate"](fiber)
      },
    })
    Effect.runForkWith(Context.make(Tracer.Tracer, tracer))(sample, { scheduler: inert })
    if (last !== undefined) names.set(last, name)
  }
  return names
}

let learnt: ReadonlyMap<string, string> | undefined

/** What a fiber waits for that is suspended in an operation. */
export const awaitedIn = (operation: object): string => {
  if (learnt === undefined) {
    const { actor } = runtime
    runtime.actor = undefined
    learnt = learn()
    runtime.actor = actor
  }
  return learnt.get(writingOf(operation) ?? "") ?? "Effect.callback"
}
