/** Functions whose variables are over when they return. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  type Cell,
  cell,
  checkpoint,
  fork,
  guardedStep,
  interrupt,
  type Program,
  type Property,
  procedure,
  step,
} from "../../checker/index.ts"
import { expectBroken, type Fibers, over, set, threeWrites, type World } from "./broken.ts"
import { programOf, run, survey } from "./support.ts"

/** Reads x twice, while the other fiber writes it three times. */
const look = (x: Cell<number>) =>
  Effect.gen(function* () {
    const first = yield* step("first", () => x.value)
    const second = yield* step("second", () => x.value)
    return [first, second] as const
  })

/** What fiber a does behind a look, and what it was told of it. */
const counted = async (a: (world: World) => Effect.Effect<unknown>) => {
  const found = await survey(
    over((world) => ({ a: a(world), b: threeWrites(world) })),
    "states",
  )
  const every = await survey(
    over((world) => ({ a: a(world), b: threeWrites(world) })),
    "dfs",
  )
  expect(found.result.outcome).toBe("holds")
  expect(found.finals).toEqual(every.finals)
  expect(found.violations).toEqual(every.violations)
  return found.result.statistics.states
}

/** Three more steps, in which what was looked at does not matter. */
const idle = Effect.gen(function* () {
  for (let i = 0; i < 3; i++) yield* step("idle", [i], () => undefined)
})

describe("a procedure", () => {
  it("leaves nothing but its result", async () => {
    const remembering = await counted(({ x }) => Effect.andThen(look(x), idle))
    const nothing = procedure(function* (x: Cell<number>) {
      yield* look(x)
    })
    const forgetful = await counted(({ x }) => Effect.andThen(nothing(x), idle))
    const whether = procedure(function* (x: Cell<number>) {
      const [first, second] = yield* look(x)
      return first === second
    })
    const telling = await counted(({ x }) => Effect.andThen(whether(x), idle))
    expect(forgetful).toBeLessThan(telling)
    expect(telling).toBeLessThan(remembering)
    // A fiber that looked is at one of five places, with x and the other fiber at one of four.
    expect(forgetful).toBe(4 + 10 + 4 * 4)
  })

  it("tells its callers apart, and what they know", async () => {
    const seen = procedure(function* (x: Cell<number>) {
      return yield* step("read", () => x.value)
    })
    const twice = procedure(function* (x: Cell<number>) {
      const first = yield* seen(x)
      const second = yield* seen(x)
      return first * 10 + second
    })
    await counted(({ x, y }) =>
      Effect.gen(function* () {
        const before = yield* seen(x)
        const both = yield* twice(x)
        const behind = yield* seen(x)
        yield* set(y, before * 1000 + both * 10 + behind)
      }),
    )
  })

  it("is told from one that it calls and that returns the same", async () => {
    const inner = procedure(function* (x: Cell<number>) {
      return (yield* step("read", () => x.value)) > 0
    })
    const outer = procedure(function* (x: Cell<number>, y: Cell<number>) {
      const some = yield* inner(x)
      if (some) yield* set(y, 5)
      return some
    })
    await counted(({ x, y }) => Effect.andThen(outer(x, y), set(y, 7)))
  })

  it("may fail, and its caller may go on", async () => {
    const failing = procedure(function* (x: Cell<number>) {
      const seen = yield* step("read", () => x.value)
      if (seen > 1) return yield* Effect.fail(seen)
      return seen
    })
    await counted(({ x, y }) =>
      Effect.gen(function* () {
        const seen = yield* Effect.match(failing(x), { onFailure: (error) => -error, onSuccess: (told) => told })
        const again = yield* Effect.orElseSucceed(failing(x), () => 9)
        yield* set(y, seen * 10 + again)
      }),
    )
  })

  it("goes on from a checkpoint that it passes", async () => {
    const rounds = procedure(function* (x: Cell<number>) {
      for (;;) {
        yield* checkpoint("round")
        if ((yield* step("read", () => x.value)) === 3) return
      }
    })
    const program = over((world) => ({
      a: Effect.forever(Effect.andThen(rounds(world.x), set(world.x, 0))),
      b: Effect.forever(threeWrites(world).pipe((writes) => Effect.andThen(checkpoint("writes"), writes))),
    }))
    const { outcome, statistics } = await run(program, "states")
    expect(outcome).toBe("holds")
    expect(statistics.states).toBeLessThan(100)
  })

  it("returns something that cannot be changed", async () => {
    const list = procedure(function* (x: Cell<number>) {
      return [yield* step("read", () => x.value)]
    })
    const program = over(({ x }) => ({
      a: Effect.gen(function* () {
        const listed = yield* list(x)
        listed.push(1)
      }),
    }))
    await expectBroken(program, builtIn.defect, ["fiber a, after read", "not extensible"])
  })

  it("returns plain data", async () => {
    const closure = procedure(function* (x: Cell<number>) {
      const seen = yield* step("read", () => x.value)
      return { again: () => seen }
    })
    await expectBroken(
      over(({ x }) => ({ a: closure(x) })),
      builtIn.rules,
      ["fiber a, after read", "a procedure returned a value that is not plain data", "again"],
    )
  })

  it("is of no use outside", () => {
    expect(() => Effect.runSync(procedure(function* () {})())).toThrow("a procedure is run outside the checker")
  })
})

