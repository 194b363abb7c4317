/** The invariants of huge pages in a mirror. */
import type { Property } from "../../../checker/index.ts"
import { fateOf, isLive } from "../../../model/mm/folio.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { type Mapping, mappingProperties } from "../../driver/mappings.ts"
import { isUnder } from "../../driver/windows.ts"
import { deviceName, type HugeWorld } from "./world.ts"

type Spec = Property<HugeWorld>

const pieces = ({ device }: HugeWorld) =>
  device.pieces.flatMap(({ value }, va) => (value === null ? [] : [{ va, ...value }]))

const mappings = (world: HugeWorld): ReadonlyArray<Mapping> =>
  pieces(world).flatMap(({ va, pages, write }) =>
    pages.map((page, position) => ({ where: `the table of ${deviceName}`, hva: va + position, page, write })),
  )

const hugePieces = (world: HugeWorld) => pieces(world).filter(({ pages }) => pages.length > 1)

/** The DMA mappings, by address, of pages that were freed. */
const dangling = ({ device, mm }: HugeWorld) =>
  device.iommu.table.flatMap(({ value }) => {
    const page = value?.page ?? null
    return page === null || isLive(mm.system.folios, page) ? [] : [page]
  })

/** Whether the IOMMU has for a piece what the device has. */
const isTranslated = ({ device }: HugeWorld, { hva, page }: Mapping): boolean => {
  const entry = at(device.iommu.table, hva).value
  return entry?.page?.pfn === page?.pfn && entry?.page?.generation === page?.generation
}

export const hugeProperties: ReadonlyArray<Spec> = [
  ...mappingProperties<HugeWorld>(mappings, "drivers/gpu/drm/drm_gpusvm.c; drivers/infiniband/core/umem_odp.c"),
  {
    kind: "invariant",
    id: "HMM-HUGE-AGREE",
    statement:
      "A device maps in one piece only what the process maps in one piece, unless an invalidation has started there and the driver's callback not returned.",
    source: "mm/hmm.c: hmm_vma_walk_pmd, the comment on who splits a huge entry; mm/huge_memory.c: __split_huge_pmd",
    premise: (world) => hugePieces(world).length > 0,
    holds: (world) => hugePieces(world).length === 0 || world.pmd.huge.value || isUnder(world.windows, 0, "starting"),
  },
  {
    kind: "invariant",
    id: "HMM-HUGE-ORDER",
    statement: "HMM tells of a huge page only where one was mapped as such when it looked.",
    source: "mm/hmm.c: hmm_vma_handle_pmd, hmm_pfn_flags_order",
    holds: ({ record }) => !record.wrong,
  },
  {
    kind: "invariant",
    id: "HUGE-WHOLE",
    statement: "As long as an entry is huge it maps all its pages: who takes away one of them has split it before.",
    source: "mm/memory.c: zap_pmd_range; mm/huge_memory.c: vma_adjust_trans_huge",
    premise: ({ pmd }) => pmd.huge.value,
    holds: ({ mm, pmd: { huge, range } }) => {
      const present = pagesOf(range).filter((va) => at(mm.pte, va).value?.kind === "present").length
      return !huge.value || present === 0 || present === range.end - range.start
    },
  },
  {
    kind: "invariant",
    id: "DMA-ONE-PIECE",
    statement: "What is mapped for DMA in one piece is so all the time that the device has it, and goes in one piece.",
    source: "Documentation/core-api/dma-api.rst: dma_unmap_page is given the address and size of the mapping",
    premise: (world) => hugePieces(world).length > 0,
    holds: (world) => mappings(world).every((mapping) => isTranslated(world, mapping)),
  },
  {
    kind: "invariant",
    id: "DMA-UNMAP-BEFORE-FREE",
    statement: "No DMA can reach a page that was freed.",
    source: "mm/hmm.c: hmm_dma_unmap_pfn; drivers/infiniband/core/umem_odp.c",
    premise: ({ device }) => device.iommu.table.some(({ value }) => value !== null),
    holds: (world) => dangling(world).length === 0,
    explain: (world) =>
      dangling(world)
        .map((page) => `The IOMMU has ${fateOf(world.mm.system.folios, page)}.`)
        .join(" "),
  },
]
