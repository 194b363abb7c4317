/**
 * Programs with a bug, after those of SCTBench (Thomson, Donaldson and Betts, "Concurrency testing using controlled
 * schedulers: an empirical study", TOPC 2016), one shared access or operation on a lock per step.
 */
import * as Effect from "effect/Effect"
import { guardedStep, step } from "../../program/index.ts"
import { add, litmus, lock, type Memory, read, type Threads, times, unlock, write } from "./threads.ts"

/** A program with a bug, and how hard that is to find. The numbers were counted without this checker. */
export interface Buggy {
  readonly name: string
  readonly threads: Threads
  /** The odds that a uniform choice among the threads that can go on, at every step, ends at the bug. */
  readonly walk: number
  /** The fewest preemptions, and the fewest delays, of a schedule that ends at the bug. */
  readonly preemptions: number
  readonly delays: number
}

/** An assertion about what a thread has read, which is no step. */
const expect = (condition: boolean) => (condition ? Effect.void : Effect.fail("the bug"))

/** `at++` without atomicity. */
const increment = (at: ReturnType<Memory>, by = 1) => Effect.flatMap(read(at), (seen) => write(at, seen + by))

/** n - 1 threads that set two variables, and one that expects to see both set or none. */
export const reorder = (n: number): Threads => ({
  cells: ["a", "b"],
  fibers: (memory) => {
    const setter = Effect.andThen(write(memory("a"), 1), write(memory("b"), -1))
    const are = Effect.fnUntraced(function* (a: number, b: number) {
      return (yield* read(memory("a"))) === a && (yield* read(memory("b"))) === b
    })
    const checker = Effect.gen(function* () {
      yield* expect((yield* are(0, 0)) || (yield* are(1, -1)))
    })
    return [...times(n - 1, () => setter), checker]
  },
})

/** Threads that set one variable and then, under another lock, a second one; and one that expects both. */
const twostage = (writers: number): Threads => ({
  cells: ["lock1", "lock2", "d1", "d2"],
  fibers: (memory) => {
    const [lock1, lock2, d1, d2] = [memory("lock1"), memory("lock2"), memory("d1"), memory("d2")]
    const writer = Effect.gen(function* () {
      yield* lock(lock1)
      yield* write(d1, 1)
      yield* unlock(lock1)
      yield* lock(lock2)
      yield* write(d2, (yield* read(d1)) + 1)
      yield* unlock(lock2)
    })
    const reader = Effect.gen(function* () {
      yield* lock(lock1)
      const isSet = (yield* read(d1)) !== 0
      const first = isSet ? yield* read(d1) : 0
      yield* unlock(lock1)
      if (!isSet) return
      yield* lock(lock2)
      const second = yield* read(d2)
      yield* unlock(lock2)
      yield* expect(second === first + 1)
    })
    return [...times(writers, () => writer), reader]
  },
})

/** One thread adds 1 under a lock and expects to be alone; three others add under another lock. */
const wronglock: Threads = {
  cells: ["lock1", "lock2", "data"],
  fibers: (memory) => {
    const data = memory("data")
    const alone = Effect.gen(function* () {
      yield* lock(memory("lock1"))
      const before = yield* read(data)
      yield* increment(data)
      yield* expect((yield* read(data)) === before + 1)
      yield* unlock(memory("lock1"))
    })
    const other = Effect.gen(function* () {
      yield* lock(memory("lock2"))
      yield* increment(data)
      yield* unlock(memory("lock2"))
    })
    return [alone, other, other, other]
  },
}

/** Two threads add to a variable that the third expects to stay small. */
const lazy01: Threads = {
  cells: ["m", "data"],
  fibers: (memory) => {
    const locked = (body: Effect.Effect<unknown, string>) =>
      Effect.andThen(Effect.andThen(lock(memory("m")), body), unlock(memory("m")))
    const data = memory("data")
    const check = Effect.flatMap(read(data), (seen) => expect(seen < 3))
    return [locked(increment(data)), locked(increment(data, 2)), locked(check)]
  },
}

