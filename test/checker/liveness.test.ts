/** Promises under weak fairness: classical programs, each with what is known of it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { livenessSearch } from "../../checker/explore/liveness.ts"
import {
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  explore,
  fork,
  guardedStep,
  join,
  type LeadsTo,
  type Program,
  type Property,
  replay,
  runMoves,
  shrink,
  step,
} from "../../checker/index.ts"
import { defaults, entryOf, programOf, ruleBroken, run, strategyOf, survey } from "./support.ts"

interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
}

type Fibers = Readonly<Record<string, Effect.Effect<unknown, unknown>>>

const over = (fibers: (world: World) => Fibers, ...properties: ReadonlyArray<Property<World>>): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

const promise = (to: LeadsTo<World>["to"], from?: LeadsTo<World>["from"]): LeadsTo<World> => ({
  kind: "leadsTo",
  id: "promise",
  statement: "It comes about.",
  source: "test",
  to,
  ...(from === undefined ? {} : { from }),
})

const ends = (fiber: string) => promise((_, { ended }) => ended(fiber))

const set = (at: Cell<number>, value: number) =>
  step(`${at.name} = ${value}`, () => {
    at.value = value
  })

const waitFor = (at: Cell<number>, value: number, then = value) =>
  guardedStep(
    `wait_for(${at.name} == ${value})`,
    () => at.value === value,
    () => {
      at.value = then
    },
  )

/** Repeats for ever, with nothing to remember from one round to the next. */
const forever = <A>(...body: ReadonlyArray<Effect.Effect<A>>) =>
  Effect.forever(Effect.andThen(checkpoint("round"), Effect.all(body)))

/** Repeats until a step returns true. */
const until = (attempt: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      yield* checkpoint("attempt")
      if (yield* attempt) return
    }
  })

const testAndSet = (at: Cell<number>) =>
  step("test_and_set", () => {
    const free = at.value === 0
    at.value = 1
    return free
  })

const holds = async (program: Program) => {
  const result = await run(program, "states")
  expect(result.outcome, result.violation?.message).toBe("holds")
  return result
}

/** The lasso that breaks the promise: the fibers of its prefix and of its cycle, and the message. */
const lasso = async (program: Program) => {
  const result = await run(program, "states")
  expect(result.outcome).toBe("violated")
  expect(result.violation?.property).toBe("promise")
  const { moves = [], cycle } = result
  if (cycle === undefined) throw new Error(`no lasso: ${result.violation?.message}`)
  const { steps, violations } = runMoves(program, moves, cycle)
  expect(violations).toEqual([result.violation])
  return {
    prefix: steps.slice(0, cycle).map(({ fiber, label }) => `${fiber}: ${label}`),
    cycle: steps.slice(cycle).map(({ fiber, label }) => `${fiber}: ${label}`),
    message: result.violation?.message,
  }
}

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
    const { exercised } = await holds(over((world) => ({ server: server(world), client: client(world) }), answered))
    expect(exercised).toEqual([{ id: "promise", times: 1 }])
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
    for (const strategy of ["states", "dfs", "random"]) {
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
    for (const strategy of ["states", "dfs", "random"]) {
      expect((await run(program, strategy)).violation?.property).toBe(builtIn.deadlock)
      const { violation } = await run(program, strategy, { target: "promise" })
      expect(violation?.message).toBe("It comes about. It does not: a waits in wait_for(y == 1) for y (is 0)")
      expect((await survey(program, strategy)).broken).toEqual(new Set([builtIn.deadlock, "promise"]))
    }
  })

  it("says nothing of runs in which a fiber breaks down", async () => {
    const program = over(({ x }) => ({ a: Effect.andThen(set(x, 1), Effect.fail("broken")) }), answered)
    for (const strategy of ["states", "dfs", "random"]) {
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
    for (const strategy of ["states", "dfs", "random"]) {
      const { violation, moves } = await run(thrower, strategy)
      expect(violation?.property).toBe(builtIn.defect)
      expect(violation?.message).toContain("property promise threw Error: oops")
      expect(moves).toHaveLength(1)
    }
  })
})