/** How the functions of a program are written. */
type Wrap = typeof procedure

/** Expects a program to break `no-two`, whatever its functions are, in every search. */
const breaksNoTwo = async (program: (wrap: Wrap) => Program) => {
  for (const wrap of [procedure, plain]) {
    for (const [strategy, options] of [
      ["states", {}],
      ["states", { paranoid: true }],
      ["dfs", {}],
    ] as const) {
      const { violation } = await run(program(wrap), strategy, options)
      expect(violation?.property, `${strategy}: ${violation?.message}`).toBe("no-two")
    }
  }
}

const plain: Wrap = (body) => Effect.fnUntraced(body)

const noTwo: Property<{ readonly y: Cell<number> }> = {
  kind: "invariant",
  id: "no-two",
  statement: "y is never 2.",
  source: "test",
  holds: ({ y }) => y.value !== 2,
}

/** Steps that do nothing, so that what comes behind them is rare in random schedules. */
const idling = Effect.gen(function* () {
  for (let i = 0; i < 60; i++) yield* step("idle", [i], () => undefined)
})

const waitFor = (open: Cell<boolean>) =>
  guardedStep(
    "gate",
    () => open.value,
    () => undefined,
  )

const opening = (open: Cell<boolean>) =>
  step("open", () => {
    open.value = true
  })

describe("what is not forgotten when a procedure returns", () => {
  it("is how deep it was called", () =>
    breaksNoTwo((wrap) =>
      programOf(() => {
        const [x, y, open] = [cell("x", 0), cell("y", 0), cell("open", false)]
        const down: (level: number) => Effect.Effect<number> = wrap(function* (level: number) {
          if (level === 11) return (yield* step("read", () => x.value)) === 2 ? 1 : 11
          const below: number = yield* down(level + 1)
          if (level === 10 && below === 1) {
            yield* waitFor(open)
            yield* set(y, 2)
          }
          return below
        })
        const a = Effect.all([down(1), waitFor(open), set(y, 1)])
        return { world: { y }, fibers: { b: Effect.all([idling, set(x, 2), set(x, 0), opening(open)]), a } }
      }, [noTwo]),
    ))

  it("is an interruption that is still to come", () =>
    breaksNoTwo((wrap) =>
      programOf(() => {
        const [x, y, go, gone] = [cell("x", 0), cell("y", 0), cell("go", false), cell("gone", false)]
        const leaves = wrap(function* () {
          yield* waitFor(go)
          yield* opening(gone)
        })
        const region = Effect.uninterruptible(Effect.andThen(leaves(), waitFor(gone)))
        const child = Effect.onInterrupt(Effect.andThen(region, set(y, 1)), () => set(y, 2))
        const main = Effect.gen(function* () {
          const forked = yield* fork("child", child)
          if (yield* step("look", () => x.value === 2)) yield* interrupt(forked)
          yield* opening(go)
        })
        return { world: { y }, fibers: { b: Effect.all([idling, set(x, 2), set(x, 0)]), main } }
      }, [noTwo]),
    ))

  it("is what the fiber learns while one of Effect's own runs a procedure", () =>
    breaksNoTwo((wrap) =>
      programOf(() => {
        const [x, y, open] = [cell("x", 0), cell("y", 0), cell("open", false)]
        const waits = wrap(function* (until: Deferred.Deferred<void>) {
          yield* Deferred.await(until)
        })
        const a = Effect.gen(function* () {
          const until = yield* Deferred.make<void>()
          yield* Effect.forkChild(waits(until), { startImmediately: true })
          const seen = yield* step("read", () => x.value)
          yield* Deferred.succeed(until, undefined)
          yield* Effect.yieldNow
          yield* waitFor(open)
          yield* set(y, seen)
        })
        return { world: { y }, fibers: { b: Effect.all([idling, set(x, 2), set(x, 0), opening(open)]), a } }
      }, [noTwo]),
    ))

  it("is, at a checkpoint too, an interruption that is still to come", () =>
    breaksNoTwo(() =>
      programOf(() => {
        const [x, y, go] = [cell("x", 0), cell("y", 0), cell("go", false)]
        const region = Effect.uninterruptible(Effect.all([waitFor(go), checkpoint("gone"), waitFor(go)]))
        const child = Effect.onInterrupt(Effect.andThen(region, set(y, 1)), () => set(y, 2))
        const main = Effect.gen(function* () {
          const forked = yield* fork("child", child)
          if (yield* step("look", () => x.value === 2)) yield* interrupt(forked)
          yield* opening(go)
        })
        return { world: { y }, fibers: { b: Effect.all([idling, set(x, 2), set(x, 0)]), main } }
      }, [noTwo]),
    ))
})

