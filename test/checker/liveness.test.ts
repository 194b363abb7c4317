/** Promises under weak fairness: classical programs, each with what is known of it. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { builtIn, type Cell, checkpoint, choose, type Property, step } from "../../checker/index.ts"
import { ends, forever, holds, lasso, over, promise, set, until, type World, waitFor } from "./promising.ts"
import { run, survey } from "./support.ts"

const testAndSet = (at: Cell<number>) =>
  step("test_and_set", () => {
    const free = at.value === 0
    at.value = 1
    return free
  })

describe("locks", () => {
  it("a test-and-set lock starves one of those who retry", async () => {
    const { prefix, cycle, message } = await lasso(
      over(
        ({ x }) => ({
          writer: Effect.forever(Effect.andThen(until(testAndSet(x)), set(x, 0))),
          reader: until(testAndSet(x)),
        }),
        ends("reader"),
      ),
    )
    expect(prefix).toEqual([])
    expect(cycle).toEqual(["writer: test_and_set", "reader: test_and_set", "writer: x = 0"])
    expect(message).toBe(
      "It comes about. It does not: from step 1 on these 3 steps of writer and reader repeat for ever",
    )
  })

  it("a ticket lock starves nobody", async () => {
    const turns = 2
    const ticketLock = ({ x, y }: World) =>
      Effect.gen(function* () {
        yield* checkpoint("round")
        const ticket = yield* step("take_a_ticket", () => {
          const mine = x.value
          x.value = (mine + 1) % turns
          return mine
        })
        for (;;) {
          yield* checkpoint("look", ticket)
          if (yield* step("look", () => y.value === ticket)) break
        }
        yield* step("next", () => {
          y.value = (ticket + 1) % turns
        })
      })
    const { exercised } = await holds(
      over((world) => ({ writer: Effect.forever(ticketLock(world)), reader: ticketLock(world) }), ends("reader")),
    )
    expect(exercised).toEqual([{ id: "promise", times: 1 }])
  })

  it("a fiber that can go on only now and then need never go on", async () => {
    const { cycle, message } = await lasso(
      over(
        ({ x }) => ({
          writer: forever(waitFor(x, 0, 1), set(x, 0)),
          reader: Effect.andThen(waitFor(x, 0, 1), set(x, 0)),
        }),
        ends("reader"),
      ),
    )
    expect(cycle).toEqual(["writer: wait_for(x == 0)", "writer: x = 0"])
    expect(message).toContain(
      "; reader waits in wait_for(x == 0), which it could take in some of these states, but not in all",
    )
  })

  it("a fiber that can go on all the time does, whatever the others do", async () => {
    await holds(
      over(({ x, y }) => ({ writer: forever(waitFor(x, 0, 1), set(x, 0)), reader: set(y, 1) }), ends("reader")),
    )
  })
})

describe("livelock", () => {
  it("of two that give way to each other is a lasso", async () => {
    const polite = (mine: Cell<number>, other: Cell<number>) =>
      Effect.gen(function* () {
        for (;;) {
          yield* checkpoint("attempt")
          yield* set(mine, 1)
          if (yield* step("look", () => other.value === 0)) return
          yield* set(mine, 0)
        }
      })
    const { cycle, message } = await lasso(
      over(
        ({ x, y }) => ({ ann: polite(x, y), ben: polite(y, x) }),
        promise((_, { ended }) => ended("ann") || ended("ben")),
      ),
    )
    expect([...cycle].sort()).toEqual([
      "ann: look",
      "ann: x = 0",
      "ann: x = 1",
      "ben: look",
      "ben: y = 0",
      "ben: y = 1",
    ])
    expect(message).toContain("these 6 steps of ann and ben repeat for ever")
  })
})

describe("busy waiting", () => {
  const waiter = ({ x }: World) => until(step("look", () => x.value === 1))

  it("ends when the one waited for must come in the end", async () => {
    await holds(over((world) => ({ waiter: waiter(world), setter: set(world.x, 1) }), ends("waiter")))
  })
  it("does not where nobody comes: the loop of one state", async () => {
    const { prefix, cycle } = await lasso(over((world) => ({ waiter: waiter(world) }), ends("waiter")))
    expect([...prefix, ...cycle]).toEqual(["waiter: look"])
  })
  it("does not where the one waited for may choose, or may wait as well", async () => {
    const choosing = ({ x }: World) =>
      Effect.gen(function* () {
        for (;;) {
          yield* checkpoint("round")
          if ((yield* choose("what", ["set", "idle"])) === "set") return yield* set(x, 1)
        }
      })
    const one = await lasso(over((world) => ({ waiter: waiter(world), setter: choosing(world) }), ends("waiter")))
    expect(one.cycle).toEqual(["waiter: look", "setter: what"])
    const other = await lasso(
      over(
        (world) => ({ waiter: waiter(world), setter: Effect.andThen(waitFor(world.y, 1), set(world.x, 1)) }),
        ends("waiter"),
      ),
    )
    expect(other.cycle).toEqual(["waiter: look"])
    expect(other.message).toMatch(/; setter waits in wait_for\(y == 1\)$/)
  })
})

describe("a promise", () => {
  const answered = promise(
    ({ x }) => x.value === 2,
    ({ x }) => x.value === 1,
  )

  it("is made wherever its premise holds, and counted there", async () => {
    const server = ({ x }: World) => forever(waitFor(x, 1, 2))
    const client = ({ x }: World) => forever(set(x, 1), waitFor(x, 2, 0))
    const program = over((world) => ({ server: server(world), client: client(world) }), answered)
    const { exercised, graphStates, statistics } = await holds(program)
    expect(exercised).toEqual([{ id: "promise", times: 1 }])
    expect(graphStates).toBe(statistics.states)
  })

  it("may be broken after it was kept many times", async () => {
    const server = ({ x, y }: World) =>
      Effect.andThen(
        Effect.all([waitFor(x, 1, 2), waitFor(x, 1, 2), set(y, 1)]),
        forever(step("idle", () => undefined)),
      )
    const client = ({ x }: World) => forever(set(x, 1), waitFor(x, 2, 0))
    const { prefix, cycle, message } = await lasso(
      over((world) => ({ server: server(world), client: client(world) }), answered),
    )
    expect(prefix.filter((text) => text === "client: x = 1")).toHaveLength(3)
    expect(cycle).toEqual(["server: idle"])
    expect(message).toMatch(/; client waits in wait_for\(x == 2\)$/)
  })

  it("that is never made is not exercised", async () => {
    const { exercised } = await holds(over(({ y }) => ({ idle: set(y, 1) }), answered))
    expect(exercised).toEqual([{ id: "promise", times: 0 }])
  })

  it("that is kept where it is made asks for nothing more", async () => {
    await holds(
      over(
        ({ x }) => ({ idle: forever(set(x, 0)) }),
        promise(({ x }) => x.value === 0),
      ),
    )
  })

  it("is broken by a run that ends before it is kept, and every strategy says so", async () => {
    const program = over(
      ({ x, y }) => ({
        a: Effect.all([set(x, 1), set(y, 1)]),
        b: step("answer", () => {
          if (x.value === 1 && y.value === 0) x.value = 2
        }),
      }),
      answered,
    )
    for (const strategy of ["states", "optimal", "dfs", "random"]) {
      const { outcome, violation, moves, cycle } = await run(program, strategy)
      expect(outcome).toBe("violated")
      expect(violation).toEqual({
        property: "promise",
        message: "It comes about. It does not: all fibers have ended",
      })
      expect(cycle).toBeUndefined()
      expect(moves).toHaveLength(3)
    }
  })

  it("is broken by a deadlock too", async () => {
    const program = over(({ x, y }) => ({ a: Effect.all([set(x, 1), waitFor(y, 1)]) }), answered)
    for (const strategy of ["states", "optimal", "dfs", "random"]) {
      expect((await run(program, strategy)).violation?.property).toBe(builtIn.deadlock)
      const { violation } = await run(program, strategy, { target: "promise" })
      expect(violation?.message).toBe("It comes about. It does not: a waits in wait_for(y == 1) for y (is 0)")
      expect((await survey(program, strategy)).broken).toEqual(new Set([builtIn.deadlock, "promise"]))
    }
  })

  it("says nothing of runs in which a fiber breaks down", async () => {
    const program = over(({ x }) => ({ a: Effect.andThen(set(x, 1), Effect.fail("broken")) }), answered)
    for (const strategy of ["states", "optimal", "dfs", "random"]) {
      expect((await survey(program, strategy)).broken).toEqual(new Set([builtIn.failure]))
    }
  })

  it("is judged alone when it is the one that is looked for", async () => {
    const other: Property<World> = { ...ends("a"), id: "other" }
    const program = over(({ x }) => ({ a: forever(set(x, 1)) }), answered, other)
    for (const target of ["promise", "other"]) {
      const { violation, exercised } = await run(program, "states", { target })
      expect(violation?.property).toBe(target)
      expect(exercised.find(({ id }) => id !== target)?.times).toBe(0)
    }
    expect((await run(program, "states", { target: builtIn.deadlock })).outcome).toBe("holds")
  })

  it("that throws is a defect", async () => {
    const thrower = over(
      ({ x }) => ({ a: set(x, 1) }),
      promise(({ x }) => {
        if (x.value === 1) throw new Error("oops")
        return false
      }),
    )
    for (const strategy of ["states", "optimal", "dfs", "random"]) {
      const { violation, moves } = await run(thrower, strategy)
      expect(violation?.property).toBe(builtIn.defect)
      expect(violation?.message).toContain("property promise threw Error: oops")
      expect(moves).toHaveLength(1)
    }
  })
})
