/**
 * `hmm_range_dma_map` and `hmm_range_dma_unmap` (mm/hmm.c, Linux 5.2 and 5.3; "mm/hmm: add an helper function that fault
 * pages and map them to a device", 2019): fault and DMA mapping of a range in one. No driver ever called them.
 *
 * The pages are mapped before anybody takes the driver's lock: for a while there are DMA mappings of pages that may have
 * been freed, of which the device has no address yet.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, choose, procedure, step } from "../../checker/program/index.ts"
import { type Frame, folioOf } from "../mm/folio.ts"
import { at, pagesOf } from "../mm/range.ts"
import type { Iommu } from "./iommu.ts"
import type { HmmRange } from "./mirror2019.ts"
import { type RangeError as FaultError, hmmRangeFault2019 } from "./rangeFault2019.ts"

/** What of a range is mapped for DMA: the arrays that a driver gives with it. */
export interface RangeDma {
  readonly range: HmmRange
  readonly iommu: Iommu
  /** Whether the IOMMU may have no memory. */
  readonly mayFail: boolean
  /** `range->pfns`, by the process's addresses; of this process all pages can be stored to. */
  readonly pfns: ReadonlyArray<Cell<Frame | null>>
  readonly daddrs: ReadonlyArray<Cell<number | null>>
}

/** Makes a range of which nothing is mapped. */
export const rangeDma = (range: HmmRange, iommu: Iommu, mayFail: boolean): RangeDma => {
  const { pte } = range.mirror.of.mm
  return {
    range,
    iommu,
    mayFail,
    pfns: pte.map((_, va) => cell<Frame | null>(`${range.name}.pfn${va}`, null)),
    daddrs: pte.map((_, va) => cell<number | null>(`${range.name}.daddr${va}`, null)),
  }
}

/**
 * `hmm_range_dma_map`, `mmap_lock` held for reading: how many pages are mapped, or an error, and then none is.
 *
 * @param block as of `hmmRangeFault2019`
 */
export const hmmRangeDmaMap = procedure(function* (dma: RangeDma, block: boolean) {
  const { range } = dma
  const found = yield* hmmRangeFault2019(range, block)
  const result = "error" in found ? found.error : yield* mapPages(dma, found.pfns)
  return yield* step("hmm_range_dma_map", [range.name], () => result)
})

const mapPages = procedure(function* (dma: RangeDma, pfns: ReadonlyArray<Frame>) {
  const { range, iommu, mayFail } = dma
  const mapped: Array<number> = []
  let error: FaultError | null = null
  for (const [position, va] of pagesOf(range).entries()) {
    const page = pfns[position]
    if (page === undefined) continue
    // Not what makes it safe: an invalidation may begin right behind.
    const valid = yield* step("hmm_range_dma_map: range->valid", [range.name, va], () => range.state.valid)
    if (!valid) error = "-EBUSY"
    else if (mayFail && (yield* choose("dma_map_page", ["0", "DMA_MAPPING_ERROR"])) !== "0") error = "-EFAULT"
    if (error !== null) break
    yield* step("dma_map_page", [iommu.name, va], () => {
      const address = iommu.table.findIndex(({ value }) => value === null)
      at(iommu.table, address).value = { page, mmio: false }
      at(dma.pfns, va).value = page
      at(dma.daddrs, va).value = address
    })
    mapped.push(va)
  }
  if (error === null) return mapped.length
  for (const va of mapped) yield* dmaUnmapPage(dma, va)
  return error
})

/** `hmm_range_dma_unmap` of a page: it is mapped no more, and nothing is in the arrays. */
const dmaUnmapPage = (dma: RangeDma, va: number): Effect.Effect<void> =>
  step("dma_unmap_page", [dma.iommu.name, va], () => {
    const daddr = at(dma.daddrs, va)
    if (daddr.value !== null) at(dma.iommu.table, daddr.value).value = null
    daddr.value = null
    at(dma.pfns, va).value = null
  })

/**
 * `hmm_range_dma_unmap`.
 *
 * @param dirty whether the device has stored there, and the caller has made sure that the pages are the process's still
 */
export const hmmRangeDmaUnmap = procedure(function* (dma: RangeDma, pages: ReadonlyArray<number>, dirty: boolean) {
  for (const va of pages) {
    if (dirty) yield* setPageDirty(dma, va)
    yield* dmaUnmapPage(dma, va)
  }
})

/** Within the protocol only by who knows that the page is the process's still. */
export const setPageDirty = ({ range, iommu, pfns }: RangeDma, va: number): Effect.Effect<void> =>
  step("set_page_dirty", [range.name, va], () => {
    const page = at(pfns, va).value
    if (page !== null) folioOf(iommu.folios, page).dirty = true
  })
