/** The samplers: how often they find bugs, what they say, and that a seed is enough to do it again. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { buggyPrograms, reorder } from "../../checker/bench/programs/bugs.ts"
import { publishedProgram } from "../../checker/bench/programs/index.ts"
import { cell, checkpoint, choose, countPreemptions, fork, guardedStep, join, step } from "../../checker/index.ts"
import { programOf, run, survey, timeless } from "./support.ts"

const samplers = ["random", "pct", "pos", "surw"]

/** How often a strategy ends at the bug in so many schedules. */
const hits = async (program: Parameters<typeof run>[0], strategy: string, executions: number): Promise<number> => {
  let hits = 0
  const survey = { violation: () => void hits++, final: () => undefined }
  const { statistics } = await run(program, strategy, { executions, survey })
  expect(statistics.executions).toBe(executions)
  return hits
}

/** The odds that something of odds p comes `most` times at most in n tries. */
const cumulative = (n: number, p: number, most: number): number => {
  let logarithm = n * Math.log1p(-p)
  let sum = 0
  for (let k = 0; k <= most; k++) {
    sum += Math.exp(logarithm)
    logarithm += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p))
  }
  return sum
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** After how many schedules a strategy finds the bug, in the median of 50 seeds. */
const until = async (program: Parameters<typeof run>[0], strategy: string): Promise<number> => {
  const needed: Array<number> = []
  for (let seed = 1; seed <= 50; seed++) {
    const { outcome, statistics } = await run(program, strategy, { seed, executions: 5_000 })
    needed.push(outcome === "violated" ? statistics.executions : Number.POSITIVE_INFINITY)
  }
  return median(needed)
}

describe.each(buggyPrograms)("$name", ({ name, threads, walk, preemptions, delays }) => {
  const program = publishedProgram({ name, threads })

  it("is hit by random as often as it is to be", async () => {
    const tries = 20_000
    const found = await hits(program, "random", tries)
    expect(cumulative(tries, walk, found), `${found} are too few`).toBeGreaterThan(0.0005)
    expect(1 - cumulative(tries, walk, found - 1), `${found} are too many`).toBeGreaterThan(0.0005)
  })

  it("is found by surw within 300 schedules", async () => {
    expect(await until(program, "surw")).toBeLessThanOrEqual(300)
  })

  it("is found by the other samplers", async () => {
    for (const strategy of ["pct", "pos"]) expect(await hits(program, strategy, 5_000), strategy).toBeGreaterThan(0)
  })

  it("is found by bounded with the fewest preemptions, and delays", async () => {
    const found = await run(program, "bounded", { executions: 1_000_000 })
    expect(countPreemptions(program, found.moves ?? [])).toBe(preemptions)
    for (const [by, fewest] of [
      ["preemptions", preemptions],
      ["delays", delays],
    ] as const) {
      const enough = await run(program, "bounded", { [by]: fewest, executions: 1_000_000 })
      expect(enough.outcome).toBe("violated")
      if (fewest === 0) continue
      const fewer = { [by]: fewest - 1 }
      expect(await run(program, "bounded", fewer)).toMatchObject({ outcome: "holds", within: fewer })
    }
  })
})

/** Breaks if the look comes behind all the steps of `long`: in one order of `steps` + 1. */
const late = (steps: number) =>
  programOf(() => {
    const counter = cell("counter", 0)
    const end = cell("end", -1)
    const long = Effect.gen(function* () {
      for (let i = 0; i < steps; i++) {
        yield* step("count", () => {
          counter.value++
        })
      }
    })
    const once = step("look", () => {
      end.value = counter.value
    })
    return { world: { end }, fibers: { long, once } }
  }, [
    {
      kind: "atEnd",
      id: "not-last",
      statement: "The look is not the last step.",
      source: "test",
      holds: ({ end }) => end.value !== steps,
    },
  ])

