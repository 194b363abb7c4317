/** What is said of programs: invariants, steps, ends, and how often each was looked at. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import {
  actionInvariant,
  builtIn,
  type Cell,
  cell,
  checkpoint,
  choose,
  guardedStep,
  type Property,
  step,
  type Waiting,
} from "../../checker/index.ts"
import { programOf, run, survey } from "./support.ts"
import { broken, holds, invariant, over, set, stated, type World } from "./threeCells.ts"

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

  it("with a premise are asked where it is false too", async () => {
    const fibers = ({ x }: World) => ({ a: Effect.andThen(set(x, 1), set(x, 2)) })
    const never = { premise: ({ x }: World) => x.value === 3 }
    await broken(over(fibers, [{ ...invariant("unexpected", ({ x }) => x.value !== 1), ...never }]), "unexpected")
    const end: Property<World> = { kind: "atEnd", id: "end", ...stated, ...never, holds: ({ x }) => x.value !== 2 }
    await broken(over(fibers, [end]), "end")
    const action = actionInvariant<World, number>({
      id: "up",
      ...stated,
      observe: ({ x }) => x.value,
      premise: () => false,
      holds: (_, after) => after !== 2,
    })
    await broken(over(fibers, [action]), "up")
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
          holds: ([before, y], [after, now]) => y !== now || after !== before,
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
