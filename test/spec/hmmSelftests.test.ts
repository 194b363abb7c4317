/** The kernel's HMM self tests: which are run, and that they come to what is expected. */
import { describe, expect, it } from "vitest"
import { hugetlbCases } from "../../spec/deviceMemory/selftests/hugetlb.ts"
import { selftests } from "../../spec/deviceMemory/selftests/index.ts"
import { notModelled } from "../../spec/deviceMemory/selftests/notModelled.ts"
import { lastNumber, selftestCases } from "../../spec/deviceMemory/selftests/scenarios.ts"
import { thpCases } from "../../spec/deviceMemory/selftests/thp.ts"
import { holds, scenariosIn } from "./support.ts"

const scenarioOf = scenariosIn([selftests])

const allCases = [...selftestCases, ...thpCases, ...hugetlbCases]

/** The tests of hmm-tests.c that are scenarios of their own, or not run. */
const skipped = new Map([[19, "anon_teardown"]])

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

  it.each(selftests.scenarios.map(({ id }) => id))("come to what is expected in every state of %s", async (id) => {
    const result = await holds(scenarioOf(id).program())
    expect(result.exercised.find((one) => one.id === "SELFTEST-OUTCOME")?.times).toBeGreaterThan(0)
  })
})
