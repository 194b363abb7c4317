/** RDMA's on-demand paging, today's and that of 2014: they hold, and every property is put to the test and can be broken. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, type SearchOptions, strategies } from "../../checker/index.ts"
import { odp } from "../../spec/driver/odp/index.ts"
import { odp2014 } from "../../spec/driver/odp2014/index.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = strategies.find(({ name }) => name === "states")
if (states === undefined) throw new Error("no strategy states")

const protocols = [odp, odp2014]

const scenario = (name: string) => {
  const found = protocols.flatMap(({ scenarios }) => scenarios).find(({ id }) => id === `driver/${name}`)
  if (found === undefined) throw new Error(`no scenario ${name}`)
  return found
}

/** Smaller bounds than the default ones, at which everything still happens. */
const small: Record<string, Record<string, number>> = {
  "driver/odp/overlapping": { invalidations: 1 },
  "driver/odp2014/overlapping": { invalidations: 1 },
}

describe("on-demand paging", () => {
  it.each([
    ["odp/overlapping", { pages: 1, nics: 2, invalidations: 1 }],
    ["odp/overlapping", { pages: 2, nics: 1, invalidations: 1 }],
    ["odp/deregister", { nics: 2, invalidations: 1 }],
    ["odp/key-cache", { nics: 2 }],
    ["odp2014/overlapping", { pages: 1, nics: 2, invalidations: 1 }],
    ["odp2014/overlapping", { pages: 2, nics: 1, invalidations: 1 }],
    ["odp2014/register", { nics: 2, invalidations: 1 }],
  ])("holds in %s at %o, every state visited", { timeout: 120_000 }, async (name, bound) => {
    const result = await Effect.runPromise(explore(scenario(name).program(bound), states, options))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.statistics.states).toBeGreaterThan(1_000)
  })

  it.each(protocols)(
    "puts every property and every named step of $id to the test in some scenario",
    {
      timeout: 120_000,
    },
    async ({ scenarios }) => {
      const exercised = new Map<string, number>()
      const taken = new Map<string, number>()
      for (const { id, program } of scenarios) {
        const result = await Effect.runPromise(explore(program(small[id] ?? {}), states, options))
        expect(result.outcome, id).toBe("holds")
        for (const { id: property, times } of result.exercised) {
          exercised.set(property, (exercised.get(property) ?? 0) + times)
        }
        for (const [step, times] of result.steps) taken.set(step, (taken.get(step) ?? 0) + times)
      }
      expect([...exercised].filter(([, times]) => times === 0)).toEqual([])
      expect([...taken].filter(([, times]) => times === 0)).toEqual([])
    },
  )

  it.each(protocols)("has a seeded bug for every property of $id", ({ bugs, scenarios }) => {
    const broken = new Set(bugs.map(({ breaks }) => breaks))
    const stated = new Set(scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
    expect([...broken].filter((id) => !stated.has(id))).toEqual(["deadlock"])
  })

  it("keeps to the rules of the language of programs, as far as they can be checked", {
    timeout: 120_000,
  }, async () => {
    for (const [name, bound] of [
      ["odp/swapped-in", { nics: 1, invalidations: 1 }],
      ["odp/implicit-queues", { nics: 2 }],
      ["odp2014/register", { nics: 1, invalidations: 1 }],
    ] as const) {
      const program = scenario(name).program(bound)
      const plain = await Effect.runPromise(explore(program, states, options))
      const checked = await Effect.runPromise(explore(program, states, { ...options, paranoid: true }))
      expect(checked.violation).toBeUndefined()
      expect(checked.outcome).toBe("holds")
      expect(checked.statistics.states).toBe(plain.statistics.states)
      expect(checked.statistics.transitions).toBe(plain.statistics.transitions)
    }
  })
})