describe("samplers", () => {
  it("surw finds the bug of reorder_10 within 60 schedules", async () => {
    expect(await until(publishedProgram({ name: "reorder_10", threads: reorder(10) }), "surw")).toBeLessThanOrEqual(60)
  })

  it("surw makes all orders of the accesses equally likely", async () => {
    const tries = 4_000
    for (const steps of [9, 19]) {
      const found = await hits(late(steps), "surw", tries)
      expect(cumulative(tries, 1 / (steps + 1), found), `${found} of ${steps}`).toBeGreaterThan(0.0005)
      expect(1 - cumulative(tries, 1 / (steps + 1), found - 1), `${found} of ${steps}`).toBeGreaterThan(0.0005)
    }
  })

  it("pos draws anew which of two racing steps comes first, after each", async () => {
    const tries = 4_000
    const found = await hits(late(4), "pos", tries)
    expect(cumulative(tries, 1 / 2 ** 4, found)).toBeGreaterThan(0.0005)
    expect(1 - cumulative(tries, 1 / 2 ** 4, found - 1)).toBeGreaterThan(0.0005)
  })

  it("pct hits bugs with the odds that it states, whatever they are", async () => {
    const { reason } = await run(late(20), "pct", { depth: 2, executions: 1_000, target: "nothing" })
    expect(reason).toMatch(
      /^1000 schedules were taken by pct \(seed 1\); none had more than 2 fibers and 21 steps, .* bug of depth 2 with odds of at least 1\/\(2\*21\^1\), so the last 999 missed one with odds of at most 3\.5e-11/,
    )
    for (const [program, depth, odds] of [
      // The look comes last: depth 1, for two fibers.
      [late(20), 1, 1 / 2],
      [publishedProgram({ name: "reorder_5", threads: reorder(5) }), 2, 1 / (5 * 12)],
    ] as const) {
      let found = 0
      const counting = { violation: () => void found++, final: () => undefined }
      await run(program, "pct", { depth, executions: 4_000, survey: counting })
      expect(cumulative(4_000, odds, found), `${found} by depth ${depth}`).toBeGreaterThan(0.0005)
    }
  })

  it.each(samplers)("%s takes the same schedules with the same seed, and others with another", async (strategy) => {
    const program = publishedProgram({ name: "reorder_5", threads: reorder(5) })
    const found = await run(program, strategy, { seed: 7 })
    expect(found.outcome).toBe("violated")
    expect(timeless(await run(program, strategy, { seed: 7 }))).toEqual(timeless(found))
    const others = await Promise.all([8, 9, 10].map((seed) => run(program, strategy, { seed })))
    expect(others.some(({ moves }) => JSON.stringify(moves) !== JSON.stringify(found.moves))).toBe(true)
  })

  it.each(samplers)("%s meets every end of a program with choices, guards and forks", async (strategy) => {
    const program = programOf(() => {
      const [x, ready] = [cell("x", 0), cell("ready", false)]
      const child = step("child", () => {
        x.value = 2 * x.value + 1
      })
      const parent = Effect.gen(function* () {
        const by = yield* choose("by", [1, 2, 3])
        const forked = yield* fork("child", child)
        yield* step("add", () => {
          x.value += by
          ready.value = true
        })
        yield* join(forked)
      })
      const waiter = guardedStep(
        "wait",
        () => ready.value,
        () => {
          x.value = 3 * x.value
        },
      )
      return { world: {}, fibers: { parent, waiter } }
    })
    const every = await survey(program, "dfs")
    expect(every.finals.size).toBeGreaterThan(5)
    expect((await survey(program, strategy, { executions: 2_000 })).finals).toEqual(every.finals)
    const checked = await survey(program, strategy, { executions: 200, paranoid: true })
    expect(checked.result.compared?.paths).toBeGreaterThan(0)
    expect(checked.finals).toEqual(every.finals)
  })

  it.each(samplers)("%s does not starve who a loop waits for", async (strategy) => {
    const program = programOf(() => {
      const ready = cell("ready", false)
      const spin = Effect.gen(function* () {
        for (;;) {
          yield* checkpoint("retry")
          if (yield* step("look", () => ready.value)) return
        }
      })
      const set = step("set", () => {
        ready.value = true
      })
      return { world: {}, fibers: { spin, set } }
    })
    const { reason } = await run(program, strategy, { executions: 300, maxSteps: 5_000 })
    expect(reason).toContain("300 schedules were taken")
  })
})
