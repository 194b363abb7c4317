/** Fibers that come into being during a run, end, are waited for and interrupted. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  type Forked,
  fork,
  guardedStep,
  interrupt,
  join,
  type Property,
  replay,
  runMoves,
  step,
} from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"

interface World {
  readonly x: Cell<number>
  readonly log: Cell<ReadonlyArray<string>>
}

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

const over = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = []) =>
  programOf(() => {
    const world: World = { x: cell("x", 0), log: cell<ReadonlyArray<string>>("log", []) }
    return { world, fibers: fibers(world) }
  }, properties)

const write = ({ log }: World, word: string) =>
  step(word, () => {
    log.value = [...log.value, word]
  })

/** The logs that plain enumeration and state matching end with must be the same; these are they. */
const finals = async (fibers: (world: World) => Fibers) => {
  const seen = new Set<string>()
  const spying: Property<World> = {
    kind: "atEnd",
    id: "spy",
    statement: "Never holds, so that every end is reported.",
    source: "test",
    holds: () => false,
    explain: ({ log }) => log.value.join(" "),
  }
  const program = over(fibers, [spying])
  const every = await survey(program, "dfs")
  const states = await survey(program, "states")
  expect(states.finals).toEqual(every.finals)
  expect(states.violations).toEqual(every.violations)
  for (const violation of every.violations) seen.add(violation.replace(/^spy: /, ""))
  return [...seen].sort()
}

describe("fork", () => {
  it("runs a fiber beside the one that started it", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        yield* fork("child", write(world, "child"))
        yield* write(world, "parent")
      }),
    }))
    expect(ends).toEqual(["child parent", "parent child"])
  })

  it("is a step, which others may come before and behind", async () => {
    const ends = await finals((world) => ({
      parent: fork("child", write(world, "child")),
      other: write(world, "other"),
    }))
    expect(ends).toEqual(["child other", "other child"])
  })

  it("closes over what the parent has learnt", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const option = yield* choose("option", ["a", "b"])
        yield* fork("child", write(world, option))
      }),
    }))
    expect(ends).toEqual(["a", "b"])
  })

  it("goes to any depth, and under a name that has become free", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        for (const word of ["one", "two"]) {
          yield* join(
            yield* fork("child", Effect.andThen(fork(`grandchild${word}`, write(world, word)), write(world, "c"))),
          )
        }
      }),
    }))
    expect(ends).toContain("one c two c")
    expect(ends).toContain("c one c two")
    expect(ends).toContain("c c one two")
    expect(ends).toContain("c c two one")
  })

  it("in two orders meets in the same states", async () => {
    const forks = (world: World) => ({
      a: fork("childA", write(world, "x")),
      b: fork("childB", write(world, "x")),
    })
    const { result } = await survey(over(forks), "states")
    // Each fiber is before its fork, behind it with its child running, or behind its child's end.
    expect(result.statistics.states).toBe(9)
    expect(await finals(forks)).toEqual(["x x"])
  })

  it("refuses a name that is taken", async () => {
    const program = over((world) => ({ a: fork("a", write(world, "x")) }))
    for (const strategy of ["states", "dfs", "random"]) {
      const { violation } = await run(program, strategy)
      expect(violation?.property).toBe(builtIn.rules)
      expect(violation?.message).toContain("there is a fiber a already")
    }
  })
})

describe("join", () => {
  it("waits for the end, and is told the value", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const child = yield* fork("child", Effect.as(write(world, "child"), "value"))
        yield* write(world, String(yield* join(child)))
      }),
    }))
    expect(ends).toEqual(["child value"])
  })

  it("tells different values apart", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const child = yield* fork("child", choose("value", ["a", "b"]))
        yield* write(world, String(yield* join(child)))
      }),
    }))
    expect(ends).toEqual(["a", "b"])
  })

  it("works through a cell, for whoever holds what fork returned", async () => {
    const program = programOf(() => {
      const handle = cell<Forked<number> | null>("handle", null)
      return {
        world: {},
        fibers: {
          parent: Effect.flatMap(fork("child", Effect.succeed(3)), (child) =>
            step("publish", () => {
              handle.value = child
            }),
          ),
          other: Effect.gen(function* () {
            const child = yield* guardedStep(
              "await",
              () => handle.value !== null,
              () => handle.value,
            )
            if (child !== null && (yield* join(child)) !== 3) yield* Effect.die("another value")
          }),
        },
      }
    })
    for (const strategy of ["states", "dfs"]) expect((await run(program, strategy)).outcome).toBe("holds")
  })

  it("of a fiber that never ends is a deadlock that names both", async () => {
    const program = over(() => ({
      parent: Effect.flatMap(
        fork(
          "child",
          guardedStep(
            "never",
            () => false,
            () => undefined,
          ),
        ),
        join,
      ),
    }))
    for (const strategy of ["states", "dfs"]) {
      const { violation } = await run(program, strategy)
      expect(violation?.property).toBe(builtIn.deadlock)
      expect(violation?.message).toContain("parent waits in join(child)")
      expect(violation?.message).toContain("child waits in never")
    }
  })

  it("needs a value that is plain data", async () => {
    const program = over(() => ({ parent: fork("child", Effect.succeed(new Map())) }))
    for (const strategy of ["states", "dfs"]) {
      const { violation } = await run(program, strategy)
      expect(violation?.property).toBe(builtIn.rules)
      expect(violation?.message).toContain("fiber child, before its first step")
    }
  })

  it("does not hide the failure of a fiber", async () => {
    const program = over((world) => ({
      parent: Effect.flatMap(fork("child", Effect.andThen(write(world, "x"), Effect.fail("bad luck"))), join),
    }))
    for (const strategy of ["states", "dfs"]) {
      const { violation } = await run(program, strategy)
      expect(violation?.property).toBe(builtIn.failure)
      expect(violation?.message).toBe("fiber child, after x, failed with bad luck")
    }
  })
})

