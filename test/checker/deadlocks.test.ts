/** Fibers that wait for ever, and fibers that break down. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { assert, builtIn, type Cell, cell, checkpoint, guardedStep, type Program, step } from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"
import { broken, holds, invariant, over, set, type World } from "./threeCells.ts"

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
    for (const strategy of ["dfs", "optimal", "states"]) {
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
    for (const strategy of ["dfs", "optimal", "states"]) {
      expect([...(await survey(program, strategy)).broken]).toEqual([builtIn.defect])
    }
  })
})
