/** DAX, and device mappings: they hold, at bounds that are explored twice over, and what compares the designs is true. */
import { describe, expect, it } from "vitest"
import type { Bound, Protocol, Result, ScenarioEntry } from "../../checker/index.ts"
import { dax } from "../../spec/dax/index.ts"
import { objectives, type Shown, shortcomings } from "../../spec/deviceMap/comparison.ts"
import { deviceMap } from "../../spec/deviceMap/index.ts"
import { registry } from "../../spec/registry.ts"
import { brokenIn, explored, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

/** Bounds that a test may explore. */
const small: { readonly [scenario: string]: Bound } = {
  "dax/copies": { others: 0 },
  "dax/hole": { sharing: 1 },
  "device-map/two-devices": { revocations: 0 },
  "device-map/revoked": { accesses: 1 },
  "device-map/with-cpu": { accesses: 1 },
}

const find = scenariosIn(registry)

/** What holds was explored once, for all who ask. */
const explorations = new Map<string, Promise<Result>>()
const holdsOnce = (entry: ScenarioEntry, bound: Bound = small[entry.id] ?? {}): Promise<Result> => {
  const key = `${entry.id} ${JSON.stringify(bound)}`
  const exploration = explorations.get(key) ?? holds(entry.program(bound), { paranoid: true })
  explorations.set(key, exploration)
  return exploration
}
const findBug = (id: string) => registry.flatMap(({ bugs }) => bugs).find((entry) => entry.id === id)

describe.each([dax, deviceMap].map((protocol): [string, Protocol] => [protocol.id, protocol]))("%s", (_, protocol) => {
  it.each(protocol.scenarios.map((entry) => [entry.id, entry] as const))("%s holds", async (_, entry) => {
    await holdsOnce(entry)
  })

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(protocol), statedIn(protocol))).toEqual([])
  })
})

describe("the comparison of leases and device mappings", () => {
  it("has the mail's nine objectives and five shortcomings", () => {
    expect(objectives.length).toBe(9)
    expect(shortcomings.length).toBe(5)
  })

  const cells = [...objectives, ...shortcomings].flatMap(
    ({ id, deviceMap, lease }): ReadonlyArray<[string, Shown]> => [
      [`${id}, device mappings`, deviceMap],
      ...(lease === null ? [] : [[`${id}, leases`, lease] satisfies [string, Shown]]),
    ],
  )
  it.each(cells)("says of %s what comes out", async (_, shown) => {
    const entry = find(shown.scenario)
    expect(entry.properties.map(({ id }) => id)).toEqual(expect.arrayContaining([...shown.properties]))
    await holdsOnce(entry, shown.bound)
    if (shown.bug === undefined) return expect(shown.outcome).toBe("kept")
    const bug = findBug(shown.bug)
    expect(bug).toBeDefined()
    if (bug === undefined) return
    const broken = await explored(find(bug.scenario).program(bug.bound ?? {}, bug.id), { target: bug.breaks })
    expect(broken.outcome).toBe("violated")
    if (shown.outcome === "failed") expect(shown.properties).toContain(bug.breaks)
  })
})
