/** DAX, and device mappings: they hold, at bounds that are explored twice over, and what compares the designs is true. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Bound, explore, type Protocol, type SearchOptions, strategies } from "../../checker/index.ts"
import { dax } from "../../spec/dax/index.ts"
import { objectives, type Shown, shortcomings } from "../../spec/deviceMap/comparison.ts"
import { deviceMap } from "../../spec/deviceMap/index.ts"
import { registry } from "../../spec/registry.ts"

const options: SearchOptions = { maxSteps: 10_000, seed: 1 }
const states = (() => {
  const found = strategies.find(({ name }) => name === "states")
  if (found === undefined) throw new Error("no strategy states")
  return found
})()

/** Bounds that a test may explore. */
const small: { readonly [scenario: string]: Bound } = {
  "device-map/two-devices": { revocations: 0 },
  "device-map/revoked": { accesses: 1 },
  "device-map/with-cpu": { accesses: 1 },
}

const find = (id: string) => {
  const found = registry.flatMap(({ scenarios }) => scenarios).find((entry) => entry.id === id)
  if (found === undefined) throw new Error(`there is no scenario ${id}`)
  return found
}
const findBug = (id: string) => registry.flatMap(({ bugs }) => bugs).find((entry) => entry.id === id)

describe.each([dax, deviceMap].map((protocol): [string, Protocol] => [protocol.id, protocol]))("%s", (_, protocol) => {
  it.each(protocol.scenarios.map((entry) => [entry.id, entry] as const))("%s holds", async (id, entry) => {
    const program = entry.program(small[id] ?? {})
    const result = await Effect.runPromise(explore(program, states, { ...options, paranoid: true }))
    expect(result.violation).toBeUndefined()
    expect(result.outcome).toBe("holds")
  })

  it("has a bug for each of its properties", () => {
    const broken = new Set(protocol.bugs.map(({ breaks }) => breaks))
    const stated = new Set(protocol.scenarios.flatMap(({ properties }) => properties.map(({ id }) => id)))
    expect([...stated].filter((id) => !broken.has(id))).toEqual([])
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
    const result = await Effect.runPromise(
      explore(entry.program(shown.bound ?? small[shown.scenario] ?? {}), states, options),
    )
    expect(result.outcome).toBe("holds")
    if (shown.bug === undefined) return expect(shown.outcome).toBe("kept")
    const bug = findBug(shown.bug)
    expect(bug).toBeDefined()
    if (bug === undefined) return
    const broken = await Effect.runPromise(
      explore(find(bug.scenario).program(bug.bound ?? {}, bug.id), states, { ...options, target: bug.breaks }),
    )
    expect(broken.outcome).toBe("violated")
    if (shown.outcome === "failed") expect(shown.properties).toContain(bug.breaks)
  })
})
