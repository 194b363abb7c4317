/** The same program, bound, strategy and seed give the same executions in the same order. */
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Cell, cell, choose, guardedStep, type Program, type Property, step } from "../../checker/index.ts"
import { long } from "../long.ts"
import { randomProgram } from "./programArbitrary.ts"
import { interpret } from "./randomProgram.ts"
import { programOf, run, survey, timeless } from "./support.ts"

/** So many random programs are searched twice; `SHOOTDOWN_LONG=1` does that with more. */
const wanted = long ? 1_000 : 14

/** Three fibers that pass a token around and gamble. */
const gamblers = (limit: number): Program =>
  programOf(() => {
    const pot = cell("pot", 0)
    const turn = cell("turn", 0)
    const player = (me: number) =>
      Effect.gen(function* () {
        for (let round = 0; round < 2; round++) {
          const stake = yield* choose("stake", [1, 2, 3])
          yield* guardedStep(
            "play",
            [stake],
            () => turn.value !== me || pot.value > 0,
            () => {
              pot.value += stake
              turn.value = me
            },
          )
        }
      })
    return { world: { pot }, fibers: { zero: player(0), one: player(1), two: player(2) } }
  }, [
    {
      kind: "invariant",
      id: "small",
      statement: "The pot is small.",
      source: "test",
      holds: ({ pot }) => pot.value < limit,
      explain: ({ pot }) => `the pot is ${pot.value}`,
    },
  ])

describe("determinism", () => {
  it("the same search twice has the same result, moves and figures", async () => {
    for (const limit of [5, 12, 100]) {
      for (const strategy of ["states", "optimal", "dfs", "random"]) {
        for (const seed of [1, 2]) {
          const options = { seed, executions: 300 }
          const first = await run(gamblers(limit), strategy, options)
          expect(timeless(await run(gamblers(limit), strategy, options))).toEqual(timeless(first))
          const program = gamblers(limit)
          await run(program, strategy, { ...options, seed: 99 })
          expect(timeless(await run(program, strategy, options))).toEqual(timeless(first))
        }
      }
    }
  })

  it("random takes other schedules with another seed, and only with another seed", async () => {
    const found = new Map<string, number>()
    for (let seed = 0; seed < 20; seed++) {
      const { moves } = await run(gamblers(12), "random", { seed, executions: 500 })
      expect(moves).toBeDefined()
      const text = JSON.stringify(moves)
      found.set(text, (found.get(text) ?? 0) + 1)
    }
    expect(found.size).toBeGreaterThan(15)
  })

  it("random takes the executions it is asked for, and says that it is a sample", async () => {
    const result = await run(gamblers(100), "random", { seed: 3, executions: 37 })
    expect(result.outcome).toBe("inconclusive")
    expect(result.statistics.executions).toBe(37)
    expect(result.reason).toContain("37 schedules were taken by random (seed 3)")
  })

  it("random chooses evenly among fibers, and then among options", async () => {
    const options = [0, 1, 2]
    const program = programOf(() => {
      const far = cell("far", -1)
      const walkerFirst = cell("walkerFirst", false)
      return {
        world: { far, walkerFirst },
        fibers: {
          walker: step("start", () => {
            walkerFirst.value = far.value === -1
          }),
          jumper: Effect.flatMap(choose("far", options), (option) =>
            step("jump", () => {
              far.value = option
            }),
          ),
        },
      }
    }, [
      ...options.map(
        (option): Property<{ readonly far: Cell<number>; readonly walkerFirst: Cell<boolean> }> => ({
          kind: "atEnd",
          id: `jumped ${option}`,
          statement: "Says nothing; counts the ends.",
          source: "test",
          premise: ({ far }) => far.value === option,
          holds: () => true,
        }),
      ),
      {
        kind: "atEnd",
        id: "walked first",
        statement: "Says nothing; counts the ends.",
        source: "test",
        premise: ({ walkerFirst }) => walkerFirst.value,
        holds: () => true,
      },
    ])
    const { exercised } = await run(program, "random", { seed: 5, executions: 3000 })
    const times = new Map(exercised.map((each) => [each.id, each.times]))
    for (const option of options) expect(Math.abs((times.get(`jumped ${option}`) ?? 0) - 1000)).toBeLessThan(120)
    // The walker goes first in half of the schedules, and in half of the others between the choice and the jump.
    expect(Math.abs((times.get("walked first") ?? 0) - 2250)).toBeLessThan(120)
  })

  it("a budget of executions cuts dfs short, and never says holds", async () => {
    const result = await run(gamblers(100), "dfs", { executions: 100 })
    expect(result.outcome).toBe("inconclusive")
    expect(result.statistics.executions).toBe(100)
    expect(result.reason).toContain("100 executions")
  })

  it("a budget of time cuts every strategy short", async () => {
    const endless = programOf(() => {
      const x = cell("x", 0)
      const adder = Effect.gen(function* () {
        for (let i = 0; i < 300; i++) yield* step("add", () => x.value++)
      })
      return { world: undefined, fibers: Object.fromEntries(["a", "b", "c"].map((name) => [name, adder])) }
    })
    for (const strategy of ["states", "optimal", "dfs", "random"]) {
      const options = { maxSteps: 100_000, executions: 1_000_000_000 }
      const result = await run(endless, strategy, options, { milliseconds: 200 })
      expect(result.outcome, strategy).toBe("inconclusive")
      expect(result.reason).toContain("0.2 s")
      expect(result.seconds).toBeLessThan(20)
    }
  })

  it("holds of random programs: figures, final states and violations", async () => {
    await fc.assert(
      fc.asyncProperty(randomProgram, async (source) => {
        for (const strategy of ["states", "optimal", "dfs", "random"]) {
          const options = { executions: 20, seed: 4 }
          const { result: first, ...found } = await survey(interpret(source).program(), strategy, options)
          const { result: second, ...again } = await survey(interpret(source).program(), strategy, options)
          expect(again).toEqual(found)
          expect([...again.violations]).toEqual([...found.violations])
          expect(timeless(second)).toEqual(timeless(first))
        }
      }),
      { seed: 12, numRuns: wanted },
    )
  })
})
