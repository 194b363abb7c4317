/**
 * The rules of the language of programs. Whoever breaks one is told so by name, by every strategy, the same way every
 * time, and never left hanging.
 */
import { randomInt } from "node:crypto"
import fs, { existsSync } from "node:fs"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import { describe, expect, it } from "vitest"
import {
  arena,
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  enterLoop,
  guardedStep,
  type Program,
  type Property,
  runMoves,
  self,
  step,
  struct,
} from "../../checker/index.ts"
import { programOf, run, survey, timeless, unconfirmed } from "./support.ts"

const strategies = ["states", "dfs", "random"]

interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
}

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

/** A program over the cells x and y. */
const over = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = []): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

/** A fiber that does nothing wrong, so that what is wrong is not alone. */
const bystander = ({ y }: World) =>
  step("look", () => {
    y.value++
  })

/** What every strategy says of a program, each asked twice. */
const verdicts = async (program: Program, options: { readonly maxSteps?: number } = {}) => {
  const results = []
  for (const strategy of strategies) {
    const asked = { executions: 200, ...options }
    const result = await run(program, strategy, asked)
    expect(timeless(await run(program, strategy, asked)), `${strategy}, asked again`).toEqual(timeless(result))
    results.push({ strategy, result })
  }
  return results
}

/** Expects every strategy to report the property with a message that has all the parts. */
const expectBroken = async (program: Program, property: string, ...parts: ReadonlyArray<string>) => {
  for (const { strategy, result } of await verdicts(program)) {
    expect(result.outcome, strategy).toBe("violated")
    expect(result.violation?.property, `${strategy}: ${result.violation?.message}`).toBe(property)
    for (const part of parts) expect(result.violation?.message, strategy).toContain(part)
    expect(unconfirmed(program, result), strategy).toBeUndefined()
  }
}

interface Case {
  readonly name: string
  readonly fiber: (world: World) => Effect.Effect<unknown, unknown>
  readonly property?: string
  readonly parts: ReadonlyArray<string>
}

const realTimer = () => new Promise<void>((resolve) => setTimeout(resolve, 1))

