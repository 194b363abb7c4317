import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  builtIn,
  type Cell,
  cell,
  checkpoint,
  enterLoop,
  fork,
  guardedStep,
  join,
  type Program,
  type Property,
  step,
} from "../../checker/index.ts"
import { long } from "../long.ts"
import { bystander, type Fibers, over } from "./broken.ts"
import { racyProgram, randomProgram } from "./programArbitrary.ts"
import { flatten, interpret, type RandomProgram } from "./randomProgram.ts"
import { programOf, run, survey } from "./support.ts"

interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
  readonly open: Cell<boolean>
}

const never: Property<World> = {
  kind: "invariant",
  id: "no-two",
  statement: "y is never 2.",
  source: "test",
  holds: ({ y }) => y.value !== 2,
}

const programWith = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = [never]): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0), open: cell("open", false) }
    return { world, fibers: fibers(world) }
  }, properties)

/** Steps that do nothing, so that what comes behind them is rare in random schedules. */
const idle = Effect.gen(function* () {
  for (let i = 0; i < 60; i++) yield* step("idle", [i], () => undefined)
})

const set = (into: Cell<number>, value: number) =>
  step("set", [value], () => {
    into.value = value
  })

/** Waits until the other fiber has ended: what a fiber does alone, right after it has read something, shows nothing. */
const gate = ({ open }: World) =>
  guardedStep(
    "gate",
    () => open.value,
    () => undefined,
  )

/** Fiber b shows 2 in x for the time of one step; fiber a may see it then. */
const seldom = (a: (world: World) => Effect.Effect<unknown>): Program =>
  programWith((world) => ({
    b: Effect.all([
      idle,
      set(world.x, 2),
      set(world.x, 0),
      step("open", () => {
        world.open.value = true
      }),
    ]),
    a: a(world),
  }))

/** Fiber a forgets at a checkpoint what it has seen in x, and goes on with it. */
const forgetful = (goOn: (world: World, seen: number) => Generator<Effect.Effect<unknown>, void, never>): Program =>
  seldom((world) =>
    Effect.gen(function* () {
      const seen = yield* step("read", () => world.x.value)
      yield* checkpoint("forget")
      yield* gate(world)
      yield* Effect.gen(() => goOn(world, seen))
    }),
  )

interface Cheat {
  readonly name: string
  readonly program: Program
  /** What the message says. */
  readonly parts: ReadonlyArray<string>
  /** Whether the search without the checks accepts it. */
  readonly missed: boolean
}