/** Each thread takes a second lock under the first, and then the first one under the second. */
const carter01 = litmus("Lm RA WA Ll Um Lm RA WA=0 Ul Um", "Lm RB WB Ll Um Lm RB WB=0 Ul Um")

/** A driver is stopped while it works. The count of its users is without the driver itself: nobody is left at -1. */
const bluetooth: Threads = {
  cells: ["stopping", "users", "idle", "stopped"],
  fibers: (memory) => {
    const [stopping, users, idle, stopped] = [memory("stopping"), memory("users"), memory("idle"), memory("stopped")]
    const leave = Effect.gen(function* () {
      if ((yield* add(users, -1)) === 0) yield* write(idle, 1)
    })
    const work = Effect.gen(function* () {
      if ((yield* read(stopping)) === 0) {
        yield* add(users, 1)
        yield* expect((yield* read(stopped)) === 0)
      }
      yield* leave
    })
    const stop = Effect.gen(function* () {
      yield* write(stopping, 1)
      yield* leave
      if ((yield* read(idle)) !== 0) yield* write(stopped, 1)
    })
    return [stop, work]
  },
}

/** One thread puts n numbers into a buffer and another takes them out, by turns; both count turns that they missed. */
const circularBuffer = (n: number): Threads => ({
  cells: ["m", "full", "first", "next", ...times(n, (i) => `buffer${i}`)],
  fibers: (memory) => {
    const [m, full, first, next] = [memory("m"), memory("full"), memory("first"), memory("next")]
    const turns = (wanted: number, turn: (i: number) => Effect.Effect<unknown, string>) =>
      Effect.gen(function* () {
        for (let i = 0; i < n; i++) {
          yield* lock(m)
          if ((yield* read(full)) === wanted) {
            yield* turn(i)
            yield* write(full, 1 - wanted)
          }
          yield* unlock(m)
        }
      })
    const send = turns(
      0,
      Effect.fnUntraced(function* (i) {
        const position = yield* read(next)
        yield* write(memory(`buffer${position}`), i)
        yield* write(next, position + 1)
      }),
    )
    const receive = turns(
      1,
      Effect.fnUntraced(function* (i) {
        const position = yield* read(first)
        yield* write(first, position + 1)
        yield* expect((yield* read(memory(`buffer${position}`))) === i)
      }),
    )
    return [send, receive]
  },
})

/** Two threads add 1, and a third waits for both and expects 2. */
const lostUpdate: Threads = {
  cells: ["x", "done"],
  fibers: (memory) => {
    const [x, done] = [memory("x"), memory("done")]
    const adder = Effect.andThen(
      increment(x),
      step("done++", () => {
        done.value++
      }),
    )
    const both = guardedStep(
      "wait",
      () => done.value === 2,
      () => undefined,
    )
    const waiter = Effect.flatMap(Effect.andThen(both, read(x)), (seen) => expect(seen === 2))
    return [adder, adder, waiter]
  },
}

/** The odds of `walk` are exact: dynamic programming over all schedules. */
export const buggyPrograms: ReadonlyArray<Buggy> = [
  { name: "reorder_3", threads: reorder(3), walk: 0.0493827, preemptions: 1, delays: 2 },
  { name: "reorder_5", threads: reorder(5), walk: 0.030208, preemptions: 1, delays: 4 },
  { name: "twostage 1+1", threads: twostage(1), walk: 0.015625, preemptions: 1, delays: 1 },
  { name: "twostage 3+1", threads: twostage(3), walk: 0.0117908, preemptions: 1, delays: 3 },
  { name: "wronglock 1+3", threads: wronglock, walk: 0.371584, preemptions: 1, delays: 1 },
  { name: "lazy01_bad", threads: lazy01, walk: 1 / 3, preemptions: 0, delays: 0 },
  { name: "carter01_bad", threads: carter01, walk: 0.5, preemptions: 1, delays: 1 },
  { name: "bluetooth_driver_bad", threads: bluetooth, walk: 0.0390625, preemptions: 1, delays: 2 },
  { name: "circular_buffer_bad", threads: circularBuffer(7), walk: 0.9375, preemptions: 1, delays: 2 },
  { name: "lost update", threads: lostUpdate, walk: 0.5, preemptions: 1, delays: 1 },
]
