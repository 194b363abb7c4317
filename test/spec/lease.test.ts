/** Leases and layouts: they hold, how long a silent holder is waited for, and every property has a bug that breaks it. */
import { describe, expect, it } from "vitest"
import type { Bound } from "../../checker/index.ts"
import { blocks } from "../../spec/lease/blocks/index.ts"
import { pnfsStateids } from "../../spec/lease/client/index.ts"
import { lockContexts } from "../../spec/lease/context/index.ts"
import { layoutDrain } from "../../spec/lease/drain/index.ts"
import { fcntlLeases } from "../../spec/lease/fcntl/index.ts"
import { layouts } from "../../spec/lease/layout/index.ts"
import { mappedLayouts } from "../../spec/lease/mapped/index.ts"
import { setlease } from "../../spec/lease/setlease/index.ts"
import { long } from "../long.ts"
import { brokenIn, holds, missingFrom, scenariosIn, statedIn } from "./support.ts"

const protocols = [fcntlLeases, setlease, lockContexts, layouts, mappedLayouts, pnfsStateids, layoutDrain, blocks]
const scenarioOf = scenariosIn(protocols)

/** What is also looked at with suspicion, at bounds that allow for that. */
const suspected: Array<[string, Bound]> = [
  ["lease/fcntl/open", { openers: 1 }],
  ["lease/layout/race", { second: 0 }],
  ["lease/layout/own-write", {}],
  ["lease/layout/generations", {}],
  ["lease/layout/silent", { end: long ? 3 : 2 }],
  ["lease/layout/rejects", {}],
  ["lease/layout/fall-back", { clients: long ? 2 : 1 }],
  ["lease/setlease/ask", {}],
  ["lease/mapped/unmap", {}],
  ["lease/context/first", { openers: 2 }],
  ["lease/client/replies", {}],
  ["lease/drain/wait", {}],
  ["lease/blocks/faults", { stores: 3 }],
  ["lease/blocks/truncate", { stores: 2 }],
  ["lease/blocks/direct-write", { writes: long ? 3 : 2 }],
]
if (long) {
  const others = ["layout/segments", "layout/two-kinds", "layout/mmap", "layout/sizes", "layout/fence-refused"]
  suspected.push(...[...others, "mapped/stores", "mapped/cut"].map((id): [string, Bound] => [`lease/${id}`, {}]))
}

describe("leases and layouts", () => {
  it.each(suspected)("%s holds at %o, also when it is looked at with suspicion", async (id, bound) => {
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

  it.each([
    { leaseBreak: 1, fence: 0, failures: 1, end: 20 },
    { leaseBreak: 5, fence: 3, failures: 4, end: 60 },
  ])("has it wait for all attempts to fence a client, and the pauses between them, at %o", async (bound) => {
    const result = await holds(scenarioOf("lease/layout/fence-refused").program(bound))
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
