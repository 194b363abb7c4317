/** What is said of programs: invariants, steps, ends, deadlocks, failures, and how often each was looked at. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  actionInvariant,
  assert,
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  guardedStep,
  type Invariant,
  type Program,
  type Property,
  step,
  type Waiting,
} from "../../checker/index.ts"
import { programOf, run, survey, unconfirmed } from "./support.ts"

interface World {
  readonly x: Cell<number>
  readonly y: Cell<number>
  readonly z: Cell<number>
}

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

const over = (fibers: (world: World) => Fibers, properties: ReadonlyArray<Property<World>> = []): Program =>
  programOf(() => {
    const world = { x: cell("x", 0), y: cell("y", 0), z: cell("z", 0) }
    return { world, fibers: fibers(world) }
  }, properties)

const set = (target: Cell<number>, value: number) =>
  step("set", [target.name, value], () => {
    target.value = value
  })

const stated = { statement: "It is as it must be.", source: "test" }
const invariant = (id: string, holds: (world: World) => boolean): Invariant<World> => ({
  kind: "invariant",
  id,
  ...stated,
  holds,
})

/** Expects every exhaustive strategy to find the property broken, and says how. */
const broken = async (program: Program, property: string): Promise<string> => {
  let message = ""
  for (const strategy of ["dfs", "states"]) {
    const result = await run(program, strategy)
    expect(result.outcome, strategy).toBe("violated")
    expect(result.violation?.property, strategy).toBe(property)
    expect(unconfirmed(program, result)).toBeUndefined()
    message = result.violation?.message ?? ""
  }
  return message
}

const holds = async (program: Program) => {
  for (const strategy of ["dfs", "states"]) {
    const result = await run(program, strategy)
    expect(result.outcome, `${strategy}: ${result.violation?.message}`).toBe("holds")
  }
}

