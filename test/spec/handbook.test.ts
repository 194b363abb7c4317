/** The comparisons of the handbook: their tables are whole, and say of each design what the conclusion rests on. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { actorsOf, cellsOf } from "../../checker/cli/participants.ts"
import type { Comparison } from "../../checker/index.ts"
import { stateKinds, unnumbered } from "../../checker/report/handbook/state.ts"
import { comparison } from "../../spec/deviceMap/comparison/index.ts"
import { points } from "../../spec/deviceMap/comparison/points.ts"
import { countRangeSequence } from "../../spec/handbook/comparisons/countRangeSequence.ts"
import { cellOf } from "../../spec/handbook/comparisons/leaseOrCallback.ts"
import { structPageOrPfnmap } from "../../spec/handbook/comparisons/structPageOrPfnmap.ts"
import { handbook } from "../../spec/handbook/index.ts"
import { registry } from "../../spec/registry.ts"
import { long } from "../long.ts"

/** What came of the first run of each cell, which names its scenario. */
const verdicts = async ({ designs, rows }: Comparison) => {
  const table = await Effect.runPromise(rows)
  return table.map(({ cells }) => {
    expect(cells.length).toBe(designs.length)
    return cells.map(({ outcome }) => {
      // What holds where it says nothing is no answer.
      expect(outcome.filter((said) => /\bin (all )?0 states/.test(said))).toEqual([])
      const [, verdict] = /^`\S+`.*: (holds|violated|never arises)\b/.exec(outcome[0] ?? "") ?? []
      expect(verdict).toBeDefined()
      return verdict
    })
  })
}

describe("the comparisons", () => {
  it("have pages of their own", () => {
    const ids = [...registry, ...handbook.comparisons, ...handbook.chapters].map(({ id }) => id.replaceAll("/", "-"))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).not.toContain("index")
  })

  it("set pages of device memory against none", async () => {
    expect(await verdicts(structPageOrPfnmap)).toEqual([
      ["holds", "holds"],
      ["holds", "holds"],
      ["holds", "holds"],
      ["holds", "holds"],
      ["holds", "holds"],
    ])
  })

  it("set counts, ranges and sequences against each other", async () => {
    expect(await verdicts(countRangeSequence)).toEqual([
      ["holds", "holds", "holds"],
      ["violated", "violated", "violated"],
      ["violated", "violated", "violated"],
      ["violated", "holds", "violated"],
      ["holds", "holds", "holds"],
      ["holds", "holds", "holds"],
    ])
  })

  it("say what was asked, where the outcome names a property", async () => {
    const [named, ...others] = await Effect.runPromise(comparison(points.filter(({ id }) => id === "privileges")))
    expect(others).toEqual([])
    const outcome = named === undefined ? [] : cellOf(named.lease).outcome
    expect(outcome.join()).toMatch(/violated: ASK-ANYBODY, .*; asked: [A-Z].*\.$/)
  })

  it.skipIf(!long).each(handbook.comparisons.map((one) => [one.id, one] as const))(
    "have a whole table: %s",
    async (_, comparison) => {
      expect((await verdicts(comparison)).length).toBeGreaterThan(2)
    },
  )
})

describe("the pages of protocols", () => {
  it.each(registry.map((one) => [one.id, one] as const))(
    "say of all who take part and of all that is shared what it is: %s",
    (_, { about, scenarios }) => {
      const programs = scenarios.map((scenario) => scenario.program())
      const { actors = {}, state = {}, monitors = {} } = about ?? {}
      const families = new Set(actorsOf(programs).map(({ name }) => unnumbered(name)))
      expect(Object.keys(actors).sort()).toEqual([...families].sort())
      const kinds = stateKinds(cellsOf(programs)).map(({ name }) => name)
      expect([...Object.keys(state), ...Object.keys(monitors)].sort()).toEqual(kinds.sort())
      for (const said of Object.values({ ...actors, ...state, ...monitors })) expect(said).toMatch(/^[A-Z].{30,}\.$/)
    },
  )

  it.each(registry.map((one) => [one.id, one] as const))(
    "say what the operations are that pairs of them put together: %s",
    (id, { about, scenarios }) => {
      const { operations = {} } = about ?? {}
      const paired = scenarios.flatMap((scenario) => (/\/pairs\/(.*)$/.exec(scenario.id)?.[1] ?? "").split("+"))
      expect(new Set(Object.keys(operations))).toEqual(new Set(paired.filter((operation) => operation !== "")))
      for (const said of Object.values(operations)) expect(said, id).toMatch(/^[A-Z].*\.$/)
    },
  )
})