describe("fibers that are forked", () => {
  const idle = forever(step("idle", () => undefined))

  it("have not ended before they are forked", async () => {
    const parent = Effect.andThen(
      fork(
        "child",
        step("work", () => undefined),
      ),
      (child) => join(child),
    )
    await holds(over(() => ({ parent }), ends("child")))
    const { message } = await lasso(over(() => ({ parent: idle }), ends("child")))
    expect(message).toContain("this step of parent repeats for ever")
  })

  it("are told apart by name, wherever they stand", async () => {
    // Whichever child is forked first stands first; then both spin until told, and the state is the same.
    const child = (name: string, { x }: World) => Effect.asVoid(fork(name, until(step("look", () => x.value === 1))))
    const parent = (world: World) =>
      Effect.gen(function* () {
        const order = yield* choose("order", ["ann first", "ben first"])
        const names = order === "ann first" ? ["ann", "ben"] : ["ben", "ann"]
        for (const name of names) yield* child(name, world)
        yield* checkpoint("forked")
        yield* waitFor(world.y, 1)
        yield* set(world.x, 1)
      })
    const both = promise((_, { ended }) => ended("ann") && ended("ben"))
    await holds(over((world) => ({ parent: parent(world), other: set(world.y, 1) }), both))
    const { cycle, message } = await lasso(over((world) => ({ parent: parent(world), other: idle }), both))
    expect([...cycle].sort()).toEqual(["ann: look", "ben: look", "other: idle"])
    expect(message).toMatch(/; parent waits in wait_for\(y == 1\)$/)
  })

  it("may wait for one another's end", async () => {
    const program = over(({ x }) => ({
      parent: Effect.andThen(fork("child", waitFor(x, 1)), (child) => join(child)),
    }))
    const { violation } = await run(program, "states")
    expect(violation?.message).toBe(
      "parent waits in join(child) for its end; child waits in wait_for(x == 1) for x (is 0)",
    )
    const circle = over(() => ({
      ann: Effect.andThen(fork("cid", join({ fiber: "ann" })), (cid) => join(cid)),
    }))
    expect((await run(circle, "states")).violation?.message).toContain("; ann waits for cid, cid waits for ann")
  })
})