describe("deadlock", () => {
  const lock = (at: Cell<string>, me: string) =>
    guardedStep(
      "spin_lock",
      [at.name],
      () => at.value === "",
      () => {
        at.value = me
      },
    )
  const unlock = (at: Cell<string>) =>
    step("spin_unlock", [at.name], () => {
      at.value = ""
    })

  it("says who waits for what, and who wrote it last", async () => {
    const program = programOf(() => {
      const a = cell("a", "")
      const b = cell("b", "")
      return {
        world: undefined,
        fibers: {
          cpu0: Effect.all([lock(a, "cpu0"), lock(b, "cpu0"), unlock(a), unlock(b)]),
          cpu1: Effect.all([lock(b, "cpu1"), lock(a, "cpu1"), unlock(a), unlock(b)]),
        },
      }
    })
    const message = await broken(program, builtIn.deadlock)
    expect(message).toBe(
      "cpu0 waits in spin_lock(b) for b (is cpu1, last written by cpu1 in spin_lock(b)); " +
        "cpu1 waits in spin_lock(a) for a (is cpu0, last written by cpu0 in spin_lock(a)); " +
        "cpu0 waits for cpu1, cpu1 waits for cpu0",
    )
  })

  /** What a deadlock's message says of who waits for whom. */
  const waits = async (program: Program) => {
    const message = await broken(program, builtIn.deadlock)
    const clauses = message.split("; ").filter((clause) => !clause.includes(" waits in "))
    return clauses.map((clause) => clause.trim())
  }

  it("finds the shortest circle of fibers that wait for one another", async () => {
    const program = programOf(() => {
      const forks = [0, 1, 2].map((n) => cell(`fork${n}`, ""))
      const seated = cell("seated", 0)
      const sit = step("sit", () => {
        seated.value++
      })
      const all = guardedStep(
        "all_seated",
        () => seated.value === 3,
        () => undefined,
      )
      const dine = (me: string, left: Cell<string> | undefined, right: Cell<string> | undefined) =>
        left && right ? Effect.all([lock(left, me), sit, all, lock(right, me)]) : Effect.void
      return {
        world: undefined,
        fibers: {
          guest: guardedStep(
            "wait_for_fork",
            () => forks[1]?.value === "" && seated.value === 0,
            () => undefined,
          ),
          ada: dine("ada", forks[0], forks[1]),
          bob: dine("bob", forks[1], forks[2]),
          cid: dine("cid", forks[2], forks[0]),
        },
      }
    })
    expect(await waits(program)).toEqual(["ada waits for bob, bob waits for cid, cid waits for ada"])
  })

  it("says that a fiber waits for itself, or for one that has ended", async () => {
    const twice = programOf(() => {
      const a = cell("a", "")
      return { world: undefined, fibers: { cpu0: Effect.all([lock(a, "cpu0"), lock(a, "cpu0")]) } }
    })
    expect(await waits(twice)).toEqual(["cpu0 waits for itself"])
    const queued = programOf(() => {
      const queue = cell("queue", "")
      const sleep = guardedStep(
        "schedule",
        () => queue.value === "",
        () => undefined,
      )
      const enter = step("prepare_to_wait", () => {
        queue.value = "cpu0"
      })
      return { world: undefined, fibers: { cpu0: Effect.all([enter, sleep]) } }
    })
    expect(await waits(queued)).toEqual([])
    const left = programOf(() => {
      const a = cell("a", "")
      return {
        world: undefined,
        fibers: {
          cpu0: lock(a, "cpu0"),
          cpu1: Effect.all([
            guardedStep(
              "wait_event",
              () => a.value === "cpu0",
              () => undefined,
            ),
            lock(a, "cpu1"),
          ]),
        },
      }
    })
    expect(await waits(left)).toEqual(["cpu1 waits for cpu0, which has ended"])
  })

  it("names every cell that the guard looks at, and says when there is none", async () => {
    const two = await broken(
      over(({ x, y }) => ({
        waiter: guardedStep(
          "wait_event",
          () => x.value === 0 && y.value === 1,
          () => undefined,
        ),
        done: set(x, 0),
      })),
      builtIn.deadlock,
    )
    expect(two).toBe("waiter waits in wait_event for x (is 0) and y (is 0)")
    const none = await broken(
      over(() => ({
        waiter: guardedStep(
          "never",
          () => false,
          () => undefined,
        ),
      })),
      builtIn.deadlock,
    )
    expect(none).toBe("waiter waits in never for nothing that could change")
  })

  it("is none while one fiber spins, and none where a fiber broke down", async () => {
    const waits = ({ x }: World) =>
      guardedStep(
        "wait",
        () => x.value === 1,
        () => undefined,
      )
    const spinning = await run(
      over((world) => ({
        waiter: waits(world),
        spinner: Effect.forever(
          Effect.andThen(
            checkpoint("head"),
            step("spin", () => undefined),
          ),
        ),
      })),
      "states",
    )
    expect(spinning.outcome).toBe("holds")
    const dead = await survey(
      over((world) => ({ waiter: waits(world), dead: Effect.fail("gone") })),
      "dfs",
    )
    expect([...dead.broken]).toEqual([builtIn.failure])
  })

  it("of fibers without steps is none", async () => {
    await holds(over(() => ({ idle: Effect.void, busy: Effect.succeed(1) })))
  })
})

