/** Device memory: it holds where many things happen at once, and each of its own properties is broken by a seeded bug. */
import { describe, expect, it } from "vitest"
import { type Bound, protocolOf, scenario } from "../../checker/index.ts"
import { deviceMemory } from "../../spec/deviceMemory/index.ts"
import { gpuOperation } from "../../spec/deviceMemory/operations.ts"
import { deviceProperties } from "../../spec/deviceMemory/properties.ts"
import { deviceRace } from "../../spec/deviceMemory/world.ts"
import { operation } from "../../spec/mm/operations.ts"
import { held } from "../../spec/mm/properties/places.ts"
import { mmProperties } from "../../spec/mm/properties.ts"
import { long } from "../long.ts"
import { brokenIn, explored, holds, missingFrom, scenariosIn } from "./support.ts"

const scenarioNamed = scenariosIn([deviceMemory])

describe("device memory", () => {
  const suspected: Array<[string, Bound]> = [["device/races/migrate+loads", { loads: 1 }]]
  if (long) {
    suspected.push(
      ["device/races/fork+pin", {}],
      ["device/races/fork+gpu-stores", { coherent: 0 }],
      ["device/races/fork+gpu-stores", { coherent: 1 }],
    )
  }
  it.each(suspected)("holds in %s at %o, every state visited", async (id, bound) => {
    await holds(scenarioNamed(id).program(bound), { paranoid: true })
  })

  it("has a bug for each of its own properties", () => {
    const own = deviceProperties.filter((property) => !mmProperties.some(({ id }) => id === property.id))
    expect(
      missingFrom(
        brokenIn(deviceMemory),
        own.map(({ id }) => id),
      ),
    ).toEqual([])
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
    const result = entry && (await explored(entry.program()))
    expect(result?.violation?.property).toBe("NEVER-BOTH")
  })
})
