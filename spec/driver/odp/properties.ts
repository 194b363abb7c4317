/** The invariants of on-demand paging: what the device maps, what is mapped for DMA, and which keys commands name. */
import type { Property } from "../../../checker/index.ts"
import type { ImplicitMr } from "../../../model/driver/mlx5Implicit.ts"
import { fateOf, isLive } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { dirtyAtUnmap } from "../dirtyAtUnmap.ts"
import { locksHeld } from "../locksHeld.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import type { OdpWorld } from "./world.ts"

/** What the device can use: the translations of the keys that it knows. */
const translations = ({ mrs }: OdpWorld): ReadonlyArray<Mapping> =>
  mrs
    .filter(({ mkey }) => mkey.exists)
    .flatMap(({ name, mtt }) =>
      mtt.flatMap(({ value }, hva) => (value === null ? [] : [{ ...value, where: `the table of ${name}`, hva }])),
    )

/** What is mapped for DMA, whether the device knows of it or not. */
const dmaMappings = ({ mrs }: OdpWorld) =>
  mrs.flatMap(({ name, umem }) =>
    umem.pfnList.flatMap(({ value }, va) => (value?.page ? [{ name, va, page: value.page }] : [])),
  )

const danglingDma = (world: OdpWorld) => dmaMappings(world).filter(({ page }) => !isLive(world.mm.system.folios, page))

const isListed = ({ children }: ImplicitMr, name: string): boolean => children.some(({ value }) => value?.name === name)

export const odpProperties: ReadonlyArray<Property<OdpWorld>> = [
  ...mappingProperties<OdpWorld>(translations, "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range"),
  {
    kind: "invariant",
    id: "DMA-UNMAP-BEFORE-FREE",
    statement: "No page that was freed is mapped for DMA, not even where the device has no key for it.",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, which marks the page dirty",
    premise: (world) => dmaMappings(world).length > 0,
    holds: (world) => danglingDma(world).length === 0,
    explain: (world) =>
      danglingDma(world)
        .map(({ name, va, page }) => {
          const what = fateOf(world.mm.system.folios, page)
          return `For address ${va}, ${name} has a DMA mapping of ${what}.`
        })
        .join(" "),
  },
  dirtyAtUnmap<OdpWorld>(
    "nic0",
    (world) => dmaMappings(world).map(({ page }) => page),
    "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages",
  ),
  {
    kind: "invariant",
    id: "ODP-LIVE-KEY",
    statement: "No command to the device, and no entry of its tables that it follows, names a key that is no more.",
    source: "commit abb604a1a9c8: RDMA/mlx5: Fix a race for an ODP MR which leads to CQE with error",
    premise: ({ mrs }) => mrs.some(({ mkey, state }) => state.live && !mkey.exists),
    holds: ({ dev }) => dev.umr.error === "",
    explain: ({ dev }) => `The queue of commands has stopped: ${dev.umr.error}.`,
  },
  {
    kind: "invariant",
    id: "ODP-DMA-MAPPED",
    statement:
      "The table of a key that the device knows names only pages that are mapped for DMA: it is told first when they go.",
    source: "drivers/infiniband/hw/mlx5/odp.c: mlx5_ib_invalidate_range",
    premise: (world) => translations(world).length > 0,
    holds: ({ mrs }) =>
      mrs.every(
        ({ mkey, mtt, umem }) =>
          !mkey.exists ||
          mtt.every(({ value }, va) => value === null || at(umem.pfnList, va).value?.page?.pfn === value.page?.pfn),
      ),
  },
  locksHeld(
    "What is mapped for DMA, and a region's table, change under umem_mutex, and the cache of keys under its own lock.",
    "drivers/infiniband/core/umem_odp.c: ib_umem_odp_unmap_dma_pages, which asserts it; drivers/infiniband/hw/mlx5/odp.c",
    ({ mrs }) => mrs.some(({ umem }) => umem.mutex.state.holder !== ""),
  ),
]

/** Of regions that are deregistered, or children that are destroyed, besides. */
export const deregistrationProperties: ReadonlyArray<Property<OdpWorld>> = [
  {
    kind: "invariant",
    id: "ODP-KEY-KEPT",
    statement:
      "The key of a region that goes is kept for reuse before the region is freed, and not before the device has forgotten it.",
    source: "drivers/infiniband/hw/mlx5/mr.c: mlx5_revoke_mr",
    premise: ({ mrs, record }) =>
      record.keySlip.value !== "" || mrs.some(({ mkey, state }) => state.live && !mkey.exists),
    holds: ({ record }) => record.keySlip.value === "",
    explain: ({ record }) => `${record.keySlip.value}.`,
  },
]

/** What must come about. */
export const odpPromises: ReadonlyArray<Property<OdpWorld>> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every access of the device comes to the end of its page faults.",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock",
    to: ({ nics }, { ended }) => nics.every(ended),
  },
]

/** Where only one thread of the process is there at the end, which waits. */
export const oneThreadProperties: ReadonlyArray<Property<OdpWorld>> = [
  {
    kind: "atEnd",
    id: "MIRROR-NO-MM-REF",
    statement: "When everything has ended, the process's own threads are all the users that its memory has.",
    source: "drivers/infiniband/core/umem_odp.c: ib_umem_odp_map_dma_and_lock, mmget_not_zero and mmput_async",
    holds: ({ mm }) => mm.state.users === 1,
    explain: ({ mm }) => `mm_users is ${mm.state.users}, and there is one thread.`,
  },
]

/** Of implicit regions besides. */
export const implicitProperties: ReadonlyArray<Property<OdpWorld>> = [
  {
    kind: "invariant",
    id: "ODP-FREE-ONCE",
    statement: "Each child of an implicit region is destroyed once.",
    source: "commit d3d930411ce3: RDMA/mlx5: Fix implicit ODP use after free",
    premise: ({ mrs, record }) => record.slip.value !== "" || mrs.some(({ state }) => state.life > 0 && !state.live),
    holds: ({ record }) => record.slip.value === "",
    explain: ({ record }) => `${record.slip.value}.`,
  },
  {
    kind: "atEnd",
    id: "ODP-KEY-REFERENCES",
    statement:
      "When everything has ended, the tables in which faults look for keys hold all the references to them: a region can be deregistered.",
    source: "drivers/infiniband/hw/mlx5/odp.c: mlx5r_deref_wait_odp_mkey",
    holds: ({ imr, mrs }) =>
      imr === undefined ||
      (imr.mkey.usecount === (imr.mkey.found ? 1 : 0) &&
        mrs.every(({ name, mkey, state }) => !state.live || mkey.usecount === (isListed(imr, name) ? 1 : 0))),
  },
]
