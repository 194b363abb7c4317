/** Random small Effect programs: a few fibers that meet in Effect's own primitives, and a log of what they saw. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import fc from "fast-check"

const kinds = [
  "yield",
  "add",
  "double",
  "succeed",
  "await",
  "locked",
  "offer",
  "take",
  "open",
  "through",
  "sleep",
  "long sleep",
] as const

export type Kind = (typeof kinds)[number] | "interrupt" | "both" | "first" | "in time"

/** What each fiber does, in turn. */
export type Plan = ReadonlyArray<ReadonlyArray<Kind>>

const plans = (kinds: ReadonlyArray<Kind>): fc.Arbitrary<Plan> =>
  fc.array(fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 3 })

export const plan = plans(kinds)
export const interruptingPlan = plans([...kinds, "interrupt"])
/** Fibers that fork others by the way: those start at once in today's runtime, and whenever they like here. */
export const forkingPlan = plans(["yield", "add", "double", "succeed", "await", "sleep", "both", "first", "in time"])

/** The program of a plan: it ends with the number that the fibers have computed together and what each came to. */
export const programOf = (plan: Plan) =>
  Effect.gen(function* () {
    const number = yield* Ref.make(1)
    const deferred = yield* Deferred.make<number>()
    const semaphore = yield* Semaphore.make(1)
    const queue = yield* Queue.unbounded<number>()
    const latch = yield* Latch.make()
    const fibers: Array<Fiber.Fiber<ReadonlyArray<number>>> = []
    const change = (by: (n: number) => number) => Ref.updateAndGet(number, by)
    const step = (kind: Kind, self: number): Effect.Effect<number> => {
      switch (kind) {
        case "yield":
          return Effect.as(Effect.yieldNow, 0)
        case "add":
          return change((n) => n + 1)
        case "double":
          return change((n) => n * 2)
        case "succeed":
          return Effect.flatMap(Ref.get(number), (n) => Effect.as(Deferred.succeed(deferred, n), 0))
        case "await":
          return Deferred.await(deferred)
        case "locked":
          return semaphore.withPermit(Effect.andThen(Effect.yieldNow, Ref.get(number)))
        case "offer":
          return Effect.flatMap(Ref.get(number), (n) => Effect.as(Queue.offer(queue, n), 0))
        case "take":
          return Queue.take(queue)
        case "open":
          return Effect.as(latch.open, 0)
        case "through":
          return Effect.andThen(latch.await, Ref.get(number))
        case "sleep":
          return Effect.as(Effect.sleep("1 second"), 0)
        case "long sleep":
          return Effect.as(Effect.sleep("2 seconds"), 0)
        case "both": {
          const [add, double] = [
            change((n) => n + 1),
            Effect.andThen(
              Effect.yieldNow,
              change((n) => n * 2),
            ),
          ]
          return Effect.map(Effect.all([add, double], { concurrency: "unbounded" }), ([a, b]) => 100 * a + b)
        }
        case "first":
          return Effect.raceFirst(
            Effect.andThen(
              Effect.yieldNow,
              change((n) => n + 1),
            ),
            Deferred.await(deferred),
          )
        case "in time": {
          const slow = Effect.andThen(
            Effect.sleep("1 second"),
            change((n) => n * 2),
          )
          return Effect.map(Effect.timeoutOption(slow, "1 second"), ({ _tag }) => (_tag === "None" ? -1 : 1))
        }
        case "interrupt":
          return Effect.suspend(() => {
            const other = fibers[(self + 1) % plan.length]
            return other === undefined ? Effect.succeed(0) : Effect.as(Fiber.interrupt(other), 0)
          })
      }
    }
    for (const [self, kinds] of plan.entries()) {
      fibers.push(yield* Effect.forkChild(Effect.forEach(kinds, (kind) => step(kind, self))))
    }
    const ends = yield* Effect.forEach(fibers, Fiber.await)
    const seen = ends.map((end) => (Exit.isSuccess(end) ? end.value.join() : "interrupted"))
    return `${yield* Ref.get(number)}: ${seen.join(" ")}`
  })
