/** An IOMMU as a device sees it (drivers/iommu, include/linux/dma-mapping.h): what its DMA addresses translate to. */
import { type Cell, cell, type Struct, struct } from "../../checker/program/index.ts"
import { type Content, type Folios, type Frame, folioOf } from "../mm/folio.ts"
import { at } from "../mm/range.ts"

/** What a page of DMA addresses means: a frame (`null` for the zero page), and whether as another device's (DMA_ATTR_MMIO). */
export type IommuPte = { readonly page: Frame | null; readonly mmio: boolean }

/** The domain of one device. */
export interface Iommu {
  readonly name: string
  readonly folios: Folios
  /** By DMA address, in pages. The IOMMU's TLB is flushed with every entry that is taken away (strict mode). */
  readonly table: ReadonlyArray<Cell<IommuPte | null>>
  readonly state: Struct<{
    /** The first access that was not translated, in words. */
    fault: string
  }>
}

/** Makes a domain with nothing mapped. */
export const iommu = (folios: Folios, name: string, pages: number): Iommu => ({
  name,
  folios,
  table: Array.from({ length: pages }, (_, address) => cell<IommuPte | null>(`${name}.iova${address}`, null)),
  state: struct(name, { fault: "" }),
})

/** Where a device reaches a page: by an address that the IOMMU translates, or, in another device, by one of the bus. */
export type DmaAddr =
  | { readonly space: "iova"; readonly address: number }
  | { readonly space: "bus"; readonly page: Frame }

/**
 * An access of the device, which has no reference to the page and asks nobody whether it is somebody else's by now: that
 * ends the run. Within a step.
 *
 * @param content what it stores; without it, it loads
 * @returns false where the IOMMU does not let it through
 */
export const dmaAccess = (domain: Iommu, where: DmaAddr, content?: Content): boolean => {
  const { folios, state, table } = domain
  const entry = where.space === "bus" ? where : at(table, where.address).value
  if (entry === null) {
    if (state.fault === "" && where.space === "iova") state.fault = `address ${where.address} is not mapped`
    return false
  }
  if (entry.page === null) return true
  const folio = folioOf(folios, entry.page)
  if (content !== undefined) folio.content = content
  return true
}