describe("fibers that break down", () => {
  it("by an uncaught failure", async () => {
    class Refused extends Error {
      override readonly name = "Refused"
    }
    const message = await broken(
      over(({ x }) => ({ driver: Effect.andThen(set(x, 1), Effect.fail(new Refused("no memory"))) })),
      builtIn.failure,
    )
    expect(message).toBe("fiber driver, after set(x, 1), failed with Refused: no memory")
    expect(
      await broken(
        over(() => ({ driver: Effect.fail({ code: 12 }) })),
        builtIn.failure,
      ),
    ).toBe('fiber driver, before its first step, failed with {"code":12}')
  })

  it("by a defect", async () => {
    const message = await broken(
      over(({ x }) => ({
        driver: Effect.andThen(
          set(x, 1),
          Effect.sync(() => {
            throw new TypeError("not a function")
          }),
        ),
      })),
      builtIn.defect,
    )
    expect(message).toBe("fiber driver, after set(x, 1), died of TypeError: not a function")
    expect(
      await broken(
        over(() => ({ driver: Effect.interrupt })),
        builtIn.defect,
      ),
    ).toContain("fiber driver")
  })

  it("by an assertion, in one schedule of two", async () => {
    const program = over(({ x }) => ({
      a: step("check", ["x"], () => assert(x.value === 0, `x is ${x.value}`)),
      b: set(x, 1),
    }))
    expect(await broken(program, builtIn.assertion)).toBe("fiber a, in check(x): x is 1")
  })

  it("and are none when the failure is caught", async () => {
    await holds(over(({ x }) => ({ driver: Effect.ignore(Effect.andThen(set(x, 1), Effect.fail("refused"))) })))
  })

  it("in twos are not taken for fibers that did not, when the search goes on for something else", async () => {
    const program = over(
      ({ x, z }) => {
        const eager = (expected: number, then: Effect.Effect<void>) =>
          Effect.andThen(
            step("check", [expected], () => assert(x.value === expected, "too early")),
            then,
          )
        return { a: eager(1, set(x, 2)), b: eager(2, set(z, 1)), c: set(x, 1) }
      },
      [invariant("z-is-0", ({ z }) => z.value === 0)],
    )
    for (const strategy of ["dfs", "states"]) {
      expect((await run(program, strategy, { target: "z-is-0" })).outcome, strategy).toBe("violated")
      const found = await survey(program, strategy)
      expect([...found.broken].sort()).toEqual([builtIn.assertion, "z-is-0"])
    }
  })

  it("with a step that throws has written nothing", async () => {
    const program = over(
      ({ x, y }) => ({
        a: step("both", () => {
          x.value = 1
          throw new Error("halfway")
        }),
        b: set(y, 1),
      }),
      [invariant("x-is-0", ({ x, y }) => y.value === 2 || x.value === 0)],
    )
    for (const strategy of ["dfs", "states"]) {
      expect([...(await survey(program, strategy)).broken]).toEqual([builtIn.defect])
    }
  })
})