const cheats: ReadonlyArray<Cheat> = [
  {
    name: "a checkpoint that forgets a value which a body uses two steps later",
    program: forgetful(function* (world, seen) {
      yield* step("write", () => {
        world.y.value = seen
      })
    }),
    parts: ["fiber a, in write", "cell y is", "checkpoint forget does not name a value that is still needed"],
    missed: true,
  },
  {
    name: "a checkpoint that forgets a value which a body uses sixty steps later",
    program: forgetful(function* (world, seen) {
      yield* idle
      yield* step("write", () => {
        world.y.value = seen
      })
    }),
    parts: ["fiber a, in write", "cell y is", "checkpoint forget does not name"],
    missed: true,
  },
  {
    name: "a checkpoint that forgets a value which decides the last of sixty steps",
    program: forgetful(function* (world, seen) {
      yield* idle
      if (seen === 2) yield* set(world.y, 2)
    }),
    parts: ["fiber a", "its next step is its end, and set(2)", "checkpoint forget does not name"],
    missed: true,
  },
  {
    name: "a checkpoint that forgets a value which a guard uses later",
    program: forgetful(function* (world, seen) {
      yield* guardedStep(
        "write",
        () => seen === 2 || world.y.value === 1,
        () => {
          world.y.value = 2
        },
      )
    }),
    parts: ["fiber a, in write", "its guard is", "checkpoint forget does not name"],
    missed: false,
  },
  {
    name: "a checkpoint that forgets a value which decides the next step",
    program: forgetful(function* (world, seen) {
      if (seen === 2) yield* set(world.y, 2)
    }),
    parts: ["fiber a", "its next step is", "set(2)", "checkpoint forget does not name"],
    missed: true,
  },
  {
    name: "a checkpoint outside that forgets a value, and a loop inside that cannot know",
    program: seldom((world) =>
      Effect.gen(function* () {
        const seen = yield* step("read", () => world.x.value)
        yield* checkpoint("outer")
        const head = yield* enterLoop("inner")
        for (let round = 0; round < 2; round++) {
          yield* head(round)
          yield* gate(world)
        }
        yield* step("write", () => {
          world.y.value = seen
        })
      }),
    ),
    parts: ["fiber a, in write", "cell y", "checkpoint outer does not name"],
    missed: true,
  },
  {
    name: "a loop that forgets what its rounds add up",
    program: programWith((world) => ({
      other: set(world.x, 1),
      a: Effect.gen(function* () {
        const head = yield* enterLoop("rounds")
        let total = 0
        for (let round = 0; round < 3; round++) {
          yield* head(round)
          total += yield* step("read", () => world.x.value)
        }
        yield* step("write", () => {
          world.y.value = total
        })
      }),
    })),
    parts: ["fiber a, in write", "cell y is", "loop rounds does not name a value that is still needed"],
    missed: false,
  },
  {
    name: "a forked fiber that uses what its parent's checkpoint forgot",
    program: seldom((world) =>
      Effect.gen(function* () {
        const seen = yield* step("read", () => world.x.value)
        yield* checkpoint("forget")
        const child = yield* fork(
          "child",
          Effect.andThen(
            gate(world),
            step("write", () => {
              world.y.value = seen
            }),
          ),
        )
        yield* join(child)
      }),
    ),
    parts: ["fiber child, in write", "cell y is", "checkpoint forget does not name"],
    missed: true,
  },
  {
    name: "a body that assigns a variable for a later body",
    program: seldom((world) =>
      Effect.gen(function* () {
        let seen = 0
        yield* step("read", () => {
          seen = world.x.value
        })
        yield* gate(world)
        yield* step("write", () => {
          world.y.value = seen
        })
      }),
    ),
    parts: ["fiber a, at write", "cell y is 2", "the body or guard of read keeps something for later"],
    missed: true,
  },
  {
    name: "a body that puts something into a list for the code between steps",
    program: seldom((world) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        yield* step("read", () => {
          seen.push(world.x.value)
        })
        yield* gate(world)
        if (seen.includes(2)) yield* set(world.y, 2)
      }),
    ),
    parts: ["fiber a", "the body or guard of read keeps something for later"],
    missed: false,
  },
  {
    name: "a guard that assigns a variable for a later body",
    program: seldom((world) =>
      Effect.gen(function* () {
        let seen = 0
        yield* guardedStep(
          "read",
          () => {
            seen = world.x.value
            return true
          },
          () => undefined,
        )
        yield* gate(world)
        yield* step("write", () => {
          world.y.value = seen
        })
      }),
    ),
    parts: ["fiber a", "write", "the body or guard of"],
    missed: true,
  },
  {
    name: "a body that every time assigns a variable for a later body",
    program: programWith(({ x, y }) => ({
      a: Effect.gen(function* () {
        let seen = 0
        yield* step("read", () => {
          seen = x.value + 1
        })
        yield* step("write", () => {
          y.value = seen
        })
      }),
    })),
    parts: ["fiber a, in write: cell y is 1, and 0 for a fiber that was told the same results", "keeps something"],
    missed: true,
  },
  {
    name: "a body that counts its own calls",
    program: programWith(({ x }) => {
      let calls = 0
      return {
        a: step("count", () => {
          x.value = ++calls
        }),
      }
    }),
    parts: ["fiber a, in count", "cell x is", "when its code runs again in the same state", "keeps something outside"],
    missed: false,
  },
  {
    name: "a guard that counts its own calls",
    program: programWith(({ x }) => {
      let asked = 0
      return {
        a: guardedStep(
          "wait",
          () => asked++ % 2 === 0,
          () => {
            x.value = 1
          },
        ),
      }
    }),
    parts: ["fiber a, in wait", "its guard is", "when its code runs again in the same state"],
    missed: false,
  },
  {
    name: "a variable that one fiber's code changes for a while and another fiber's body reads",
    program: programWith(({ y }) => {
      let shared = 0
      return {
        b: Effect.gen(function* () {
          yield* idle
          shared = 2
          yield* step("between", () => undefined)
          shared = 0
          yield* idle
        }),
        a: step("use", () => {
          y.value = shared
        }),
      }
    }),
    parts: ["fiber a, at use", "cell y is 2", "a variable that fiber b changes in or after idle(59)"],
    missed: true,
  },
  {
    name: "a variable that one fiber's code changes and another fiber's guard reads",
    program: programWith(({ y }) => {
      let shared = false
      return {
        b: Effect.gen(function* () {
          yield* idle
          shared = true
          yield* step("between", () => undefined)
          shared = false
          yield* idle
        }),
        a: guardedStep(
          "wait",
          () => shared || y.value === 2,
          () => {
            y.value = 2
          },
        ),
      }
    }),
    parts: ["fiber a", "wait"],
    missed: false,
  },
  {
    name: "a property that counts how often it is asked",
    program: programOf(() => {
      const x = cell("x", 0)
      const asked = { times: 0 }
      return { world: { x, asked }, fibers: { a: Effect.all([set(x, 1), idle]) } }
    }, [
      {
        kind: "invariant",
        id: "patient",
        statement: "It is not asked too often.",
        source: "test",
        holds: ({ x, asked }) => x.value < 2 && ++asked.times < 80,
      },
    ]),
    parts: ["property patient says holds, and broken", "nothing but cells"],
    missed: true,
  },
  {
    name: "a property that looks at an object which bodies change",
    program: programOf(() => {
      const inside = { count: 0 }
      const ticks = cell("ticks", 0)
      const fiber = Effect.gen(function* () {
        yield* step("enter", () => {
          inside.count++
          ticks.value++
        })
        yield* step("leave", () => {
          inside.count--
          ticks.value++
        })
      })
      return { world: { inside }, fibers: { a: fiber, b: fiber } }
    }, [
      {
        kind: "invariant",
        id: "one-inside",
        statement: "At most one fiber is inside.",
        source: "test",
        holds: ({ inside }) => inside.count <= 1,
      },
    ]),
    parts: ["property one-inside says"],
    missed: false,
  },
]

