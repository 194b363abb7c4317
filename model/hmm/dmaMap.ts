/**
 * The DMA mapping of what a mirror was told of (mm/hmm.c: hmm_dma_map_alloc, hmm_dma_map_pfn, hmm_dma_unmap_pfn), since
 * Linux 6.16: page by page, under the driver's lock, with what is mapped remembered in the entries of `hmm_pfns`.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, choose, procedure, step } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import type { DmaAddr, Iommu } from "./iommu.ts"
import { emptyEntry, type HmmEntry } from "./rangeFault.ts"

/** `pci_p2pdma_state`: how a device reaches a page, where that is another device's. */
export type P2pdma = "none" | "host bridge" | "bus address" | "not supported"

/** `struct device`, as far as DMA goes. */
export interface DmaDevice {
  readonly iommu: Iommu
  /** Whether an address was reserved for every page of the map (`dma_use_iova`); else the IOMMU finds one each time. */
  readonly useIova: boolean
  /** Whether DMA needs a copy or an answer each time (`dma_need_sync`, `dma_addressing_limited`): not for a mirror. */
  readonly bounces: boolean
  /** Whether the IOMMU may have no memory for its tables. */
  readonly mayFail: boolean
  readonly p2pdma: (page: Frame) => P2pdma
}

/** `struct hmm_dma_map` */
export interface HmmDmaMap {
  readonly device: DmaDevice
  /** `pfn_list`, by the process's addresses; HMM fills it. */
  readonly pfnList: ReadonlyArray<Cell<HmmEntry>>
  /** `dma_list`: the addresses, where none were reserved. */
  readonly dmaList: ReadonlyArray<Cell<DmaAddr | null>>
}

/** `hmm_dma_map_alloc`: `null` (-EOPNOTSUPP) where the device and the process would not see the same memory. */
export const hmmDmaMapAlloc = (device: DmaDevice, name: string, pages: number): HmmDmaMap | null => {
  if (device.bounces) return null
  const all = Array.from({ length: pages }, (_, va) => va)
  return {
    device,
    pfnList: all.map((va) => cell(`${name}.pfn${va}`, emptyEntry)),
    dmaList: all.map((va) => cell<DmaAddr | null>(`${name}.dma${va}`, null)),
  }
}

/** What is to be done for an entry: nothing more, a mapping by the IOMMU, or it cannot be. */
type Plan = { readonly address: DmaAddr } | { readonly mmio: boolean } | "DMA_MAPPING_ERROR"

/**
 * `hmm_dma_map_pfn`, under the driver's lock, of an entry that is known to be current.
 *
 * @returns where the device reaches the page, or `null` (DMA_MAPPING_ERROR)
 */
export const hmmDmaMapPfn = procedure(function* (map: HmmDmaMap, va: number) {
  const { device } = map
  const plan = yield* step("hmm_dma_map_pfn", [device.iommu.name, va], () => planOf(map, va))
  if (plan === "DMA_MAPPING_ERROR") return null
  if ("address" in plan) return plan.address
  const address = yield* device.useIova ? iovaLink(map, va, plan.mmio) : dmaMapPhys(map, va, plan.mmio)
  return yield* step("hmm_dma_map_pfn: HMM_PFN_DMA_MAPPED", [device.iommu.name, va], () => {
    const entry = at(map.pfnList, va)
    entry.value = address === null ? { ...entry.value, p2p: "" } : { ...entry.value, dmaMapped: true }
    return address
  })
})

/** Within a step. */
const planOf = ({ device, pfnList, dmaList }: HmmDmaMap, va: number): Plan => {
  const entry = at(pfnList, va)
  const { dmaMapped, p2p, page } = entry.value
  if (dmaMapped && p2p !== "bus") {
    // It may have been for loads until now; the mapping is for both.
    const before = device.useIova ? ({ space: "iova", address: va } as const) : at(dmaList, va).value
    return before === null ? "DMA_MAPPING_ERROR" : { address: before }
  }
  const way = page === null ? "none" : device.p2pdma(page)
  if (way === "not supported") return "DMA_MAPPING_ERROR"
  if (way === "host bridge") entry.value = { ...entry.value, p2p: "bridge" }
  if (way !== "bus address" || page === null) return { mmio: way === "host bridge" }
  entry.value = { ...entry.value, p2p: "bus", dmaMapped: true }
  return { address: { space: "bus", page } }
}

/** `dma_iova_link` and `dma_iova_sync`: at the address that is reserved for the page. */
const iovaLink = procedure(function* ({ device, pfnList }: HmmDmaMap, va: number, mmio: boolean) {
  const { iommu, mayFail } = device
  if (mayFail && (yield* choose("dma_iova_link", ["0", "-ENOMEM"])) !== "0") return null
  yield* step("dma_iova_link", [iommu.name, va], () => {
    at(iommu.table, va).value = { page: at(pfnList, va).value.page, mmio }
  })
  if (mayFail && (yield* choose("dma_iova_sync", ["0", "-ENOMEM"])) !== "0") {
    yield* step("dma_iova_unlink", [iommu.name, va], () => {
      at(iommu.table, va).value = null
    })
    return null
  }
  return { space: "iova", address: va } satisfies DmaAddr
})

/** `dma_map_phys`: at the lowest address that is free. */
const dmaMapPhys = procedure(function* (map: HmmDmaMap, va: number, mmio: boolean) {
  const { iommu, mayFail } = map.device
  if (mayFail && (yield* choose("dma_map_phys", ["0", "DMA_MAPPING_ERROR"])) !== "0") return null
  return yield* step("dma_map_phys", [iommu.name, va], (): DmaAddr | null => {
    const address = iommu.table.findIndex(({ value }) => value === null)
    if (address < 0) return null
    at(iommu.table, address).value = { page: at(map.pfnList, va).value.page, mmio }
    const mapped = { space: "iova", address } as const
    at(map.dmaList, va).value = mapped
    return mapped
  })
})

/**
 * `hmm_dma_unmap_pfn`, under the driver's lock: when it returns true no DMA reaches the page that way. To be called by the
 * driver's callback, before the page may be somebody else's.
 */
export const hmmDmaUnmapPfn = (map: HmmDmaMap, va: number): Effect.Effect<boolean> =>
  step("hmm_dma_unmap_pfn", [map.device.iommu.name, va], () => {
    const { device, pfnList, dmaList } = map
    const entry = at(pfnList, va)
    const { valid, dmaMapped, p2p } = entry.value
    if (!valid || !dmaMapped) return false
    // Of an address of the bus nobody keeps a table.
    if (p2p !== "bus") {
      const address = device.useIova ? va : addressOf(at(dmaList, va).value)
      at(device.iommu.table, address).value = null
      at(dmaList, va).value = null
    }
    entry.value = { ...entry.value, dmaMapped: false, p2p: "" }
    return true
  })

const addressOf = (mapped: DmaAddr | null): number => (mapped?.space === "iova" ? mapped.address : -1)
