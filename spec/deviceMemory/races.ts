/** Races of a few chosen operations on machines with GPUs that are laid out for them: `device/races/...`. */
import { type Scenario, scenario } from "../../checker/index.ts"
import { operation } from "../mm/operations.ts"
import { type Machine, type Operation, otherPage, type PageKind, page, prepare } from "../mm/world.ts"
import { byOther, gpuAccesses, gpuOperation } from "./operations.ts"
import { waitersLetMove } from "./properties/migration.ts"
import type { Spec } from "./properties/places.ts"
import { deviceProperties } from "./properties.ts"
import { type DeviceWorld, deviceRace } from "./world.ts"

/** What is raced. */
interface Race extends Partial<Machine> {
  readonly name: string
  readonly summary: string
  readonly pages: ReadonlyArray<PageKind>
  readonly operations: ReadonlyArray<Operation>
  readonly properties?: ReadonlyArray<Spec>
}

const raceOf = ({ name, summary, pages, operations, properties = [], ...machine }: Race): Scenario<DeviceWorld> =>
  scenario({
    id: `device/races/${name}`,
    summary,
    setup: () => deviceRace(pages, operations, machine),
    properties: [...deviceProperties, ...properties],
  })

const toDevice = gpuOperation("migrate-to-device")

export const migrateFaultPin = raceOf({
  name: "migrate+store+pin",
  summary: "a page goes to the device while a CPU faults on it and a thread pins it",
  pages: ["anon", "device"],
  operations: [toDevice, operation("store"), operation("pin-fast-write")],
})

export const migrateFaultUnmap = raceOf({
  name: "migrate+store+munmap",
  summary: "a page goes to the device while a CPU faults on it and the process unmaps it",
  pages: ["anon", "device"],
  operations: [toDevice, operation("store"), operation("munmap")],
})

export const migratePinUnmap = raceOf({
  name: "migrate+pin+munmap",
  summary: "a page goes to the device while a thread pins it and the process unmaps it",
  pages: ["anon", "device"],
  operations: [toDevice, operation("pin-fast-write"), operation("munmap")],
})

/** The page is in the device's memory, the other is the device's alone. */
export const forkBoth = raceOf({
  name: "fork+gpu-stores",
  summary:
    "a process forks that has a page in the device's memory and one that is the device's alone, and the device stores to both",
  pages: ["device"],
  operations: [
    operation("fork"),
    gpuAccesses("gpu-stores", [
      { va: page, kind: "store" },
      { va: otherPage, kind: "atomic" },
      { va: page, kind: "store" },
    ]),
  ],
  layOut: (world) => prepare(world, otherPage, "exclusive"),
})

export const migrationWaiters = raceOf({
  name: "migrate+loads",
  summary: "a page goes to the device while two threads load from it",
  pages: ["anon", "device"],
  operations: [toDevice, operation("load"), operation("load")],
  properties: [waitersLetMove],
})

export const privateFaults = raceOf({
  name: "load+store",
  summary: "two threads fault on a page in the device's memory",
  pages: ["device"],
  operations: [operation("load"), operation("store")],
  properties: [waitersLetMove],
})

/** The device's memory is full: what is collected goes back where it was. */
export const fullDevice = raceOf({
  name: "migrate+store-full",
  summary: "a page that was swapped in is stored to and collected for a device that has no memory left",
  pages: ["swapcache"],
  operations: [toDevice, operation("store")],
  layOut: (world) => prepare(world, otherPage, "device"),
})

export const swapCached = raceOf({
  name: "migrate+reclaim-swapcache",
  summary: "a page that was swapped in goes to the device while memory is short",
  pages: ["swapcache"],
  operations: [toDevice, operation("reclaim")],
})

export const exclusiveProtected = raceOf({
  name: "load+mprotect-exclusive",
  summary: "a page that is a device's alone is taken back while the process gives up the right to store there",
  pages: ["exclusive"],
  operations: [operation("load"), operation("mprotect")],
})

export const fileExclusive = raceOf({
  name: "gpu-atomic+store-file",
  summary: "a device wants a shared page of a file for itself",
  pages: ["shared"],
  operations: [gpuOperation("gpu-atomic"), operation("store")],
})

export const exclusiveReclaim = raceOf({
  name: "reclaim-exclusive",
  summary: "memory is short, and a page is a device's alone",
  pages: ["exclusive"],
  operations: [operation("migrate"), operation("load")],
})

export const twoAtomics = raceOf({
  name: "gpu-atomic+other-gpu-atomic",
  summary: "two GPUs want a page for themselves",
  pages: ["exclusive"],
  gpus: ["private", "private"],
  operations: [gpuOperation("gpu-atomic"), byOther(gpuOperation("gpu-atomic"))],
})

export const othersMemory = raceOf({
  name: "load+other-gpu-load",
  summary: "a GPU and a thread load from a page in another GPU's memory",
  pages: ["device"],
  gpus: ["private", "private"],
  operations: [operation("load"), byOther(gpuOperation("gpu-load"))],
})

export const forkCoherent = raceOf({
  name: "fork+store-coherent",
  summary: "a process forks while it stores to a page in coherent memory",
  pages: ["coherent"],
  gpus: ["coherent"],
  operations: [operation("fork"), operation("store")],
})

export const deviceRaces = [
  migrateFaultPin,
  migrateFaultUnmap,
  migratePinUnmap,
  forkBoth,
  migrationWaiters,
  privateFaults,
  fullDevice,
  swapCached,
  exclusiveProtected,
  fileExclusive,
  exclusiveReclaim,
  twoAtomics,
  othersMemory,
  forkCoherent,
]