describe("a program that breaks the rules is caught, and told which one", () => {
  for (const { name, program, parts, missed } of cheats) {
    it(name, async () => {
      const result = await run(program, "states", { paranoid: true, target: "no-two" })
      expect(result.outcome).toBe("violated")
      expect(result.violation?.property, result.violation?.message).toBe(builtIn.rules)
      for (const part of parts) expect(result.violation?.message).toContain(part)
      expect((await run(program, "states", { paranoid: true, target: "no-two" })).violation).toEqual(result.violation)
      if (missed) expect((await run(program, "states")).outcome).toBe("holds")
    })
  }

  it("by random as well", async () => {
    const program = over(({ y }) => {
      let calls = 0
      return {
        other: bystander({ x: y, y }),
        a: step("count", () => {
          y.value = ++calls
        }),
      }
    })
    const { violation } = await run(program, "random", { paranoid: true, executions: 50 })
    expect(violation?.property).toBe(builtIn.rules)
    expect(violation?.message).toContain("fiber a, in count: cell y")
  })
})

describe("a program that keeps to the rules", () => {
  it("is explored as it is without the checks", async () => {
    const wanted = long ? 1_000 : 25
    let compared = 0
    const compare = async (source: RandomProgram) => {
      const program = interpret(source).program()
      const plain = await survey(program, "states")
      const checked = await survey(program, "states", { paranoid: true })
      expect(checked.result.violation).toBeUndefined()
      expect(checked.result.outcome).toBe(plain.result.outcome)
      expect(checked.result.statistics).toEqual(plain.result.statistics)
      // What is done to other fibers is no step.
      if (!source.fibers.flatMap(flatten).some(({ op }) => op === "fork")) {
        expect(checked.result.compared?.steps).toBeGreaterThanOrEqual(checked.result.statistics.transitions)
      }
      expect(checked.result.exercised).toEqual(plain.result.exercised)
      expect(checked.violations).toEqual(plain.violations)
      expect(checked.finals).toEqual(plain.finals)
      compared++
    }
    for (const arbitrary of [randomProgram, racyProgram]) {
      const programs = fc.asyncProperty(arbitrary, compare)
      await fc.assert(programs, { seed: 7, numRuns: wanted })
    }
    expect(compared).toBe(2 * wanted)
  })

  it("may be long", async () => {
    const program = over(({ x }) => ({
      a: Effect.gen(function* () {
        for (let i = 0; i < 400; i++) {
          yield* step("add", [i], () => {
            x.value = (x.value + 1) % 7
          })
        }
      }),
      b: step("look", () => x.value),
    }))
    const checked = await run(program, "states", { paranoid: true })
    expect(checked.violation).toBeUndefined()
    expect(checked.outcome).toBe("holds")
  })
})
