/**
 * The rules of the language of programs. Whoever breaks one is told so by name, by every strategy, the same way every
 * time, and never left hanging.
 */
import { execSync } from "node:child_process"
import { randomInt } from "node:crypto"
import fs, { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import http from "node:http"
import net from "node:net"
import { setTimeout as nodeTimeout } from "node:timers"
import { setTimeout as later } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import { describe, expect, it } from "vitest"
import { builtIn, cell, checkpoint, choose, guardedStep, step } from "../../checker/index.ts"
import { bystander, type Case, everyStrategy, expectBroken, over, someStrategies, verdicts } from "./broken.ts"

const realTimer = () => new Promise<void>((resolve) => setTimeout(resolve, 1))

const shared = new Int32Array(new SharedArrayBuffer(4))

/** Plain values come from results only: a function is none, whatever the types are told. */
const kept = Promise.resolve(1)

const returning = (value: unknown) => step("hand-over", () => value)

/** An object that contains itself. */
const knot = () => {
  const object: Record<string, unknown> = {}
  object.self = object
  return object
}

const nested = (levels: number) => {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

const cases: ReadonlyArray<Case> = [
  {
    name: "reading a cell outside a step",
    fiber: ({ x }) => Effect.sync(() => x.value),
    parts: ["cell x is read outside"],
  },
  {
    name: "writing a cell outside a step",
    fiber: ({ x }) =>
      Effect.andThen(
        step("first", () => 0),
        Effect.sync(() => {
          x.value = 1
        }),
      ),
    parts: ["after first", "cell x is written outside"],
  },
  {
    name: "writing a cell in a guard",
    fiber: ({ x }) =>
      guardedStep(
        "wait",
        () => {
          x.value = 1
          return true
        },
        () => undefined,
      ),
    parts: ["in wait", "cell x is written in a guard"],
  },
  {
    name: "writing a cell in a guard and hiding it",
    fiber: ({ x }) =>
      guardedStep(
        "wait",
        () => {
          try {
            x.value = 1
          } catch {
            return false
          }
          return true
        },
        () => undefined,
      ),
    parts: ["in wait", "cell x is written in a guard"],
  },
  {
    name: "a cell that is given a function",
    fiber: ({ x }) =>
      step("store", () => {
        Object.assign(x, { value: () => 1 })
      }),
    parts: ["in store", "cell x cannot hold", "a function"],
  },
  {
    name: "a cell that is given a Map inside a record",
    fiber: ({ x }) =>
      step("store", () => {
        Object.assign(x, { value: { inside: [new Map()] } })
      }),
    parts: ["cell x cannot hold", 'it["inside"][0] is an instance of Map'],
  },
  { name: "a step that returns a function", fiber: () => returning(() => 1), parts: ["in hand-over", "is a function"] },
  { name: "a step that returns a symbol", fiber: () => returning(Symbol("s")), parts: ["in hand-over", "is a symbol"] },
  { name: "a step that returns a bigint", fiber: () => returning(1n), parts: ["in hand-over", "is a bigint"] },
  {
    name: "a step that returns a promise",
    fiber: () => returning(kept),
    parts: ["in hand-over", "an instance of Promise"],
  },
  {
    name: "a step that is an async function",
    fiber: () => step("hand-over", async () => 1),
    parts: ["in hand-over", "a promise is kept by the real world"],
  },
  {
    name: "a step that returns a Set",
    fiber: () => returning({ all: new Set([1]) }),
    parts: ['it["all"] is an instance of Set'],
  },
  { name: "a step that returns a Date", fiber: () => returning(new Date(0)), parts: ["an instance of Date"] },
  { name: "a step that returns a cell", fiber: ({ x }) => returning(x), parts: ["in hand-over", "instance of Cell"] },
  { name: "a step that returns an Effect", fiber: () => returning(Effect.void), parts: ["in hand-over", "not plain"] },
  {
    name: "a step within a step",
    fiber: () => step("outer", () => Effect.runSync(step("inner", () => 1))),
    parts: ["inner"],
  },
  ...(["sync", "step", "guard"] as const).flatMap((where) =>
    [
      { name: "Date.now()", code: () => Date.now() },
      { name: "new Date()", code: () => new Date().getDate() },
      { name: "Date()", code: () => Date().length },
      { name: "Math.random()", code: () => Math.random() },
      { name: "performance.now()", code: () => performance.now() },
      { name: "process.hrtime()", code: () => process.hrtime()[0] },
      { name: "process.hrtime.bigint()", code: () => Number(process.hrtime.bigint()) },
      { name: "setTimeout", code: () => Number(setTimeout(() => undefined, 0)) },
      { name: "setInterval", code: () => Number(setInterval(() => undefined, 1)) },
      { name: "queueMicrotask", code: () => Number(queueMicrotask(() => undefined)) },
      { name: "crypto.randomUUID()", code: () => crypto.randomUUID().length },
    ].map(({ name, code }): Case => {
      if (where === "sync") return { name, fiber: () => Effect.sync(code), parts: ["before its first step", name] }
      if (where === "step")
        return { name: `${name} in a step`, fiber: () => step("tick", code), parts: ["in tick", name] }
      const guard = () => code() > 0
      return { name: `${name} in a guard`, fiber: () => guardedStep("tick", guard, () => 0), parts: ["in tick", name] }
    }),
  ),
  { name: "Effect's Clock", fiber: () => Clock.currentTimeMillis, parts: ["Effect's Clock"] },
  { name: "Effect's Clock in nanoseconds", fiber: () => Clock.currentTimeNanos, parts: ["Effect's Clock"] },
  { name: "DateTime.now", fiber: () => DateTime.now, parts: ["Effect's Clock"] },
  { name: "Effect's Random", fiber: () => Random.next, parts: ["Math.random()"] },
  { name: "Effect.sleep", fiber: () => Effect.sleep("1 millis"), parts: ["Effect's Clock"] },
  { name: "Effect.sleep of nothing", fiber: () => Effect.sleep(0), parts: [] },
  { name: "Effect.delay", fiber: () => Effect.delay(bystanderStep, "1 millis"), parts: ["Effect's Clock"] },
  { name: "Effect.timeout", fiber: () => Effect.timeout(bystanderStep, "1 millis"), parts: [] },
  { name: "Effect.promise on a real timer", fiber: () => Effect.promise(realTimer), parts: ["setTimeout"] },
  {
    name: "Effect.promise on a resolved promise",
    fiber: () => Effect.promise(() => Promise.resolve(1)),
    parts: ["before its first step", "a promise is kept by the real world"],
  },
  {
    name: "a promise that nobody waits for",
    fiber: () => step("leave", () => void Promise.resolve().then(() => 1)),
    parts: ["in leave", "a promise is kept by the real world"],
  },
  {
    name: "an asynchronous function in a guard",
    fiber: () =>
      guardedStep(
        "look",
        () => (async () => true)() !== undefined,
        () => 0,
      ),
    parts: ["in look", "a promise is kept by the real world"],
  },
  {
    name: "a promise that loses against a step",
    fiber: () =>
      Effect.raceFirst(
        Effect.promise(() => Promise.resolve(1)),
        Effect.succeed(2),
      ),
    parts: ["a promise is kept by the real world"],
  },
  {
    name: "AbortSignal.timeout",
    fiber: () => step("wait", () => AbortSignal.timeout(1).aborted),
    parts: ["timeout()"],
  },
  {
    name: "Effect.callback that nobody resumes",
    fiber: () => Effect.callback<void>(() => undefined),
    parts: ["waits for something that is not a step"],
  },
  {
    name: "a Deferred that nobody completes",
    fiber: () => Effect.flatMap(Deferred.make<number>(), Deferred.await),
    parts: ["waits for something that is not a step"],
  },
  {
    name: "a Queue that nobody fills",
    fiber: () => Effect.flatMap(Queue.unbounded<number>(), Queue.take),
    parts: ["waits for something that is not a step"],
  },
  {
    name: "a Semaphore that nobody releases",
    fiber: () => Effect.flatMap(Semaphore.make(0), Semaphore.take(1)),
    parts: ["waits for something that is not a step"],
  },
  { name: "Effect.never", fiber: () => Effect.never, parts: ["waits for something that is not a step"] },
  {
    name: "a forked fiber that steps",
    fiber: () =>
      Effect.gen(function* () {
        const child = yield* Effect.forkChild(step("child-step", () => 1))
        yield* step("own", () => 1)
        yield* Fiber.join(child)
      }),
    parts: ["forked", "child-step"],
  },
  {
    name: "a detached fiber that steps",
    fiber: () => Effect.forkDetach(step("child-step", () => 1)),
    parts: ["forked", "child-step"],
  },
  {
    name: "Effect.all with concurrency",
    fiber: () => Effect.all([step("left", () => 1), step("right", () => 2)], { concurrency: 2 }),
    parts: ["forked", "left"],
  },
  {
    name: "Effect.race of steps",
    fiber: () =>
      Effect.race(
        step("left", () => 1),
        step("right", () => 2),
      ),
    parts: ["forked"],
  },
  {
    name: "an endless loop without a step",
    isLong: true,
    fiber: () => Effect.forever(Effect.void),
    parts: ["computed", "without reaching a step"],
  },
  {
    name: "an endless loop that yields",
    isLong: true,
    fiber: () => Effect.forever(Effect.yieldNow),
    parts: ["computed", "without reaching a step"],
  },
  {
    name: "an endless loop after a step",
    isLong: true,
    fiber: () =>
      Effect.andThen(
        step("first", () => 1),
        Effect.forever(Effect.suspend(() => Effect.void)),
      ),
    parts: ["after first", "without reaching a step"],
  },
  {
    name: "an endless loop that cannot be interrupted",
    isLong: true,
    fiber: () => Effect.uninterruptible(Effect.forever(Effect.void)),
    parts: ["without reaching a step"],
  },
  {
    name: "an endless loop while it is cleaned up",
    isLong: true,
    fiber: () => Effect.ensuring(Effect.never, Effect.forever(Effect.void)),
    parts: ["waits for something that is not a step"],
  },
  { name: "process.exit", fiber: () => step("leave", () => process.exit(0)), parts: ["in leave", "process.exit()"] },
  { name: "process.kill", fiber: () => step("leave", () => process.kill(0, 0)), parts: ["process.kill()"] },
  { name: "process.uptime", fiber: () => step("look", () => process.uptime()), parts: ["process.uptime()"] },
  { name: "process.memoryUsage", fiber: () => step("look", () => process.memoryUsage.rss()), parts: ["memoryUsage"] },
  { name: "a file, by a named import", fiber: () => step("look", () => existsSync("/")), parts: ["fs.existsSync()"] },
  { name: "a file, by a namespace", fiber: () => step("look", () => fs.statSync("/").size), parts: ["fs.statSync()"] },
  { name: "a random number of Node's", fiber: () => step("roll", () => randomInt(6)), parts: ["crypto.randomInt()"] },
  { name: "a file, by a promise", fiber: () => Effect.promise(() => readFile("/")), parts: ["fs.promises.readFile()"] },
  { name: "a file, by a callback", fiber: () => step("look", () => fs.open("/", () => 0)), parts: ["fs.open()"] },
  {
    name: "a file's state, by a callback",
    fiber: () => step("look", () => fs.lstat("/", () => 0)),
    parts: ["fs.lstat()"],
  },
  { name: "another process", fiber: () => step("run", () => execSync("true")), parts: ["child_process.execSync()"] },
  { name: "a connection", fiber: () => step("call", () => void net.connect(1)), parts: ["net.connect()"] },
  { name: "a request", fiber: () => step("call", () => void http.get("http://[::1]")), parts: ["http.get()"] },
  {
    name: "a worker",
    fiber: () => step("start", () => void new Worker("0", { eval: true })),
    parts: ["new Worker()"],
  },
  { name: "node:timers", fiber: () => step("tick", () => void nodeTimeout(() => 0)), parts: ["setTimeout"] },
  { name: "node:timers/promises", fiber: () => Effect.promise(() => later(1)), parts: ["setTimeout"] },
  { name: "an output", fiber: () => step("say", () => process.stdout.write("")), parts: ["process.stdout.write()"] },
  { name: "console.count", fiber: () => step("say", () => console.count("")), parts: ["console.count()"] },
  {
    name: "a changed environment",
    fiber: () =>
      step("set", () => {
        process.env.SHOOTDOWN_NEVER = "1"
      }),
    parts: ["in set", "process.env.SHOOTDOWN_NEVER is changed"],
  },
  {
    name: "a change taken out of the environment",
    fiber: () => step("set", () => Reflect.deleteProperty(process.env, "PATH")),
    parts: ["process.env.PATH is changed"],
  },
  {
    name: "a weak reference",
    fiber: () => step("look", () => new WeakRef({}).deref() === undefined),
    parts: ["in look", "new WeakRef() tells when memory is collected"],
  },
  { name: "Atomics", fiber: () => step("wait", () => Atomics.notify(shared, 0)), parts: ["Atomics.notify()"] },
  { name: "process.hrtime.bigint", fiber: () => step("look", () => process.hrtime.bigint()), parts: ["hrtime.bigint"] },
  { name: "a circular result", fiber: () => returning(knot()), parts: ["more than 100 levels", 'it["self"]["self"]'] },
  { name: "a deep result", fiber: () => returning(nested(100_000)), parts: ["more than 100 levels deep", "it[0][0]"] },
  {
    name: "a circular failure",
    fiber: () => Effect.fail(knot()),
    property: builtIn.failure,
    parts: ["failed with <ref *1> { self: [Circular *1] }"],
  },
  {
    name: "a failure that JSON does not know",
    fiber: () => Effect.fail({ n: 1n }),
    property: builtIn.failure,
    parts: ["failed with { n: 1n }"],
  },
  { name: "a choice without options", fiber: () => choose("pick", []), parts: ["choice pick has no options"] },
  {
    name: "a cell made by a fiber",
    fiber: () => Effect.sync(() => cell("late", 0)),
    parts: ["cell late is made outside"],
  },
  {
    name: "a cell made in a step",
    fiber: () => step("make", () => cell("late", 0).name),
    parts: ["cell late is made outside"],
  },
  {
    name: "a checkpoint with a live value that is not plain",
    fiber: () => checkpoint("head", (() => 1) as unknown as number),
    property: builtIn.defect,
    parts: ["a function"],
  },
]

const bystanderStep = step("slow", () => 1)

describe("a rule that is broken is reported by name, by every strategy, every time", () => {
  for (const { name, fiber, isLong = false, property, parts } of cases) {
    it(name, async () => {
      const program = over((world) => ({ other: bystander(world), culprit: fiber(world) }))
      await expectBroken(
        program,
        property ?? builtIn.rules,
        ["fiber culprit", ...parts],
        isLong ? someStrategies : everyStrategy,
      )
    })
  }
})

describe("a broken rule is reported even if the program hides the error", () => {
  const hide = <A>(effect: Effect.Effect<A, unknown>) => Effect.catchCause(effect, () => Effect.succeed(undefined))
  const hidden: ReadonlyArray<Case> = [
    { name: "outside a step", fiber: ({ x }) => hide(Effect.sync(() => x.value)), parts: ["cell x is read outside"] },
    { name: "the clock", fiber: () => hide(Clock.currentTimeMillis), parts: ["Effect's Clock"] },
    { name: "Effect.sleep", fiber: () => hide(Effect.sleep(1)), parts: ["Effect's Clock"] },
    { name: "a choice without options", fiber: () => hide(choose("pick", [])), parts: ["pick has no options"] },
    { name: "by Effect.exit", fiber: () => Effect.exit(Clock.currentTimeMillis), parts: ["Effect's Clock"] },
    {
      name: "by Effect.ignoreCause, then going on",
      fiber: () =>
        Effect.andThen(
          hide(Clock.currentTimeMillis),
          step("next", () => 1),
        ),
      parts: ["before its first step", "Effect's Clock"],
    },
    {
      name: "by a step's own try",
      fiber: () =>
        step("sly", () => {
          try {
            return Date.now()
          } catch {
            return 0
          }
        }),
      parts: ["in sly", "Date.now()"],
    },
    {
      name: "by a step that throws something else",
      fiber: () =>
        step("sly", () => {
          try {
            return Date.now()
          } catch {
            throw new Error("something else")
          }
        }),
      parts: ["in sly", "Date.now()"],
    },
    {
      name: "by a forked child",
      fiber: () =>
        Effect.gen(function* () {
          const child = yield* Effect.forkChild(hide(step("child-step", () => 1)))
          yield* Fiber.join(child)
        }),
      parts: ["child-step"],
    },
    {
      name: "a cell that is given a function",
      fiber: ({ x }) =>
        step("store", () => {
          try {
            Object.assign(x, { value: () => 1 })
          } catch {}
        }),
      parts: ["cell x cannot hold"],
    },
  ]
  for (const { name, fiber, parts } of hidden) {
    it(name, async () => {
      const program = over((world) => ({ other: bystander(world), culprit: fiber(world) }))
      await expectBroken(program, builtIn.rules, ["fiber culprit", ...parts])
    })
  }
})

describe("what a program computes between its steps is its own affair", () => {
  it("Effect's primitives within one fiber, fibers that only compute, and a hundred thousand operations", async () => {
    const program = over(({ x }) => ({
      busy: Effect.gen(function* () {
        const done = yield* Deferred.make<number>()
        const queue = yield* Queue.unbounded<number>()
        const child = yield* Effect.forkChild(Effect.flatMap(Queue.take(queue), (n) => Deferred.succeed(done, n)))
        yield* Queue.offer(queue, yield* step("read", () => x.value))
        const got = yield* Deferred.await(done)
        yield* Fiber.join(child)
        const total = yield* Ref.make(got)
        for (let i = 0; i < 100_000; i++) yield* Ref.update(total, (n) => n + 1)
        yield* Effect.yieldNow
        const sum = yield* Ref.get(total)
        yield* step("write", () => {
          x.value = sum
        })
      }),
      other: step("increment", () => {
        x.value++
      }),
    }))
    for (const { strategy, result } of await verdicts(program)) {
      expect(result.outcome, result.violation?.message).toBe(strategy === "random" ? "inconclusive" : "holds")
    }
  })
})

describe("what a program logs and traces", () => {
  it("goes nowhere, and breaks no rule", async () => {
    const program = over(({ x }) => ({
      talker: Effect.gen(function* () {
        yield* Effect.log("before")
        yield* step("add", () => x.value++)
        yield* Effect.logError("after", { n: 1 })
        yield* Effect.fn("named")(() => Effect.withSpan(Effect.void, "inner"))()
      }),
    }))
    for (const { result } of await verdicts(program)) expect(result.violation).toBeUndefined()
  })
})