describe("a fiber that takes the place of one that was there from the start", () => {
  it("goes on like any other", async () => {
    const ends = await finals((world) => ({
      first: write(world, "a"),
      parent: Effect.gen(function* () {
        yield* guardedStep(
          "await",
          () => world.log.value.length > 0,
          () => undefined,
        )
        yield* join(yield* fork("first", Effect.ensuring(write(world, "b"), write(world, "c"))))
        yield* interrupt(yield* fork("first", Effect.ensuring(write(world, "d"), write(world, "e"))))
      }),
    }))
    expect(ends).toEqual(["a b c d e", "a b c e"])
  })
})

describe("interrupt", () => {
  it("stops a fiber where it is, and its finaliser runs as steps of its own", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const child = yield* fork(
          "child",
          Effect.ensuring(Effect.andThen(write(world, "work"), write(world, "more")), write(world, "cleanup")),
        )
        yield* interrupt(child)
        yield* join(child)
        yield* write(world, "joined")
      }),
    }))
    expect(ends).toEqual(["cleanup joined", "work cleanup joined", "work more cleanup joined"])
  })

  it("waits for an uninterruptible region", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const child = yield* fork(
          "child",
          Effect.andThen(
            Effect.uninterruptible(Effect.andThen(write(world, "a"), write(world, "b"))),
            write(world, "c"),
          ),
        )
        yield* interrupt(child)
        yield* interrupt(child)
        yield* join(child)
      }),
    }))
    expect(ends).toEqual(["a b", "a b c"])
  })

  it("of a fiber that has ended does nothing, and of one that waits sets it free", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        const ended = yield* fork("ended", Effect.succeed(1))
        yield* interrupt(ended)
        const stuck = yield* fork(
          "stuck",
          guardedStep(
            "never",
            () => false,
            () => undefined,
          ),
        )
        yield* interrupt(stuck)
        yield* write(world, `${yield* join(ended)} ${yield* join(stuck)}`)
      }),
    }))
    expect(ends).toEqual(["1 undefined"])
  })

  it("and checkpoints go together: a worker that is started over and over closes into a cycle", async () => {
    const program = over((world) => ({
      parent: Effect.gen(function* () {
        for (;;) {
          yield* checkpoint("round")
          const child = yield* fork(
            "child",
            step("flip", () => {
              world.x.value = 1 - world.x.value
            }),
          )
          yield* interrupt(child)
          yield* join(child)
        }
      }),
    }))
    const { outcome, statistics } = await run(program, "states")
    expect(outcome).toBe("holds")
    expect(statistics.states).toBeLessThan(20)
  })
})

describe("a schedule with forks", () => {
  it("is confirmed by plain re-execution, and replays", async () => {
    const small: Property<World> = {
      kind: "invariant",
      id: "small",
      statement: "x stays below 2.",
      source: "test",
      holds: ({ x }) => x.value < 2,
    }
    const increment = ({ x }: World) =>
      Effect.flatMap(
        step("read", () => x.value),
        (value) =>
          step("write", () => {
            x.value = value + 1
          }),
      )
    const program = over(
      (world) => ({
        parent: Effect.gen(function* () {
          const first = yield* fork("first", increment(world))
          yield* fork("second", increment(world))
          yield* join(first)
        }),
      }),
      [small],
    )
    const { moves = [], violation } = await run(program, "states")
    expect(violation?.property).toBe("small")
    const { steps } = runMoves(program, moves)
    expect(steps.slice(0, 1)).toMatchObject([{ fiber: "parent", label: "fork(first)" }])
    const schedule = steps.map(({ fiber, label }) => ({ fiber, label }))
    expect(replay(program, { schedule, property: "small" }).kind).toBe("reproduced")
  })
})

describe("the local variables of a fiber", () => {
  it("are as they were where its step is taken, however often it is and in whatever order", async () => {
    const ends = await finals((world) => ({
      a: Effect.gen(function* () {
        let round = 0
        while (round < 2) {
          yield* step("add", () => {
            world.log.value = [...world.log.value, `${world.x.value}${round}`]
          })
          round++
        }
      }),
      b: step("set", () => {
        world.x.value = 1
      }),
    }))
    expect(ends).toEqual(["00 01", "00 11", "10 11"])
  })

  it("are seen by a forked fiber as they were when it was forked", async () => {
    const ends = await finals((world) => ({
      parent: Effect.gen(function* () {
        let word = "before"
        const child = yield* fork(
          "child",
          Effect.suspend(() => write(world, word)),
        )
        word = "behind"
        yield* join(child)
      }),
    }))
    expect(ends).toEqual(["before"])
  })
})