/** Plain values come from results only: a function is none, whatever the types are told. */
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
    fiber: () => returning(Promise.resolve(1)),
    parts: ["in hand-over", "an instance of Promise"],
  },
  {
    name: "a step that is an async function",
    fiber: () => step("hand-over", async () => 1),
    parts: ["in hand-over", "an instance of Promise"],
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
    parts: ["waits for something that is not a step"],
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
    fiber: () => Effect.forever(Effect.void),
    parts: ["computed", "without reaching a step"],
  },
  {
    name: "an endless loop that yields",
    fiber: () => Effect.forever(Effect.yieldNow),
    parts: ["computed", "without reaching a step"],
  },
  {
    name: "an endless loop after a step",
    fiber: () =>
      Effect.andThen(
        step("first", () => 1),
        Effect.forever(Effect.suspend(() => Effect.void)),
      ),
    parts: ["after first", "without reaching a step"],
  },
  {
    name: "an endless loop that cannot be interrupted",
    fiber: () => Effect.uninterruptible(Effect.forever(Effect.void)),
    parts: ["without reaching a step"],
  },
  {
    name: "an endless loop while it is cleaned up",
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
  for (const { name, fiber, property, parts } of cases) {
    it(name, async () => {
      const program = over((world) => ({ other: bystander(world), culprit: fiber(world) }))
      await expectBroken(program, property ?? builtIn.rules, "fiber culprit", ...parts)
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
      await expectBroken(program, builtIn.rules, "fiber culprit", ...parts)
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

describe("loops", () => {
  const spin = (head: Effect.Effect<void>) => (world: World) => ({
    other: bystander(world),
    spinner: Effect.forever(
      Effect.andThen(
        head,
        step("try_again", () => world.x.value),
      ),
    ),
  })

  it("an endless loop without a checkpoint ends inconclusive, naming the fiber and the step", async () => {
    for (const { result } of await verdicts(over(spin(Effect.void)), { maxSteps: 60 })) {
      expect(result.outcome).toBe("inconclusive")
      expect(result.violation).toBeUndefined()
      expect(result.reason).toContain("60 steps")
      expect(result.reason).toContain("try_again")
      expect(result.reason).toContain("spinner")
    }
  })

  it("an endless loop with a checkpoint is closed by states, and by states alone", async () => {
    for (const { strategy, result } of await verdicts(over(spin(checkpoint("head"))), { maxSteps: 60 })) {
      expect(result.outcome).toBe(strategy === "states" ? "holds" : "inconclusive")
      if (strategy === "states") expect(result.statistics.states).toBe(2)
    }
  })

  it("a loop that is long enough to be cut is not called safe", async () => {
    const program = over(({ x }) => ({
      counter: Effect.gen(function* () {
        for (let i = 0; i < 100; i++) yield* step("count", () => x.value++)
        yield* step("trap", () => {
          throw new Error("reached")
        })
      }),
    }))
    for (const { result } of await verdicts(program, { maxSteps: 100 })) expect(result.outcome).toBe("inconclusive")
    for (const { result } of await verdicts(program, { maxSteps: 101 })) expect(result.outcome).toBe("violated")
  })
})

describe("loops that are entered", () => {
  /** Adds one to a cell by compare-and-swap, trying again until it succeeds: called from two places. */
  const increment = ({ x }: World) =>
    Effect.gen(function* () {
      const head = yield* enterLoop("increment")
      for (;;) {
        yield* head()
        const seen = yield* step("load", () => x.value)
        const done = yield* step("swap", [seen], () => {
          if (x.value !== seen) return false
          x.value = (seen + 1) % 8
          return true
        })
        if (done) return seen
      }
    })

  it("remember how they were entered, and forget the rounds", async () => {
    const program = (tries: boolean) =>
      over(
        (world) => {
          const twice = Effect.gen(function* () {
            const first = yield* increment(world)
            const second = yield* increment(world)
            yield* step("sum", [first, second], () => {
              world.y.value += first + second
            })
          })
          return tries ? { a: twice, b: twice } : { a: twice }
        },
        [
          {
            kind: "atEnd",
            id: "sums",
            statement: "Every number was got once.",
            source: "test",
            holds: ({ x, y }) => (x.value === 4 ? y.value === 6 : y.value === 1),
          },
        ],
      )
    for (const tries of [false, true]) {
      const found = await survey(program(tries), "states")
      expect(found.result.outcome).toBe("holds")
      expect([...found.violations]).toEqual([])
      expect(found.finals.size).toBe(1)
      const every = await survey(program(tries), "dfs")
      expect(every.result.outcome).toBe("holds")
      expect(every.finals).toEqual(found.finals)
    }
  })

  it("name the values that the rounds change", async () => {
    const program = over(({ x, y }) => ({
      a: Effect.gen(function* () {
        const head = yield* enterLoop("rounds")
        let last = 0
        for (;;) {
          yield* head()
          last += yield* step("load", () => x.value)
          if (last > 1) yield* step("enough", () => undefined)
          yield* step("store", () => {
            y.value = 1
          })
        }
      }),
      b: step("set", () => {
        x.value = 1
      }),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("a checkpoint must name every value that is still needed")
  })
})

describe("a fiber's own name", () => {
  it("is known in its steps and between them, and to nobody outside", async () => {
    const program = over(
      ({ x }) => {
        const fiber = Effect.gen(function* () {
          const here = yield* Effect.sync(self)
          const inside = yield* step("who", () => `${here} ${self()}`)
          yield* step("told", [inside], () => {
            x.value++
          })
        })
        return { cpu0: fiber, gpu: fiber }
      },
      [{ kind: "invariant", id: "few", statement: "s", source: "s", holds: ({ x }) => x.value < 2 }],
    )
    for (const strategy of ["states", "dfs"]) {
      const result = await run(program, strategy)
      const labels = runMoves(program, result.moves ?? []).steps.map(({ label }) => label)
      expect(labels).toContain("told(cpu0 cpu0)")
      expect(labels).toContain("told(gpu gpu)")
    }
    expect(() => self()).toThrow("outside the checker")
  })
})

describe("checkpoints that leave out a live value", () => {
  it("are reported when the fiber then goes another way", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        if (seen === 1)
          yield* step("trap", () => {
            y.value = 1
          })
        else yield* step("pass", () => undefined)
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    const result = await run(program, "states")
    expect(result.outcome).toBe("violated")
    expect(result.violation?.property).toBe(builtIn.rules)
    expect(result.violation?.message).toContain("fiber forgetful")
    expect(result.violation?.message).toContain("trap")
  })

  it("are reported when the fiber then has another choice", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        const picked = yield* choose("pick", seen === 1 ? [1, 2] : [3])
        yield* step("write-back", () => {
          y.value = picked
        })
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("pick, a choice of [")
  })

  it("are reported when the fiber then writes something else", async () => {
    const program = over(({ x, y }) => ({
      forgetful: Effect.gen(function* () {
        const seen = yield* step("read", () => x.value)
        yield* checkpoint("head")
        yield* step("write-back", () => {
          y.value = seen
        })
      }),
      other: step("write", () => {
        x.value = 1
      }),
    }))
    expect((await run(program, "states")).violation?.property).toBe(builtIn.rules)
  })
})

describe("state that is hidden from the checker", () => {
  const never: Property<World> = {
    kind: "invariant",
    id: "no-two",
    statement: "y is never 2.",
    source: "test",
    holds: ({ y }) => y.value !== 2,
  }

  /** Programs that reach y = 2 in some schedule, by way of something that is not a cell. */
  const secretive: ReadonlyArray<{ readonly name: string; readonly fibers: (world: World) => Fibers }> = [
    {
      name: "a variable that two fibers share",
      fibers: ({ y }) => {
        let shared = 0
        const fiber = Effect.gen(function* () {
          yield* step("wait", () => undefined)
          const mine = ++shared
          yield* step("write", () => {
            y.value = mine
          })
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a Ref that two fibers share",
      fibers: ({ y }) => {
        const shared = Ref.makeUnsafe(0)
        const fiber = Effect.gen(function* () {
          yield* step("wait", () => undefined)
          const mine = yield* Ref.updateAndGet(shared, (n) => n + 1)
          yield* step("write", () => {
            y.value = mine
          })
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a result smuggled past the step by an assignment",
      fibers: ({ x, y }) => ({
        a: Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* step("write", () => {
            y.value = seen
          })
        }),
        b: step("set", () => {
          x.value = 2
        }),
      }),
    },
    {
      name: "a body that counts its own calls",
      fibers: ({ y }) => {
        let calls = 0
        const fiber = step("count", () => {
          y.value = ++calls
        })
        return { a: fiber, b: fiber }
      },
    },
    {
      name: "a variable outside of the generator that a fiber adds to",
      fibers: ({ x, y }) => {
        let total = 0
        return {
          a: Effect.gen(function* () {
            total += yield* step("read", () => x.value)
            total += yield* step("read", () => x.value)
            yield* step("write", () => {
              y.value = total
            })
          }),
          b: step("set", () => {
            x.value = 1
          }),
        }
      },
    },
    {
      name: "a guard that looks at a variable",
      fibers: ({ y }) => {
        let open = false
        return {
          a: guardedStep(
            "enter",
            () => open,
            () => {
              y.value = 2
            },
          ),
          b: Effect.andThen(
            step("wait", () => undefined),
            Effect.sync(() => {
              open = true
            }),
          ),
        }
      },
    },
  ]
  for (const { name, fibers } of secretive) {
    it(`${name} does not make states say holds`, async () => {
      const program = over(fibers, [never])
      expect((await run(program, "dfs")).outcome).toBe("violated")
      for (const seed of [1, 2, 3, 4, 5]) {
        expect((await run(program, "states", { seed })).outcome, `seed ${seed}`).toBe("violated")
      }
    })
  }

  /** Fiber b sets what must not be seen for the time of one step; `smuggle` makes the fiber that sees it. */
  const narrow = (smuggle: (world: World, idle: Effect.Effect<void>) => Effect.Effect<unknown>) =>
    over(
      (world) => {
        const idle = Effect.gen(function* () {
          for (let i = 0; i < 12; i++) yield* step("idle", [i], () => undefined)
        })
        const set = (value: number) =>
          step("set", [value], () => {
            world.x.value = value
          })
        return { b: Effect.all([idle, set(2), set(0)]), a: smuggle(world, idle) }
      },
      [never],
    )

  const smuggled: ReadonlyArray<{
    readonly name: string
    readonly smuggle: (world: World, idle: Effect.Effect<void>) => Effect.Effect<unknown>
  }> = [
    {
      name: "assigned by a body and used by a later body",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
    {
      name: "assigned by a body and used between steps",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          if (seen !== 2) return
          yield* step("write", () => {
            y.value = 2
          })
        }),
    },
    {
      name: "put into a list by a body",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          const seen: Array<number> = []
          yield* step("read", () => {
            seen.push(x.value)
          })
          yield* idle
          yield* step("write", () => {
            y.value = seen[0] ?? 0
          })
        }),
    },
    {
      name: "assigned by a guard",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* guardedStep(
            "read",
            () => {
              seen = x.value
              return true
            },
            () => undefined,
          )
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
    {
      name: "used by a guard",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          let seen = 0
          yield* step("read", () => {
            seen = x.value
          })
          yield* idle
          yield* guardedStep(
            "write",
            () => seen === 2,
            () => {
              y.value = 2
            },
          )
        }),
    },
    {
      name: "forgotten at a checkpoint",
      smuggle: ({ x, y }, idle) =>
        Effect.gen(function* () {
          const seen = yield* step("read", () => x.value)
          yield* checkpoint("forget")
          yield* idle
          yield* step("write", () => {
            y.value = seen
          })
        }),
    },
  ]
  for (const { name, smuggle } of smuggled) {
    it(`a value that is rarely read and ${name} does not make states say holds`, async () => {
      for (let seed = 0; seed < 8; seed++) {
        const result = await run(narrow(smuggle), "states", { seed, target: never.id })
        expect(result.outcome, `seed ${seed}`).toBe("violated")
      }
    })
  }

  it("a variable outside of the scenario, which no setup makes anew, is reported and does no harm to the search", async () => {
    for (const strategy of strategies) {
      let world = 0
      const program = over(({ y }) => {
        const fiber = Effect.gen(function* () {
          if (world++ % 3 === 2) yield* step("now-and-then", () => undefined)
          yield* step("write", () => {
            y.value = 1
          })
        })
        return { a: fiber, b: fiber }
      })
      const result = await run(program, strategy, { executions: 50 })
      expect(result.outcome, strategy).not.toBe("holds")
    }
  })
})

describe("setup", () => {
  const failing = async (setup: () => void, ...parts: ReadonlyArray<string>) => {
    const program = programOf(() => {
      setup()
      return { world: undefined, fibers: { idle: Effect.void } }
    })
    for (const strategy of strategies) {
      const outcome = await run(program, strategy).catch((error: unknown) => error)
      expect(outcome).toMatchObject({ _tag: "SetupFailed" })
      for (const part of parts) expect(String(outcome instanceof Error ? outcome.message : outcome)).toContain(part)
    }
  }

  it("that throws is a typed failure", () =>
    failing(
      () => {
        throw new Error("no such device")
      },
      "scenario test",
      "no such device",
    ))

  it("with two cells of one name names it", () =>
    failing(() => {
      cell("twin", 0)
      cell("twin", 1)
    }, "two cells are called twin"))

  it("with a struct and an arena of one name names the field", () =>
    failing(() => {
      struct("page0", { live: 1 })
      arena("page", 1, { owner: 0 })
    }, "two cells are called page0.live"))

  it("with a cell that is not plain names it", () =>
    failing(() => cell("table", new Map()), "table", "instance of Map"))
  it("without fibers is told so, and with something else than an Effect for a fiber too", async () => {
    const not = async (fibers: object, part: string) => {
      const program = programOf(() => ({ world: undefined, fibers: fibers as Fibers }))
      for (const strategy of strategies) {
        const outcome = await run(program, strategy).catch((error: unknown) => error)
        expect(outcome).toMatchObject({ _tag: "SetupFailed", message: expect.stringContaining(part) })
      }
    }
    await not({}, "no fibers")
    await not({ cpu0: () => Effect.void }, "fiber cpu0 is not an Effect")
  })

  it("that asks the time is told not to", () => failing(() => cell("now", Date.now()), "Date.now()"))
  it("that rolls dice is told not to", () => failing(() => cell("dice", Math.random()), "Math.random()"))
  it("that is asked for a cell outside is told so", () => {
    expect(() => cell("stray", 0)).toThrow("cell stray is made outside the setup of a scenario")
  })

  it("is not the place for steps", async () => {
    const exit = await Effect.runPromiseExit(step("stray", () => 1))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("stray is run outside the checker")
    const head = await Effect.runPromiseExit(checkpoint("head"))
    expect(Exit.isFailure(head) && String(head.cause)).toContain("checkpoint head is run outside the checker")
  })

  it("leaves the world as it was", async () => {
    const before = [Date, Date.now, Math.random, setTimeout, performance.now, process.hrtime, queueMicrotask]
    await expectBroken(
      over(() => ({ culprit: Effect.sync(() => Date.now()) })),
      builtIn.rules,
    )
    expect([Date, Date.now, Math.random, setTimeout, performance.now, process.hrtime, queueMicrotask]).toEqual(before)
    expect(Date.now()).toBeGreaterThan(0)
  })
})

describe("code that throws", () => {
  const bad = (name: string, property: Partial<Property<World>>): Case["fiber"] extends never ? never : Program =>
    over(
      (world) => ({ other: bystander(world) }),
      [{ kind: "invariant", id: name, statement: "s", source: "s", holds: () => true, ...property } as Property<World>],
    )
  const boom = () => {
    throw new Error("boom")
  }

  it("in a guard names the fiber and the step", () =>
    expectBroken(
      over((world) => ({ other: bystander(world), culprit: guardedStep("wait", boom, () => 1) })),
      builtIn.defect,
      "fiber culprit, in wait",
      "boom",
    ))

  it("in a body names the fiber and the step", () =>
    expectBroken(
      over((world) => ({ other: bystander(world), culprit: step("walk", [1, "a"], boom) })),
      builtIn.defect,
      "fiber culprit, in walk(1, a)",
      "boom",
    ))

  for (const [what, property] of Object.entries<Partial<Property<World>>>({
    premise: { kind: "invariant", premise: boom },
    holds: { kind: "invariant", holds: boom },
    explain: { kind: "invariant", holds: ({ y }) => y.value === 0, explain: boom },
    observe: { kind: "action", observe: boom, holds: () => true },
    "action premise": { kind: "action", observe: ({ y }) => y.value, premise: boom, holds: () => true },
    "action holds": { kind: "action", observe: ({ y }) => y.value, holds: boom },
    "action explain": { kind: "action", observe: ({ y }) => y.value, holds: () => false, explain: boom },
    atEnd: { kind: "atEnd", holds: boom },
    stuck: { kind: "progress", stuck: boom },
  })) {
    it(`in a property (${what}) names the property`, () =>
      expectBroken(bad(`bad-${what}`, property), builtIn.defect, `property bad-${what}`, "boom"))
  }

  it("in a property that writes a cell names the property and the cell", () =>
    expectBroken(
      bad("writer", {
        kind: "invariant",
        holds: ({ x }) => {
          x.value = 1
          return true
        },
      }),
      builtIn.defect,
      "property writer",
      "cell x is written in a guard or a property",
    ))

  it("in a property that asks the time names the property", () =>
    expectBroken(
      bad("clock", { kind: "invariant", holds: () => Date.now() > 0 }),
      builtIn.defect,
      "property clock",
      "Date",
    ))

  it("in a monitor names the step that it watches", () =>
    expectBroken(
      programOf(() => {
        const x = cell("x", 0)
        return {
          world: { x },
          fibers: { culprit: step("watched", () => x.value++) },
          monitors: [{ watched: boom }],
        }
      }),
      builtIn.defect,
      "fiber culprit, in watched",
      "boom",
    ))
})
