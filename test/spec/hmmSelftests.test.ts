/** The kernel's HMM self tests: which are run, and that they notice. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Bound, explore, type Program, replay, type SearchOptions, strategies } from "../../checker/index.ts"
import { selftests } from "../../spec/deviceMemory/selftests/index.ts"
import { notModelled } from "../../spec/deviceMemory/selftests/notModelled.ts"
import { lastNumber, selftestCases } from "../../spec/deviceMemory/selftests/scenarios.ts"
import { thpCases } from "../../spec/deviceMemory/selftests/thp.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()

const programOf = (id: string, bound: Bound, bug?: string): Program => {
  const entry = selftests.scenarios.find((one) => one.id === id)
  if (entry === undefined) throw new Error(`there is no scenario ${id}`)
  return entry.program(bound, bug)
}

const allCases = [...selftestCases, ...thpCases]

/** The tests of hmm-tests.c of which nothing is run. */
const skipped = new Map([
  [9, "anon_write_hugetlbfs"],
  [19, "anon_teardown"],
  [38, "userfaultfd_read"],
])

describe("the kernel's HMM self tests", () => {
  it("are all run or said not to be", () => {
    const run = new Set(allCases.map(({ number }) => number))
    const missing = Array.from({ length: lastNumber }, (_, i) => i + 1).filter((number) => !run.has(number))
    expect(missing).toEqual([...skipped.keys()])
    const said = notModelled.flatMap(({ id }) => id.split(", "))
    const ownScenario = new Set(selftests.scenarios.map(({ id }) => id.replace("device/selftests/", "")))
    expect([...skipped.values()].filter((id) => !said.includes(id) && !ownScenario.has(id))).toEqual([])
  })

  it("have names of their own", () => {
    const ids = allCases.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it.each(selftests.scenarios.map(({ id }) => id))(
    "come to what is expected in every state of %s",
    async (id) => {
      const result = await Effect.runPromise(explore(programOf(id, {}), states, options))
      expect(result.violation).toBeUndefined()
      expect(result.outcome).toBe("holds")
      expect(result.exercised.find((one) => one.id === "SELFTEST-OUTCOME")?.times).toBeGreaterThan(0)
    },
    120_000,
  )

  it.each(selftests.bugs.map((bug) => [bug.id, bug] as const))(
    "notice %s, as recorded",
    async (id, { breaks, scenario }) => {
      const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
      expect(recorded.property).toBe(breaks)
      expect(replay(programOf(scenario, recorded.bound, id), recorded).kind).toBe("reproduced")
      expect(replay(programOf(scenario, recorded.bound), recorded).kind).not.toBe("reproduced")
    },
  )
})
