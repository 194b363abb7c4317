/** What a search tells of itself while it runs. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { choose, explore, type Program, type Strategy, step } from "../../checker/index.ts"
import { defaults, programOf, run, strategyOf } from "./support.ts"

const repeated = (times: number, one: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.all(
    Array.from({ length: times }, () => one),
    { discard: true },
  )

/** A fiber that draws so many digits. */
const digits = (count: number): Program =>
  programOf(() => {
    const draw = choose("digit", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    return { world: {}, fibers: { alice: repeated(count, draw) } }
  })

/** Two fibers, one of which takes many steps. */
const uneven = programOf(() => {
  const work = step("work", () => undefined)
  return { world: {}, fibers: { alice: repeated(10, work), bob: repeated(3, work) } }
})

/** The share that is done at several moments of a search, and how many executions were done then. */
const shares = (program: Program, strategy: Strategy, executions?: number) => {
  const { executions: _, ...others } = defaults
  const search = strategy.search(program, executions === undefined ? others : { ...others, executions })
  const seen: Array<{ readonly share: number; readonly done: number }> = []
  for (let ending = search.advance(20); ending === undefined; ending = search.advance(20)) {
    seen.push({ share: search.share ?? Number.NaN, done: search.statistics.executions })
  }
  return { seen, last: search.share, done: search.statistics.executions }
}

describe("the share of a search that is done", () => {
  it("is exact for dfs where every branch has as many schedules", () => {
    const { seen, last, done } = shares(digits(3), strategyOf("dfs"))
    expect(done).toBe(1000)
    expect(seen.length).toBeGreaterThan(50)
    for (const { share, done } of seen) expect(share).toBeCloseTo(done / 1000, 10)
    expect(last).toBe(1)
  })

  it("is an estimate that only grows where branches differ", () => {
    const { seen, last, done } = shares(uneven, strategyOf("dfs"))
    expect(done).toBe(286) // 13 over 3
    let before = 0
    for (const { share } of seen) {
      expect(share).toBeGreaterThanOrEqual(before)
      expect(share).toBeLessThan(1)
      before = share
    }
    expect(before).toBeGreaterThan(0.5)
    expect(last).toBe(1)
  })

  it("counts the executions that were asked for", () => {
    for (const strategy of ["dfs", "random"]) {
      const { seen, last } = shares(digits(6), strategyOf(strategy), 500)
      for (const { share, done } of seen) expect(share).toBe(done / 500)
      expect(last).toBe(1)
    }
  })

  it("is not told by a search that cannot know", () => {
    expect(strategyOf("states").search(digits(3), defaults).share).toBeUndefined()
  })
})

describe("the moves that are known and not made", () => {
  it("are told while a search runs, and none in the end", async () => {
    for (const breadthFirst of [false, true]) {
      const search = strategyOf("states").search(digits(4), { ...defaults, breadthFirst })
      expect(search.open).toBe(10)
      search.advance(15)
      expect(search.open).toBeGreaterThan(15)
      while (search.advance(1000) === undefined);
      expect(search.open).toBe(0)
    }
  })

  it("reach who asked for progress", async () => {
    const open: Array<number | undefined> = []
    const note = (_: unknown, __: number, standing: { readonly open?: number }) =>
      Effect.sync(() => void open.push(standing.open))
    const program = digits(4)
    await Effect.runPromise(explore(program, strategyOf("states"), defaults, {}, note))
    expect((await run(program, "states")).outcome).toBe("holds")
    expect(open).not.toContain(undefined)
    expect(Math.max(...open.map((moves) => moves ?? 0))).toBeGreaterThan(0)
  })
})
