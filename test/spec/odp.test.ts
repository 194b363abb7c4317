/** RDMA's on-demand paging, today's and that of 2014: they hold, and every property is put to the test and can be broken. */
import { describe, expect, it } from "vitest"
import type { Bound } from "../../checker/index.ts"
import { odp } from "../../spec/driver/odp/index.ts"
import { odp2014 } from "../../spec/driver/odp2014/index.ts"
import { long } from "../long.ts"
import { brokenIn, holdAndExercise, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const protocols = [odp, odp2014]

const scenario = scenariosIn(protocols, "driver/")

/** Smaller bounds than the default ones, at which everything still happens. */
const small: Record<string, Record<string, number>> = {
  "driver/odp/overlapping": { invalidations: 1 },
  "driver/odp2014/overlapping": { invalidations: 1 },
}

/** Larger bounds than the default ones. */
const larger: Array<[string, Bound]> = [
  ["odp/overlapping", { pages: 2, nics: 1, invalidations: 1 }],
  ["odp2014/register", { nics: 2, invalidations: 1 }],
]
if (long) {
  larger.push(
    ["odp/deregister", { nics: 2, invalidations: 1 }],
    ["odp/overlapping", { pages: 1, nics: 2, invalidations: 1 }],
    ["odp/key-cache", { nics: 2 }],
    ["odp2014/overlapping", { pages: 1, nics: 2, invalidations: 1 }],
    ["odp2014/overlapping", { pages: 2, nics: 1, invalidations: 1 }],
  )
}

/** What is also looked at with suspicion, at bounds that allow for that. */
const suspected: Array<[string, Bound]> = [["odp/swapped-in", { nics: 1, invalidations: 1 }]]
if (long) suspected.push(["odp/implicit-queues", { nics: 2 }], ["odp2014/register", { nics: 1, invalidations: 1 }])

describe("on-demand paging", () => {
  it.each(larger)("holds in %s at %o, every state visited", async (name, bound) => {
    const { statistics } = await holds(scenario(name).program(bound))
    expect(statistics.states).toBeGreaterThan(1_000)
  })

  it.each(protocols)(
    "puts every property and every named step of $id to the test in some scenario",
    async ({ scenarios }) => {
      await holdAndExercise(scenarios.map(({ id, program }) => program(small[id] ?? {})))
    },
  )

  it.each(protocols)("has a seeded bug for every property of $id", (protocol) => {
    const [stated, broken] = [statedIn(protocol), brokenIn(protocol)]
    expect(missingFrom(broken, stated)).toEqual([])
    expect(missingFrom(stated, broken)).toEqual(["deadlock"])
  })

  it.each(suspected)("keeps to the rules of the language of programs in %s at %o", async (name, bound) => {
    const program = scenario(name).program(bound)
    const plain = await holds(program)
    const checked = await holds(program, { paranoid: true })
    expect(checked.statistics.states).toBe(plain.statistics.states)
    expect(checked.statistics.transitions).toBe(plain.statistics.transitions)
  })
})
