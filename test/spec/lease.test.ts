/** Leases and layouts: they hold, how long a silent holder is waited for, and every property has a bug that breaks it. */
import { describe, expect, it } from "vitest"
import { blocks } from "../../spec/lease/blocks/index.ts"
import { pnfsStateids } from "../../spec/lease/client/index.ts"
import { fcntlLeases } from "../../spec/lease/fcntl/index.ts"
import { layouts } from "../../spec/lease/layout/index.ts"
import { brokenIn, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const protocols = [fcntlLeases, layouts, pnfsStateids, blocks]
const scenarioOf = scenariosIn(protocols)

describe("leases and layouts", () => {
  it.each([
    ["lease/fcntl/open", { openers: 1 }],
    ["lease/layout/race", { second: 0 }],
    ["lease/layout/segments", {}],
    ["lease/layout/own-write", {}],
    ["lease/layout/two-kinds", {}],
    ["lease/layout/mmap", {}],
    ["lease/layout/generations", {}],
    ["lease/layout/sizes", {}],
    ["lease/layout/silent", { end: 3 }],
    ["lease/client/replies", {}],
    ["lease/blocks/faults", { stores: 3 }],
    ["lease/blocks/truncate", { stores: 2 }],
    ["lease/blocks/direct-write", { writes: 3 }],
  ])("%s holds at %o, also when it is looked at with suspicion", async (id, bound) => {
    await holds(scenarioOf(id).program(bound), { paranoid: true })
  })

  it.each([
    { leaseBreak: 1, fence: 0, end: 10 },
    { leaseBreak: 7, fence: 3, end: 30 },
    { leaseBreak: 45, fence: 10, end: 100 },
  ])("has a truncation wait for a silent client until it is fenced, to the tick, at %o", async (bound) => {
    const result = await holds(scenarioOf("lease/layout/time-fenced").program(bound))
    expect(result.exercised.find(({ id }) => id === "LEASE-BREAK-TIME")?.times).toBeGreaterThan(0)
  })

  it.each([10, 45, 150])("has it wait for ever in the old design, be that %i ticks", async (end) => {
    const result = await holds(scenarioOf("lease/layout/time-old").program({ leaseBreak: 5, end }))
    expect(result.exercised.find(({ id }) => id === "LEASE-BREAK-UNBOUNDED")?.times).toBeGreaterThan(0)
  })

  it.each(protocols.map((protocol) => [protocol.id, protocol] as const))(
    "has in %s a bug for each property",
    (_, protocol) => expect(missingFrom(brokenIn(protocol), statedIn(protocol))).toEqual([]),
  )
})