describe("invariants", () => {
  it("are looked at between any two steps", async () => {
    const fibers = ({ x }: World) => ({ a: Effect.andThen(set(x, 1), set(x, 0)) })
    await broken(over(fibers, [invariant("x-is-0", ({ x }) => x.value === 0)]), "x-is-0")
  })

  it("are not looked at within a step", async () => {
    await holds(
      over(
        ({ x }) => ({
          a: step("blink", () => {
            x.value = 1
            x.value = 0
          }),
        }),
        [invariant("x-is-0", ({ x }) => x.value === 0)],
      ),
    )
  })

  it("are looked at before the first step, and after a choice", async () => {
    const never = invariant("never", () => false)
    expect(
      (
        await run(
          over(() => ({ idle: Effect.void }), [never]),
          "states",
        )
      ).moves,
    ).toEqual([])
    await broken(
      over(({ x }) => ({ a: set(x, 1) }), [never]),
      "never",
    )
  })

  it("that start to read a cell late see what was written to it before", async () => {
    // y is read only while x is 1: whether that was so when y was written differs from schedule to schedule.
    const fibers = ({ x, y, z }: World) => ({
      a: Effect.andThen(set(x, 1), set(x, 2)),
      b: Effect.andThen(set(y, 1), set(y, 2)),
      c: Effect.andThen(set(z, 1), set(z, 0)),
    })
    for (const wanted of [1, 2]) {
      for (const also of [0, 1]) {
        const property = invariant("chained", ({ x, y, z }) => x.value !== 1 || y.value !== wanted || z.value !== also)
        await broken(over(fibers, [property]), "chained")
      }
    }
    await holds(over(fibers, [invariant("chained", ({ x, y }) => x.value !== 1 || y.value !== 3)]))
  })

  it("that follow a pointer see a write to what it points to, whenever they looked there first", async () => {
    const program = (bad: number) =>
      programOf<{ readonly table: ReadonlyArray<Cell<number>>; readonly pointer: Cell<number> }>(() => {
        const table = [0, 1, 2, 3].map((n) => cell(`table${n}`, 0))
        const pointer = cell("pointer", 0)
        return {
          world: { table, pointer },
          fibers: {
            mover: Effect.gen(function* () {
              for (const to of [2, 1, 3]) {
                yield* step("point", [to], () => {
                  pointer.value = to
                })
              }
            }),
            writer: Effect.gen(function* () {
              for (const [at, entry] of table.entries()) {
                yield* step("fill", [at], () => {
                  entry.value = at + 10
                })
              }
            }),
          },
        }
      }, [
        {
          kind: "invariant",
          id: "target",
          ...stated,
          holds: ({ table, pointer }) => table[pointer.value]?.value !== bad,
        },
      ])
    for (const bad of [10, 11, 12, 13]) await broken(program(bad), "target")
    await holds(program(14))
  })

  it("with a premise count the states in which it was true", async () => {
    const fibers = ({ x, y }: World) => ({ a: Effect.andThen(set(x, 1), set(x, 2)), b: set(y, 1) })
    const premised = (id: string, premise: (world: World) => boolean): Property<World> => ({
      ...invariant(id, () => true),
      premise,
    })
    const program = over(fibers, [
      premised("sometimes", ({ x }) => x.value === 1),
      premised("never", ({ x }) => x.value === 3),
      invariant("blind", () => true),
      { kind: "atEnd", id: "end", ...stated, premise: ({ y }) => y.value === 1, holds: () => true },
      { kind: "atEnd", id: "no-end", ...stated, premise: ({ y }) => y.value === 2, holds: () => true },
      actionInvariant<World, number>({
        id: "up",
        ...stated,
        observe: ({ x }) => x.value,
        premise: (_, after) => after === 2,
        holds: (before, after) => after === before + 1,
      }),
      actionInvariant<World, number>({
        id: "down",
        ...stated,
        observe: ({ x }) => x.value,
        premise: (before, after) => after < before,
        holds: () => true,
      }),
    ])
    for (const strategy of ["states", "dfs", "random"]) {
      const { exercised } = await run(program, strategy, { executions: 100 })
      const times = Object.fromEntries(exercised.map(({ id, times }) => [id, times]))
      expect(times, strategy).toMatchObject({ never: 0, blind: 0, "no-end": 0, down: 0 })
      for (const id of ["sometimes", "end", "up"]) expect(times[id], `${strategy} ${id}`).toBeGreaterThan(0)
    }
  })

  it("stop the search at the target alone, if there is one", async () => {
    const program = over(
      ({ x }) => ({ a: Effect.andThen(set(x, 1), set(x, 2)) }),
      [invariant("first", ({ x }) => x.value !== 1), invariant("second", ({ x }) => x.value !== 2)],
    )
    expect((await run(program, "states")).violation?.property).toBe("first")
    for (const strategy of ["states", "dfs", "random"]) {
      const result = await run(program, strategy, { target: "second", executions: 10 })
      expect(result.violation?.property).toBe("second")
      expect(result.moves).toHaveLength(2)
      const other = await run(program, strategy, { target: "third", executions: 10 })
      expect(other.outcome).toBe(strategy === "random" ? "inconclusive" : "holds")
    }
  })
})

