/** The search of infinite runs: fibers that come and go, limits, replay and shrinking. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { livenessSearch } from "../../checker/explore/liveness.ts"
import {
  cell,
  checkpoint,
  choose,
  explore,
  fork,
  join,
  type Program,
  replay,
  runMoves,
  shrink,
  step,
} from "../../checker/index.ts"
import { ends, forever, holds, lasso, over, promise, set, until, type World, waitFor } from "./promising.ts"
import { defaults, entryOf, ruleBroken, run, strategyOf } from "./support.ts"

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
      const alone = Effect.gen(function* () {
        for (let round = 0; round < rounds; round++) {
          yield* checkpoint("round")
          yield* step("work", () => undefined)
        }
      })
      const result = await run(
        over(() => ({ alone }), ends("alone")),
        "states",
      )
      expect(ruleBroken(result)).toContain("a checkpoint must name every value that is still needed")
    }
  })

  it("does not believe one that takes another fiber's help", async () => {
    for (const rounds of [2, 3]) {
      const waiting = ({ x }: World) =>
        Effect.gen(function* () {
          for (let round = 0; round < rounds; round++) {
            yield* checkpoint("round")
            yield* waitFor(x, 1)
            yield* set(x, 0)
          }
        })
      const result = await run(
        over(
          (world) => ({ waiting: waiting(world), helper: forever(waitFor(world.x, 0), set(world.x, 1)) }),
          ends("waiting"),
        ),
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
    // A clock that stands still until a promise is looked at, which only the search of infinite runs does.
    let now = 0
    const time = () => now
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: time,
      currentTimeNanosUnsafe: () => BigInt(now),
      monotonicTimeNanosUnsafe: () => BigInt(now),
      currentTimeMillis: Effect.sync(time),
      currentTimeNanos: Effect.sync(() => BigInt(now)),
      monotonicTimeNanos: Effect.sync(() => BigInt(now)),
      sleep: () => Effect.void,
    }
    const slow = over(
      ({ x }) => ({ a: forever(...Array.from({ length: 2_000 }, (_, n) => set(x, n))) }),
      promise(({ x }) => {
        now = 1_000
        return x.value < 0
      }),
    )
    const exploring = explore(slow, strategyOf("states"), { ...defaults, maxSteps: 5_000 }, { milliseconds: 700 })
    const { outcome, reason } = await Effect.runPromise(Effect.provideService(exploring, Clock.Clock, clock))
    expect(outcome).toBe("inconclusive")
    expect(reason).toBe("every state was visited, but what is promised was not decided: the time of 0.7 s ran out")
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
