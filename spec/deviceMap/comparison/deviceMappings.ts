/** What is asked of device mappings, and what their steps are to the bill. */
import type { Bound, Property, Scenario } from "../../../checker/index.ts"
import { deviceMapBugs } from "../bugs.ts"
import { coherent, deviceFile, revoked, twoDevices, withCpu } from "../scenarios.ts"
import type { DeviceMapWorld } from "../world.ts"
import type { Tariff } from "./cost.ts"
import { type Question, question } from "./question.ts"

const mail = "LKML 2019-04-26, Direct block mapping through fs for device"

const tariff: Tariff = {
  begins: { "device_unmap: invalidate": ({ result }) => Array.isArray(result) && result.length > 0 },
  ends: { "device_unmap: done": () => true },
  // Of devices and CPUs: both look for the VMA.
  faults: ["find_vma"],
  copies: { filemap_read_folio: () => 1, submit_bio: ({ result }) => (result === true ? 1 : 0) },
  calls: [],
}

const asked = (
  scenario: Scenario<DeviceMapWorld>,
  bound: Bound,
  ...asks: ReadonlyArray<string | Property<DeviceMapWorld>>
): Question =>
  question({ scenario, bugs: deviceMapBugs, bound, asks, tariff, held: (world) => reach(world, false).size > 0 })

/** Those whose page table has an entry that allows that. Within a property. */
const reach = ({ file }: DeviceMapWorld, write: boolean) =>
  new Set(
    file.devices.flatMap(({ process, state }) =>
      state.entry !== null && (state.entry.write || !write) ? [process.name] : [],
    ),
  )

const together = (write: boolean): Property<DeviceMapWorld> => ({
  kind: "invariant",
  id: write ? "ASK-TWO-WRITERS" : "ASK-TWO-PROCESSES",
  statement: `While two processes have devices that may ${write ? "store to" : "reach"} the block, nobody is told anything outdated.`,
  source: `${mail}: ${write ? "only one process" : "support any number of process"}`,
  premise: (world) => reach(world, write).size > 1,
  holds: (world) => reach(world, write).size < 2 || !world.record.stale,
})

const pair = { revocations: 0, accesses: 1, devices: 2, windows: 1 }
const coherentPair = { devices: 2, accesses: 1, cpus: 0, revocations: 0 }
const oneRevoker = { accesses: 1, revocations: 1, others: 0, windows: 1 }

/** By what they are about; at bounds that a test may explore. */
export const deviceMappings = {
  twoProcesses: asked(twoDevices, pair, together(false)),
  twoWriters: asked(coherent, coherentPair, together(true)),
  addresses: asked(revoked, oneRevoker, "DEVMAP-ADDRESS"),
  fallBack: asked(twoDevices, pair, "DEVMAP-FALLBACK", "DEVMAP-SAME-DATA"),
  sameData: asked(withCpu, { accesses: 1, cpus: 1, revocations: 0 }, "DEVMAP-SAME-DATA"),
  twoDevices: asked(twoDevices, pair, "DEVMAP-RO"),
  noMemory: asked(coherent, coherentPair, "DEVMAP-NO-COPY"),
  noPin: asked(revoked, oneRevoker, "DEVMAP-NOPIN"),
  revocation: asked(
    revoked,
    { accesses: 1, revocations: 1, others: 1, windows: 1 },
    "L-REVOKE",
    "DEVMAP-REVOKE",
    "DEVMAP-NO-STALE",
    "DEVMAP-BAR",
    "DEVMAP-NO-FOREIGN-STORE",
  ),
  foreignBlocks: asked(revoked, { ...oneRevoker, others: 1 }, "DEVMAP-NO-FOREIGN-STORE"),
  deviceFile: asked(deviceFile, { devices: 1, accesses: 1, revocations: 1 }, "DEVMAP-BAR", "DEVMAP-SAME-DATA"),
}
