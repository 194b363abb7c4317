import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, protocolOf, scenario, step, strategies } from "../../checker/index.ts"

const forEver = () => {
  for (;;);
}

/** Milliseconds: more than a loaded machine needs to get as far as the loop. */
const limit = 600

/** Code that never returns, where it is written, and what the report must say of it. */
const cases = {
  "in a step": { fiber: step("spin", forEver), says: /fiber spinner, in spin, has run for 0.6 s/ },
  "before the first step": { fiber: Effect.sync(forEver), says: /fiber spinner, before its first step, has run/ },
  "between two steps": {
    fiber: Effect.andThen(
      step("read", () => 1),
      Effect.sync(forEver),
    ),
    says: /fiber spinner, after read, has run/,
  },
}

describe.each(strategies.map((strategy) => [strategy.name, strategy] as const))(
  "an endless loop under %s",
  (_, strategy) => {
    it.each(Object.entries(cases))("is reported by fiber and place: %s", async (_, { fiber, says }) => {
      const made = scenario({
        id: "endless",
        summary: "",
        setup: () => ({ world: {}, fibers: { other: step("step", () => undefined), spinner: fiber } }),
        properties: [],
      })
      const program = protocolOf(made).scenarios[0]?.program()
      if (program === undefined) throw new Error("the scenario is missing")
      const result = await Effect.runPromise(
        explore(program, strategy, { maxSteps: 100, seed: 1 }, { stallMilliseconds: limit }),
      )
      expect(result.outcome).toBe("violated")
      expect(result.violation?.property).toBe("rules")
      expect(result.violation?.message).toMatch(says)
      expect(Date.now()).toBeGreaterThan(0) // the guards against the real world are down again
    })
  },
)
