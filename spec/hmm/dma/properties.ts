/** The invariants of DMA mapping by HMM: what the list says, what the IOMMU has, and what the device goes by. */
import type { Property } from "../../../checker/index.ts"
import { isZoneDevice } from "../../../model/deviceMemory/pgmap.ts"
import type { DmaEntry } from "../../../model/driver/dmaMirror.ts"
import { type Frame, fateOf, isLive } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { dirtyAtUnmap } from "../../driver/dirtyAtUnmap.ts"
import { locksHeld } from "../../driver/locksHeld.ts"
import { type Mapping, mappingProperties } from "../../driver/mappings.ts"
import { type DmaWorld, deviceName } from "./world.ts"

type Spec = Property<DmaWorld>

/** What an entry of the device's table leads to; `undefined` where the IOMMU does not let it through. */
const reached = ({ iommu }: DmaWorld, { where }: DmaEntry): Frame | null | undefined =>
  where.space === "bus" ? where.page : at(iommu.table, where.address).value?.page

const mappings = (world: DmaWorld): ReadonlyArray<Mapping> =>
  world.device.table.flatMap(({ value }, hva) => {
    const page = value === null ? undefined : reached(world, value)
    return value === null || page === undefined
      ? []
      : [{ where: `the table of ${deviceName}`, hva, page, write: value.write }]
  })

/** What DMA could reach: what the IOMMU has, and what the device has addresses of. */
const reachable = (world: DmaWorld): ReadonlyArray<Frame> =>
  [...world.iommu.table.map(({ value }) => value?.page), ...mappings(world).map(({ page }) => page)].flatMap((page) =>
    page == null ? [] : [page],
  )

const dangling = (world: DmaWorld) => reachable(world).filter((page) => !isLive(world.mm.system.folios, page))

const entries = ({ device }: DmaWorld) => device.map.pfnList.map(({ value }, va) => ({ va, ...value }))

/** Nobody is about to map or unmap. */
const isQuiet = ({ device }: DmaWorld): boolean => device.lock.state.holder === ""

const inIommu = ({ iommu }: DmaWorld): number => iommu.table.filter(({ value }) => value !== null).length
const listed = (world: DmaWorld): number =>
  entries(world).filter(({ dmaMapped, p2p }) => dmaMapped && p2p !== "bus").length

const untranslated = (world: DmaWorld) =>
  world.device.table.flatMap(({ value }, va) => (value !== null && reached(world, value) === undefined ? [va] : []))

export const dmaProperties: ReadonlyArray<Spec> = [
  ...mappingProperties<DmaWorld>(mappings, "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock"),
  dirtyAtUnmap<DmaWorld>(
    deviceName,
    // Under the lock a page is given up when it has gone from the list.
    (world) => (isQuiet(world) ? mappings(world) : entries(world)).flatMap(({ page }) => page ?? []),
    "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages",
  ),
  {
    kind: "invariant",
    id: "DMA-MAPPED-VALID",
    statement: "What is mapped for DMA is known to be there: hmm_dma_unmap_pfn would leave it mapped otherwise.",
    source: "mm/hmm.c: hmm_dma_unmap_pfn",
    premise: (world) => entries(world).some(({ dmaMapped }) => dmaMapped),
    holds: (world) => entries(world).every(({ dmaMapped, valid }) => !dmaMapped || valid),
    explain: (world) =>
      entries(world)
        .filter(({ dmaMapped, valid }) => dmaMapped && !valid)
        .map(({ va }) => `The entry of page ${va} says that it is mapped for DMA, and that nothing is there.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "DMA-ONCE",
    statement: "The IOMMU has one mapping for each entry that says so, and none besides.",
    source: "mm/hmm.c: hmm_dma_map_pfn, the comment on the resynchronisation of flags; error paths",
    premise: (world) => isQuiet(world) && (inIommu(world) > 0 || listed(world) > 0),
    holds: (world) => !isQuiet(world) || inIommu(world) === listed(world),
    explain: (world) => `The IOMMU has ${inIommu(world)} mappings, of which the list knows ${listed(world)}.`,
  },
  {
    kind: "invariant",
    id: "DMA-UNMAP-BEFORE-FREE",
    statement: "No DMA can reach a page that was freed.",
    source: "mm/hmm.c: hmm_dma_unmap_pfn; drivers/infiniband/core/umem_odp.c; Documentation/mm/hmm.rst",
    premise: (world) => reachable(world).length > 0,
    holds: (world) => dangling(world).length === 0,
    explain: (world) =>
      dangling(world)
        .map((page) => `The device can reach ${fateOf(world.mm.system.folios, page)}.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "DMA-TRANSLATES",
    statement: "Every address that the device has leads somewhere, and no access of it is stopped by the IOMMU.",
    source: "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range: the device's table first",
    premise: ({ device }) => device.table.some(({ value }) => value !== null),
    holds: (world) => world.iommu.state.fault === "" && untranslated(world).length === 0,
    explain: (world) =>
      world.iommu.state.fault === ""
        ? `The device has an address for page ${untranslated(world)[0]}, of which the IOMMU has nothing.`
        : `The IOMMU has stopped an access: ${world.iommu.state.fault}.`,
  },
  locksHeld(
    "Pages are mapped for DMA and unmapped under the driver's lock, by which the entries of the list are one for all.",
    "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, which asserts it; mm/hmm.c: hmm_dma_map_pfn",
    ({ device }) => device.lock.state.holder !== "",
  ),
]

/** Where pages of other devices are mapped. */
export const p2pProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "DMA-P2P-MMIO",
    statement: "The IOMMU maps a page of another device's as such, and a page of memory as memory.",
    source: "mm/hmm: properly take MMIO path, 2025: DMA_ATTR_MMIO",
    premise: ({ iommu }) => iommu.table.some(({ value }) => value !== null),
    holds: ({ iommu, mm }) =>
      iommu.table.every(
        ({ value }) =>
          value === null || value.mmio === (value.page !== null && isZoneDevice(mm.system.folios, value.page)),
      ),
  },
  {
    kind: "invariant",
    id: "DMA-P2P-FLAGS",
    statement: "An entry says how another device is reached only while it is mapped for DMA.",
    source: "mm/hmm.c: hmm_dma_map_pfn, its error path, and hmm_dma_unmap_pfn",
    premise: (world) => entries(world).some(({ p2p }) => p2p !== ""),
    holds: (world) => !isQuiet(world) || entries(world).every(({ p2p, dmaMapped }) => p2p === "" || dmaMapped),
  },
]
