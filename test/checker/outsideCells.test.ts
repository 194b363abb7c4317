import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { cell, explore, protocolOf, scenario, step, strategies } from "../../checker/index.ts"

/** A critical section without a lock whose occupancy is counted in a plain object: the engine cannot see it change. */
const uncounted = (touchCell: boolean) =>
  scenario({
    id: "uncounted",
    summary: "two fibers in one section",
    setup: () => {
      const state = { inside: 0 }
      const ticks = cell("ticks", 0)
      const tick = () => {
        if (touchCell) ticks.value++
      }
      const fiber = Effect.gen(function* () {
        yield* step("enter", () => {
          state.inside++
          tick()
        })
        yield* step("leave", () => {
          state.inside--
          tick()
        })
      })
      return { world: { state }, fibers: { a: fiber, b: fiber } }
    },
    properties: [
      {
        kind: "invariant",
        id: "one-inside",
        statement: "At most one fiber is inside.",
        source: "made up",
        holds: ({ state }) => state.inside <= 1,
      },
    ],
  })

describe.each([
  ["and no cell", false],
  ["and a cell that the property does not read", true],
])("a property that looks at a plain object, %s", (_, touchCell) => {
  it.each(strategies.map((strategy) => [strategy.name, strategy] as const))(
    "does not hold under %s",
    async (_, strategy) => {
      const program = protocolOf(uncounted(touchCell)).scenarios[0]?.program()
      if (program === undefined) throw new Error("the scenario is missing")
      const result = await Effect.runPromise(explore(program, strategy, { maxSteps: 100, seed: 1, executions: 1_000 }))
      // Sampling on the memoised engine cannot see it, and promises nothing; what is exhaustive must.
      if (!strategy.exhaustive) expect(result.outcome).toBe("inconclusive")
      else expect(result.outcome).toBe("violated")
      if (strategy.name === "dfs") expect(result.violation?.property).toBe("one-inside")
      expect(result.exercised.filter(({ times }) => times > 0)).toEqual([])
    },
  )
})
