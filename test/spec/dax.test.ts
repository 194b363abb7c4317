/** DAX, and device mappings: they hold, at bounds that are explored twice over. */
import { describe, expect, it } from "vitest"
import type { Bound, Protocol } from "../../checker/index.ts"
import { dax } from "../../spec/dax/index.ts"
import { deviceMap } from "../../spec/deviceMap/index.ts"
import { long } from "../long.ts"
import { brokenIn, holds, missingFrom, statedIn } from "./support.ts"

/** Bounds that a test may explore. */
const small: { readonly [scenario: string]: Bound } = {
  "dax/copies": { others: 0 },
  "dax/hole": { sharing: 1 },
  "device-map/two-devices": { revocations: 0 },
  "device-map/revoked": { accesses: 1 },
  "device-map/with-cpu": { accesses: 1 },
}

/** Those that take seconds even so. */
const large = ["dax/pins", "dax/reused", "dax/unmapped", "dax/longterm", "device-map/revoked", "device-map/two-devices"]

describe.each([dax, deviceMap].map((protocol): [string, Protocol] => [protocol.id, protocol]))("%s", (_, protocol) => {
  const suspected = protocol.scenarios.filter(({ id }) => long || !large.includes(id))
  it.each(suspected.map((entry) => [entry.id, entry] as const))("%s holds, also with suspicion", async (_, entry) => {
    await holds(entry.program(small[entry.id] ?? {}), { paranoid: true })
  })

  it("has a bug for each of its properties", () => {
    expect(missingFrom(brokenIn(protocol), statedIn(protocol))).toEqual([])
  })
})
