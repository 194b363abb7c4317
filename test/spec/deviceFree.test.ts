/** The freeing of device memory: it holds, and who touches a folio that is the driver's again breaks it. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, replay, type SearchOptions, strategies } from "../../checker/index.ts"
import { deviceFree } from "../../spec/deviceMemory/free/index.ts"
import { reuse } from "../../spec/deviceMemory/free/scenarios.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()
const [scenario] = deviceFree.scenarios
if (scenario === undefined) throw new Error("there is no scenario")

describe("the freeing of device memory", () => {
  it.each([
    { holders: 1, migrations: 1, remove: 1 },
    { holders: 2, migrations: 2, remove: 1 },
  ])("holds at %o, every state visited", async (bound) => {
    const result = await Effect.runPromise(explore(scenario.program(bound), states, { ...options, paranoid: true }))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
    expect(result.exercised.filter(({ times }) => times === 0)).toEqual([])
    expect([...result.steps].filter(([, times]) => times === 0)).toEqual([])
  })

  it("has a bug for each of its properties", () => {
    const broken = new Set(deviceFree.bugs.map(({ breaks }) => breaks))
    expect(reuse.properties.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([])
  })

  it.each(deviceFree.bugs.map((bug) => [bug.id, bug] as const))(
    "breaks with %s as recorded",
    async (id, { breaks }) => {
      const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
      expect(recorded.property).toBe(breaks)
      expect(replay(scenario.program(recorded.bound, id), recorded).kind).toBe("reproduced")
      expect(replay(scenario.program(recorded.bound), recorded).kind).not.toBe("reproduced")
    },
  )
})
