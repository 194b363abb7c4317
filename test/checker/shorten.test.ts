import * as Effect from "effect/Effect"
import { expect, it } from "vitest"
import { cell, explore, protocolOf, runMoves, scenario, shrink, step, strategies } from "../../checker/index.ts"

/** Two players hit in turn; six others have nothing to do with it and make the program too large to search. */
const rally = scenario({
  id: "rally",
  summary: "a long rally among bystanders",
  setup: () => {
    const hits = cell("hits", 0)
    const player = (parity: number) =>
      Effect.gen(function* () {
        for (let round = 0; round < 8; round++) {
          yield* step("hit", () => {
            if (hits.value % 2 === parity) hits.value++
          })
        }
      })
    const bystander = (name: string) => {
      const ticks = cell(`ticks of ${name}`, 0)
      return Effect.gen(function* () {
        for (let round = 0; round < 10; round++) {
          yield* step("tick", () => {
            ticks.value++
          })
        }
      })
    }
    const bystanders = ["b0", "b1", "b2", "b3", "b4", "b5"].map((name) => [name, bystander(name)] as const)
    return { world: { hits }, fibers: { ...Object.fromEntries(bystanders), even: player(0), odd: player(1) } }
  },
  properties: [
    {
      kind: "invariant",
      id: "short-rallies",
      statement: "No rally has ten hits.",
      source: "made up",
      holds: ({ hits }) => hits.value < 10,
    },
  ],
})

it("shortens what is too large to search by leaving out what does not matter", async () => {
  const [entry] = protocolOf(rally).scenarios
  const random = strategies.find(({ name }) => name === "random")
  if (entry === undefined || random === undefined) throw new Error("the scenario or the strategy is missing")
  const program = entry.program()
  const found = await Effect.runPromise(explore(program, random, { maxSteps: 1_000, seed: 1 }))
  expect(found.moves?.length).toBeGreaterThan(30)
  const shrunk = shrink(entry, program, "short-rallies", found.moves ?? [])
  expect(shrunk.minimal).toBe(false)
  const { steps, violations } = runMoves(shrunk.program, shrunk.moves)
  expect(violations.map(({ property }) => property)).toEqual(["short-rallies"])
  expect(steps.map(({ fiber }) => fiber)).toEqual(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? "even" : "odd")))
  expect(shrunk.preemptions).toBe(9)
})
