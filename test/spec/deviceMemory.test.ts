/** Device memory: it holds where many things happen at once, and each of its own properties is broken by a seeded bug. */
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { explore, protocolOf, replay, type SearchOptions, scenario, strategies } from "../../checker/index.ts"
import { deviceMemory } from "../../spec/deviceMemory/index.ts"
import { gpuOperation } from "../../spec/deviceMemory/operations.ts"
import { deviceProperties } from "../../spec/deviceMemory/properties.ts"
import { deviceRace } from "../../spec/deviceMemory/world.ts"
import { operation } from "../../spec/mm/operations.ts"
import { held } from "../../spec/mm/properties/places.ts"
import { mmProperties } from "../../spec/mm/properties.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()
const scenarioNamed = (id: string) => {
  const found = deviceMemory.scenarios.find((one) => one.id === id)
  if (found === undefined) throw new Error(`there is no scenario ${id}`)
  return found
}

describe("device memory", () => {
  it.each([
    ["device/races/fork+gpu-stores", { coherent: 0 }],
    ["device/races/fork+gpu-stores", { coherent: 1 }],
    ["device/races/fork+pin", {}],
    ["device/races/migrate+loads", { loads: 1 }],
  ] as const)("holds in %s at %o, every state visited", async (id, bound) => {
    const result = await Effect.runPromise(
      explore(scenarioNamed(id).program({ ...bound }), states, { ...options, paranoid: true }),
    )
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })

  it("has a bug for each of its own properties", () => {
    const broken = new Set(deviceMemory.bugs.map(({ breaks }) => breaks))
    const own = deviceProperties.filter((property) => !mmProperties.some(({ id }) => id === property.id))
    expect(own.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([])
  })

  it("promises nothing of pins that are older than what makes a page a device's alone (EXCL-OLD-PINS)", async () => {
    const pinned = protocolOf(
      scenario({
        id: "pinned-exclusive",
        summary: "a page is pinned, and becomes a device's alone",
        setup: () => deviceRace(["anon"], [gpuOperation("gpu-atomic"), operation("pin-fast-write")]),
        properties: [
          {
            kind: "invariant",
            id: "NEVER-BOTH",
            statement: "No page is pinned that is a device's alone.",
            source: "nowhere",
            holds: (world) =>
              !world.parent.pte.some(({ value }) => value?.kind === "exclusive") ||
              held(world).every(({ one }) => !one.pinned),
          },
        ],
      }),
    )
    const [entry] = pinned.scenarios
    const result = entry && (await Effect.runPromise(explore(entry.program(), states, options)))
    expect(result?.violation?.property).toBe("NEVER-BOTH")
  })

  it.each(
    deviceMemory.bugs
      .filter(({ scenario: id }) => id.startsWith("device/pairs/") || id.startsWith("device/races/"))
      .map((bug) => [bug.id, bug] as const),
  )("breaks with %s as recorded", async (id, { breaks, scenario: where }) => {
    const recorded = JSON.parse(await readFile(new URL(`../../counterexamples/${id}.json`, import.meta.url), "utf8"))
    expect(recorded.property).toBe(breaks)
    expect(recorded.scenario).toBe(where)
    const { program } = scenarioNamed(where)
    expect(replay(program(recorded.bound, id), recorded).kind).toBe("reproduced")
    expect(replay(program(recorded.bound), recorded).kind).not.toBe("reproduced")
  })
})
