/** Races of a few chosen operations on machines with GPUs that are laid out for them: `device/races/...`. */
import { type Scenario, scenario } from "../../checker/index.ts"
import { operation } from "../mm/operations.ts"
import { otherPage, type PageKind, page, prepare } from "../mm/pages.ts"
import type { Machine, Operation } from "../mm/world.ts"
import { type Access, byOther, gpuAccesses, gpuOperation } from "./operations.ts"
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

/** Three at a time, on a page that is in system memory or already in the device's. */
const threeOf = ({ name, summary, operations }: Pick<Race, "name" | "summary" | "operations">) =>
  scenario({
    id: `device/races/${name}`,
    summary,
    parameters: {
      there: { description: "whether the page is in the device's memory at first", default: 0, min: 0, max: 1 },
    },
    setup: ({ there }) => deviceRace([there === 1 ? "device" : "anon"], operations),
    properties: deviceProperties,
  })

const toDevice = gpuOperation("migrate-to-device")

export const migrateFaultPin = threeOf({
  name: "migrate+store+pin",
  summary: "a page goes to the device while a CPU faults on it and a thread pins it",
  operations: [toDevice, operation("store"), operation("pin-fast-write")],
})

export const migrateFaultUnmap = threeOf({
  name: "migrate+store+munmap",
  summary: "a page goes to the device while a CPU faults on it and the process unmaps it",
  operations: [toDevice, operation("store"), operation("munmap")],
})

export const migratePinUnmap = threeOf({
  name: "migrate+pin+munmap",
  summary: "a page goes to the device while a thread pins it and the process unmaps it",
  operations: [toDevice, operation("pin-fast-write"), operation("munmap")],
})

/**
 * Private and exclusive pages of one device, and a coherent one of another. Each is stored to by its device, which the
 * fork makes fault; what it stores behind is the parent's alone.
 */
export const forkAll = scenario({
  id: "device/races/fork+gpu-stores",
  summary:
    "a process forks that has pages in private and in coherent memory and one that is a device's alone, and devices store to all",
  parameters: {
    coherent: { description: "whether there is a page in coherent memory too", default: 1, min: 0, max: 1 },
  },
  setup: ({ coherent }) => {
    const alone = otherPage + coherent
    const stores: ReadonlyArray<Access> = [
      { gpu: 0, va: page, kind: "store" },
      coherent === 1 ? { gpu: 1, va: otherPage, kind: "store" } : { gpu: 0, va: page, kind: "store" },
      { gpu: 0, va: alone, kind: "atomic" },
    ]
    return deviceRace(["device"], [operation("fork"), gpuAccesses("gpu-stores", stores)], {
      gpus: coherent === 1 ? ["private", "coherent"] : ["private"],
      mmPages: 2 + coherent,
      layOut: (world) => {
        if (coherent === 1) prepare(world, otherPage, "coherent")
        prepare(world, alone, "exclusive")
      },
    })
  },
  properties: deviceProperties,
})

export const migrationWaiters = scenario({
  id: "device/races/migrate+loads",
  summary: "a page goes to the device while threads load from it",
  parameters: { loads: { description: "threads that load", default: 2, min: 1, max: 2 } },
  setup: ({ loads }) => deviceRace(["anon"], [toDevice, ...Array.from({ length: loads }, () => operation("load"))]),
  properties: [...deviceProperties, waitersLetMove],
})

export const privateFaults = raceOf({
  name: "load+store",
  summary: "two threads fault on a page in the device's memory",
  pages: ["device"],
  gpuPages: 2,
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

export const mapAndTake = raceOf({
  name: "gpu-load+other-gpu-atomic",
  summary: "a GPU wants a page for itself that another maps, or has in its memory",
  pages: ["anon", "device"],
  gpus: ["private", "private"],
  operations: [gpuOperation("gpu-load"), byOther(gpuOperation("gpu-atomic"))],
})

export const forkAndPin = raceOf({
  name: "fork+pin",
  summary: "a process forks while a thread pins a page that is a device's alone, or in its memory",
  pages: ["exclusive", "device"],
  operations: [operation("fork"), operation("pin-fast-write")],
})

/** Whatever is there: it takes as many faults as that needs. */
const getsThrough: Spec = {
  kind: "atEnd",
  id: "EXCL-GETS-THROUGH",
  statement: "An atomic access that nobody comes in the way of is done.",
  source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_atomic_range_fault",
  holds: ({ memory, parent }) => memory.expected(parent, page) === "gpu0",
}

export const loneAtomic = raceOf({
  name: "gpu-atomic",
  summary: "a GPU wants a page for itself, and nobody else wants it",
  pages: ["none", "zero", "anon", "cow", "swap", "device", "exclusive"],
  operations: [gpuOperation("gpu-atomic")],
  properties: [getsThrough],
})

export const deviceRaces = [
  migrateFaultPin,
  migrateFaultUnmap,
  migratePinUnmap,
  forkAll,
  migrationWaiters,
  privateFaults,
  fullDevice,
  swapCached,
  exclusiveProtected,
  fileExclusive,
  mapAndTake,
  forkAndPin,
  loneAtomic,
]