describe("action invariants", () => {
  const noFall: Property<World> = actionInvariant<World, number>({
    id: "no-fall",
    ...stated,
    observe: ({ x }) => x.value,
    holds: (before, after) => after >= before,
    explain: (before, after) => `${before} became ${after}`,
  })

  it("are asked of every step, of those into states that were visited before too", async () => {
    // Going down from 1 leads back to states that going nowhere had reached already: no state is new on the way down.
    const program = over(
      ({ x }) => ({
        a: Effect.gen(function* () {
          const way = yield* choose("way", ["stay", "climb"])
          yield* step("first", () => {
            if (way === "climb") x.value = 1
          })
          yield* checkpoint("met")
          yield* step("second", () => {
            x.value = 0
          })
        }),
      }),
      [noFall],
    )
    expect(await broken(program, "no-fall")).toBe("1 became 0")
    const all = await run(program, "states", { target: "none" })
    expect(all.statistics.transitions).toBeGreaterThan(all.statistics.states - 1) // some edge led into a known state
  })

  it("see a loop's step back into its own first state", async () => {
    const program = over(
      ({ x }) => ({
        a: Effect.forever(
          Effect.andThen(
            checkpoint("head"),
            step("turn", () => {
              x.value = (x.value + 1) % 3
            }),
          ),
        ),
      }),
      [noFall],
    )
    const result = await run(program, "states")
    expect(result.violation).toEqual({ property: "no-fall", message: "2 became 0" })
    expect(result.moves).toHaveLength(3)
  })

  it("compare with what was observed before this step, whichever was explored before", async () => {
    const program = over(
      ({ x, y }) => ({ a: Effect.andThen(set(x, 1), set(x, 2)), b: Effect.andThen(set(y, 5), set(x, 3)) }),
      [
        actionInvariant<World, readonly [number, number]>({
          id: "by-one",
          ...stated,
          observe: ({ x, y }) => [x.value, y.value],
          premise: ([, y], [, now]) => y === now,
          holds: ([before], [after]) => after !== before,
          explain: ([before], [after]) => `${before} became ${after}`,
        }),
        actionInvariant<World, number>({
          id: "no-3-to-2",
          ...stated,
          observe: ({ x }) => x.value,
          holds: (before, after) => !(before === 3 && after === 2),
        }),
      ],
    )
    for (const strategy of ["states", "dfs"])
      expect([...(await survey(program, strategy)).broken]).toEqual(["no-3-to-2"])
  })
})

describe("properties of the end", () => {
  it("are asked when all fibers have ended, and only then", async () => {
    const end: Property<World> = { kind: "atEnd", id: "end", ...stated, holds: ({ x }) => x.value === 1 }
    await broken(
      over(({ x }) => ({ a: set(x, 1), b: set(x, 2) }), [end]),
      "end",
    )
    await holds(over(({ x }) => ({ a: Effect.andThen(set(x, 2), set(x, 1)) }), [end]))
    const stuck = await survey(
      over(
        ({ y }) => ({
          a: guardedStep(
            "wait",
            () => y.value === 1,
            () => undefined,
          ),
        }),
        [end],
      ),
      "states",
    )
    expect([...stuck.broken]).toEqual([builtIn.deadlock])
  })

  it("of progress are told who waits in what", async () => {
    const seen: Array<ReadonlyArray<Waiting>> = []
    const progress: Property<World> = {
      kind: "progress",
      id: "L-WAIT",
      statement: "The waiter gets through.",
      source: "test",
      stuck: (_, waiting) => {
        seen.push(waiting)
        return waiting.some(({ step }) => step === "wait")
      },
    }
    const waiting = ({ x, y }: World) => ({
      waiter: guardedStep(
        "wait",
        ["x", 1],
        () => x.value === 1,
        () => undefined,
      ),
      other: guardedStep(
        "idle",
        () => y.value === 7,
        () => undefined,
      ),
    })
    const message = await broken(over(waiting, [progress]), "L-WAIT")
    expect(message).toContain("The waiter gets through.")
    expect(message).toContain("waiter waits in wait(x, 1) for x (is 0)")
    expect(seen[0]).toEqual([
      { fiber: "waiter", step: "wait", args: ["x", 1] },
      { fiber: "other", step: "idle", args: [] },
    ])
    const others = await survey(
      over((world) => ({ ...waiting(world), helper: set(world.x, 1) }), [progress]),
      "states",
    )
    expect([...others.broken]).toEqual([builtIn.deadlock])
  })

  it("of progress may find a program stuck that has ended", async () => {
    const progress: Property<World> = { kind: "progress", id: "served", ...stated, stuck: ({ x }) => x.value === 0 }
    expect(
      await broken(
        over(() => ({ a: Effect.void }), [progress]),
        "served",
      ),
    ).toContain("all fibers have ended")
    await holds(over(({ x }) => ({ a: set(x, 1) }), [progress]))
  })
})