describe("a procedure that fails", () => {
  it("leaves the calls behind it what they were, and a loop a loop", async () => {
    const program = (wrap: Wrap) =>
      over(({ x, y }) => {
        const attempt = wrap(function* () {
          if ((yield* step("try", () => x.value)) !== 1) yield* Effect.fail("EAGAIN")
        })
        const use = wrap(function* () {
          yield* set(y, 1)
          yield* set(y, 0)
        })
        const a = Effect.gen(function* () {
          for (;;) {
            yield* checkpoint("retry")
            if (yield* Effect.match(attempt(), { onFailure: () => false, onSuccess: () => true })) break
          }
          yield* use()
          yield* step("last", () => undefined)
        })
        return { a, b: Effect.all([set(x, 1), set(x, 0), set(x, 1)]) }
      })
    const [forgetful, remembering] = await Promise.all([
      survey(program(procedure), "states"),
      survey(program(plain), "states"),
    ])
    expect(forgetful.result.violation).toBeUndefined()
    expect(forgetful.result.outcome).toBe("holds")
    expect(forgetful.result.statistics).toEqual(remembering.result.statistics)
    expect(forgetful.finals).toEqual(remembering.finals)
  })
})

/** Adds what it sees to a list of its caller, which its result does not say. */
const gather = procedure(function* (x: Cell<number>, seen: Array<number>) {
  seen.push(yield* step("read", () => x.value))
})

/** Fiber b shows 2 in x for the time of one step, and opens the gate when it has ended. */
const seldom = (a: (world: World & { readonly open: Cell<boolean> }) => Effect.Effect<unknown>) =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0), open: cell("open", false) }
    const b = Effect.all([idling, set(world.x, 2), set(world.x, 0), opening(world.open)])
    return { world, fibers: { b, a: a(world) } }
  }, [noTwo])

describe("a procedure that changes an object of its caller", () => {
  const caller = (goOn: (world: World, seen: number) => Effect.Effect<unknown>) =>
    over(
      (world): Fibers => ({
        a: Effect.gen(function* () {
          const seen: Array<number> = []
          yield* gather(world.x, seen)
          yield* goOn(world, seen[0] ?? 0)
        }),
        b: set(world.x, 1),
      }),
    )

  it("is reported when the caller then takes another step", async () => {
    const { violation } = await run(
      caller(({ y }, seen) => set(y, seen)),
      "states",
    )
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("it reached set(")
    expect(violation?.message).toContain("a procedure must say everything by its result")
  })

  it("is reported when the caller then writes something else", async () => {
    const program = caller(({ y }, seen) =>
      step("write", () => {
        y.value = seen
      }),
    )
    expect((await run(program, "states")).violation?.property).toBe(builtIn.rules)
  })

  it("is reported when it matters for one of many contents", async () => {
    const program = over(({ x, y }) => ({
      a: Effect.gen(function* () {
        const seen: Array<number> = []
        yield* gather(x, seen)
        yield* step("write", () => {
          y.value = seen[0] === 12 ? 2 : 1
        })
      }),
      b: Effect.forEach(Array.from({ length: 100 }), (_, value) => set(x, value)),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("fiber a is not deterministic: after the same results write")
  })

  it("is named when every rule is asked about, wherever it shows", async () => {
    const program = seldom(({ x, y, open }) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        yield* gather(x, seen)
        yield* waitFor(open)
        yield* step("write", () => {
          y.value = seen[0] ?? 0
        })
      }),
    )
    const { violation } = await run(program, "states", { paranoid: true })
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("fiber a, in write: cell y is 0, and 2")
    expect(violation?.message).toContain(
      "the procedure that ends behind read leaves something to its caller that its result does not say",
    )
  })
})