describe("the search of infinite runs", () => {
  it("does not believe a cycle that a wrong checkpoint closes", async () => {
    for (const rounds of [2, 3]) {
      const forgetful = Effect.gen(function* () {
        for (let round = 0; round < rounds; round++) {
          yield* checkpoint("round")
          yield* step("work", () => undefined)
        }
      })
      const result = await run(
        over(() => ({ forgetful }), ends("forgetful")),
        "states",
      )
      expect(ruleBroken(result)).toContain("a checkpoint does not name a value that is still needed")
    }
  })

  it("ends at a limit without an answer", () => {
    const program = over(
      ({ x, y }) => ({ a: forever(set(x, 1), set(x, 2)), b: forever(set(y, 1), set(y, 2)) }),
      ends("a"),
    )
    const ended = (limit?: number, maxSteps = defaults.maxSteps) =>
      livenessSearch(program, { ...defaults, maxSteps }, limit)?.advance(10_000)
    expect(ended()?.kind).toBe("violated")
    expect(ended(5)).toMatchObject({ kind: "cut", reason: expect.stringContaining("5 states") })
    expect(ended(undefined, 3)).toMatchObject({ kind: "cut", reason: expect.stringContaining("3 steps") })
  })

  it("visits the states that the search of states does, however many", async () => {
    const program = over(
      ({ x, y }) => ({
        a: forever(step("count", () => (x.value = (x.value + 1) % 150))),
        b: forever(step("count", () => (y.value = (y.value + 1) % 150))),
      }),
      promise(({ x, y }) => x.value + y.value === 298),
    )
    const search = livenessSearch(program, { ...defaults, maxSteps: 50_000 })
    expect(search?.advance(1_000_000)).toMatchObject({ kind: "violated" })
    expect(search?.statistics.states).toBe(150 * 150)
  })

  it("says that it was not finished when the time is up", async () => {
    const long = over(
      ({ x }) => ({ a: forever(...Array.from({ length: 2_000 }, (_, n) => set(x, n))) }),
      promise(({ x }) => x.value < 0),
    )
    // A clock that goes on by a tenth of a second whenever it is read: three times or more in the search of states.
    let time = 0
    const tick = () => {
      time += 100
      return time
    }
    const clock = {
      ...(await Effect.runPromise(Clock.clockWith(Effect.succeed))),
      currentTimeMillis: Effect.sync(tick),
    }
    const explored = explore(long, strategyOf("states"), { ...defaults, maxSteps: 5_000 }, { milliseconds: 500 })
    const { outcome, reason } = await Effect.runPromise(Effect.provideService(explored, Clock.Clock, clock))
    expect(outcome).toBe("inconclusive")
    expect(reason).toBe("every state was visited, but what is promised was not decided: the time of 0.5 s ran out")
  })

  it("replays what it finds, and says why a cycle is none", async () => {
    const program = over(
      ({ x, y }) => ({ a: Effect.andThen(set(y, 1), forever(set(x, 1), set(x, 0))), b: waitFor(y, 2) }),
      promise(({ x }) => x.value === 2),
    )
    const { moves = [], cycle } = await run(program, "states")
    expect(cycle).toBe(1)
    const schedule = runMoves(program, moves).steps.map(({ fiber, label }) => ({ fiber, label }))
    expect(schedule).toHaveLength(3)
    const file = { schedule, property: "promise" }
    const outcome = (again: Program, change: Partial<Parameters<typeof replay>[1]>) => {
      const replayed = replay(again, { ...file, cycle: 1, ...change })
      return replayed.kind === "healed" ? replayed.message : replayed.kind
    }
    expect(outcome(program, {})).toBe("reproduced")
    expect(outcome(program, { cycle: 0 })).toContain("the state after step 3 is not the one before step 1")
    expect(outcome(program, { schedule: schedule.slice(0, 2) })).toContain("the cycle does not close")
    expect(outcome(program, { cycle: 3 })).toContain("the cycle does not close")
    expect(outcome(program, { schedule: [...schedule, { fiber: "b", label: "wait_for(y == 2)" }] })).toBe("stale")
    const kept = over(
      ({ x, y }) => ({ a: Effect.andThen(set(y, 1), forever(set(x, 1), set(x, 0))), b: waitFor(y, 2) }),
      promise(({ x }) => x.value === 1),
    )
    expect(outcome(kept, {})).toBe("after the 3 steps promise holds")
    const unfair = over(
      ({ x, y }) => ({ a: Effect.andThen(set(y, 1), forever(set(x, 1), set(x, 0))), b: waitFor(y, 1, 2) }),
      promise(({ x }) => x.value === 2),
    )
    expect(outcome(unfair, {})).toBe(
      "b could go on all the time in the cycle and takes no step: the run is not weakly fair",
    )
  })

  it("shrinks the bound before the run, and repeats itself", async () => {
    const entry = entryOf(() => {
      const world = { x: cell("x", 0), y: cell("y", 0) }
      const busy = forever(set(world.x, 1), set(world.x, 2))
      return { world, fibers: { a: Effect.andThen(set(world.y, 1), busy), b: waitFor(world.y, 2) } }
    }, [ends("b")])
    const program = entry.program()
    const { moves = [], cycle } = await run(program, "states")
    const longer = [...moves, ...moves.slice(cycle)]
    const shrunk = shrink(entry, program, "promise", longer, cycle)
    expect(shrunk).toEqual({ program: shrunk.program, moves, cycle, preemptions: 0, minimal: false })
    expect(shrink(entry, program, "promise", moves, cycle).moves).toEqual(shrunk.moves)
  })
})
