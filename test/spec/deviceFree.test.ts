/** The freeing of device memory: it holds, and every rule is put to the test and broken by a seeded bug. */
import { describe, expect, it } from "vitest"
import { deviceFree } from "../../spec/deviceMemory/free/index.ts"
import { long } from "../long.ts"
import { brokenIn, holds, missingFrom, statedIn } from "./support.ts"

const [scenario] = deviceFree.scenarios
if (scenario === undefined) throw new Error("there is no scenario")

describe("the freeing of device memory", () => {
  const bounds = [{ holders: 1, migrations: 1, remove: 1 }]
  if (long) bounds.push({ holders: 2, migrations: 2, remove: 1 })
  it.each(bounds)("holds at %o, every state visited", async (bound) => {
    const result = await holds(scenario.program(bound), { paranoid: true })
    expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
    expect([...result.steps].filter(([, times]) => times === 0)).toEqual([])
  })

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(deviceFree), statedIn(deviceFree))).toEqual([])
  })
})
