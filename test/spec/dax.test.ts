/** DAX, and device mappings: they hold, at bounds that are explored twice over. */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { type Bound, explore, type Protocol, type SearchOptions, strategies } from "../../checker/index.ts"
import { dax } from "../../spec/dax/index.ts"
import { deviceMap } from "../../spec/deviceMap/index.ts"

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
