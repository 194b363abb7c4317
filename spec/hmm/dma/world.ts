/** A device that mirrors a process by DMA addresses, and threads of the process that invalidate. */
import * as Effect from "effect/Effect"
import { type Cell, cell, choose, type Setup, step, type Taken } from "../../../checker/index.ts"
import { isZoneDevice } from "../../../model/deviceMemory/pgmap.ts"
import { type DmaMirror, dmaFault, dmaMirror, dmaMirrorAccess } from "../../../model/driver/dmaMirror.ts"
import { type DmaDevice, hmmDmaMapAlloc, type P2pdma } from "../../../model/hmm/dmaMap.ts"
import { type Iommu, iommu } from "../../../model/hmm/iommu.ts"
import { mmgetNotZero, mmput } from "../../../model/mm/exit.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../../driver/calls.ts"
import { swapIn } from "../../driver/dirtyAtUnmap.ts"
import { type Locking, recordLocking } from "../../driver/locksHeld.ts"
import { intervalSteps, recordWindows, type Windows } from "../../driver/windows.ts"
import { toDeviceMemory } from "../deviceMemory.ts"

/** What the properties and seeded bugs see. */
export interface DmaWorld {
  readonly mm: Mm
  readonly device: DmaMirror
  readonly iommu: Iommu
  readonly windows: Windows
  readonly locking: Locking
}

export interface Shape {
  readonly pages: number
  readonly cpus: number
  readonly calls?: ReadonlyArray<Call>
  /** Whether addresses are reserved for all pages. */
  readonly useIova: boolean
  /** Whether the IOMMU may have no memory. */
  readonly mayFail?: boolean
  /** Whether the last page is another device's, to be reached directly if at all. */
  readonly p2p?: boolean
  /** Whether the last page has been read from swap, and nobody has stored to it since. */
  readonly swappedIn?: boolean
  /** What the device does. */
  readonly uses: ReadonlyArray<Use>
  /** How many queues it has that do so at once. */
  readonly queues?: number
}

/** `load` and `store` are of the last page; `prefetch` is of all there is, without a fault. */
export type Use = "load" | "store" | "prefetch"

export const deviceName = "nic"

export const dmaWorld = (shape: Shape): Setup<DmaWorld> => {
  const { pages } = shape
  const cpus = names("cpu", shape.cpus)
  const devices = shape.p2p === true ? [{ name: "bar", type: "coherent" as const, owner: "nvme", pages: 1 }] : undefined
  const process = processOf({
    pages,
    cpus,
    users: cpus.length === 0 ? 1 : 0,
    ...(devices === undefined ? {} : { devices }),
  })
  const { mm } = process
  if (shape.p2p === true) toDeviceMemory(mm, pages - 1)
  else if (shape.swappedIn === true) swapIn(mm, pages - 1)
  else loadOnly(mm, pages - 1)
  const way = cell<P2pdma>("pci_p2pdma_state", "none")
  const { folios } = mm.system
  const domain = iommu(folios, "iommu", pages + 1)
  const dma: DmaDevice = {
    iommu: domain,
    useIova: shape.useIova,
    bounces: false,
    mayFail: shape.mayFail === true,
    p2pdma: (page) => (isZoneDevice(folios, page) ? way.value : "none"),
  }
  const map = hmmDmaMapAlloc(dma, deviceName, pages)
  if (map === null) throw new RangeError("the device bounces")
  const device = dmaMirror(mm, deviceName, { start: 0, end: pages }, map)
  treeInsert(mm.subscriptions, deviceName)
  const queues = Array.from({ length: shape.queues ?? 1 }, (_, i) => (i === 0 ? deviceName : `${deviceName}${i}`))
  const fibers = {
    ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidator(process, position, shape.calls)] as const)),
    ...Object.fromEntries(
      queues.map(
        (queue) =>
          [queue, Effect.andThen(shape.p2p === true ? chooseWay(way) : Effect.void, uses(device, shape.uses))] as const,
      ),
    ),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), intervalSteps)
  const holdsLock = ({ fiber }: Taken) => device.lock.state.holder === fiber
  const locking = recordLocking(Object.fromEntries(underLock.map((name) => [name, holdsLock])))
  return {
    world: { mm, device, iommu: domain, windows, locking },
    fibers,
    monitors: [monitor, locking.monitor],
  }
}

/** The steps that map and unmap. */
const underLock = [
  "hmm_dma_map_pfn",
  "dma_iova_link",
  "dma_map_phys",
  "hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED",
  "hmm_dma_unmap_pfn",
  "ib_umem_odp_unmap_dma_pages",
]

/** Where in the bus the two devices are. */
const chooseWay = Effect.fnUntraced(function* (way: Cell<P2pdma>) {
  const chosen = yield* choose("pci_p2pdma_state", ["host bridge", "bus address", "not supported"])
  yield* step("pci_p2pdma_distance", [chosen], () => {
    way.value = chosen
  })
})

/** The process could not store there, and may again: the page is its own, and a store finds that out. */
const loadOnly = (mm: Mm, va: number): void => {
  const entry = at(mm.pte, va)
  if (entry.value?.kind === "present") entry.value = { ...entry.value, access: "read", dirty: false }
  for (const cache of mm.tlbs.values()) at(cache, va).value = null
}

const uses = Effect.fnUntraced(function* (device: DmaMirror, all: ReadonlyArray<Use>) {
  const { mm, iv } = device
  for (const use of all) {
    if (use === "prefetch") {
      if (!(yield* mmgetNotZero(mm))) return
      yield* dmaFault(device, iv.range, null)
      yield* mmput(mm)
    } else if (!(yield* dmaMirrorAccess(device, mm.pages - 1, use === "store" ? deviceName : undefined))) return
  }
})
