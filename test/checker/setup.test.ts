import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import {
  cell,
  explore,
  protocolOf,
  type Scenario,
  SetupFailed,
  scenario,
  step,
  strategies,
} from "../../checker/index.ts"

const failure = async (made: Scenario<unknown>, strategy: (typeof strategies)[number]) => {
  const program = protocolOf(made).scenarios[0]?.program()
  if (program === undefined) throw new Error("the scenario is missing")
  return Effect.runPromise(Effect.flip(explore(program, strategy, { maxSteps: 100, seed: 1 })))
}

it.each(strategies.map((strategy) => [strategy.name, strategy] as const))(
  "%s says when the setup makes no fibers",
  async (_, strategy) => {
    const made = scenario({ id: "nobody", summary: "", setup: () => ({ world: {}, fibers: {} }), properties: [] })
    const error = await failure(made, strategy)
    expect(error).toBeInstanceOf(SetupFailed)
    expect(error.message).toContain("nobody")
    expect(error.message).toContain("no fibers")
  },
)

it("says when a setup works once and then no more", async () => {
  let setups = 0
  const made = scenario({
    id: "fickle",
    summary: "",
    setup: () => {
      if (++setups > 1) throw new Error("not again")
      const counter = cell("counter", 0)
      const increment = step("increment", () => {
        counter.value++
      })
      return { world: {}, fibers: { a: increment, b: increment } }
    },
    properties: [],
  })
  for (const strategy of strategies.filter(({ exhaustive }) => exhaustive)) {
    setups = 0
    const error = await failure(made, strategy)
    expect(error).toBeInstanceOf(SetupFailed)
    expect(error.message).toContain("not again")
  }
})

it("says when the setup makes a promise", async () => {
  const made = scenario({
    id: "promising",
    summary: "",
    setup: () => ({ world: Promise.resolve(1), fibers: { a: step("nothing", () => 0) } }),
    properties: [],
  })
  for (const strategy of strategies) {
    const error = await failure(made, strategy)
    expect(error).toBeInstanceOf(SetupFailed)
    expect(error.message).toContain("a promise is kept by the real world")
  }
})
