/** The invariants of the on-demand paging of 2014: what the device maps, and the counts by which umems know of invalidations. */
import type { Property } from "../../../checker/index.ts"
import { at } from "../../../model/mm/range.ts"
import { dirtyAtUnmap } from "../dirtyAtUnmap.ts"
import { locksHeld } from "../locksHeld.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import type { OdpWorld2014 } from "./world.ts"

/** What the device can use, and what is mapped for DMA. */
const mappings = ({ umems }: OdpWorld2014): ReadonlyArray<Mapping> =>
  umems.flatMap(({ name, mtt, pageList }) => {
    const tables = [
      [`the table of ${name}`, mtt],
      [`the DMA mappings of ${name}`, pageList],
    ] as const
    return tables.flatMap(([where, entries]) =>
      entries.flatMap(({ value: page }, hva) => (page === null ? [] : [{ where, hva, page, write: true }])),
    )
  })

/** Umems with counters of their own, and invalidations under way whose start they have not seen. */
const untold = ({ umems, record }: OdpWorld2014) =>
  umems.flatMap(({ name, state }) =>
    [...record.missed].flatMap(([fiber, missed]) =>
      state.active && missed.value.includes(name) ? [{ name, fiber }] : [],
    ),
  )

export const odpProperties2014: ReadonlyArray<Property<OdpWorld2014>> = [
  ...mappingProperties<OdpWorld2014>(mappings, "drivers/infiniband/core/umem_odp.c, 2014"),
  dirtyAtUnmap<OdpWorld2014>(
    "nic0",
    (world) => mappings(world).flatMap(({ page }) => (page === null ? [] : [page])),
    "drivers/infiniband/core/umem_odp.c, 2014: ib_umem_odp_unmap_dma_pages",
  ),
  {
    kind: "invariant",
    id: "ODP-COUNTER-BOOT",
    statement: "Who goes by counters of its own has seen the start of all the invalidations that are under way.",
    source: "drivers/infiniband/core/umem_odp.c, 2014: ib_umem_odp_get, ib_ucontext_notifier_end_account",
    premise: ({ record }) => [...record.missed.values()].some(({ value }) => value.length > 0),
    holds: (world) => untold(world).length === 0,
    explain: (world) =>
      untold(world)
        .map(({ name, fiber }) => `${name} came while ${fiber} was invalidating, and has its counters already.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "ODP-COUNT-NONNEG",
    statement: "No umem sees the end of an invalidation whose start it has not counted.",
    source: "drivers/infiniband/core/umem_odp.c, 2014: ib_umem_notifier_end_account",
    premise: ({ context, umems }) => context.state.notifierCount !== 0 || umems.some(({ state }) => state.count !== 0),
    holds: ({ context, umems }) => context.state.notifierCount >= 0 && umems.every(({ state }) => state.count >= 0),
  },
  {
    kind: "invariant",
    id: "ODP-DMA-MAPPED",
    statement: "The device's table names only pages that are mapped for DMA: it is told first when they go.",
    source: "drivers/infiniband/hw/mlx5/odp.c, 2014: mlx5_ib_invalidate_range",
    premise: ({ umems }) => umems.some(({ mtt }) => mtt.some(({ value }) => value !== null)),
    holds: ({ umems }) =>
      umems.every(({ mtt, pageList }) =>
        mtt.every(({ value }, va) => value === null || at(pageList, va).value?.pfn === value.pfn),
      ),
  },
  locksHeld(
    "The umems of a process and their counters are looked at under umem_rwsem, and change only under it for writing.",
    "include/rdma/ib_verbs.h, 2014: struct ib_ucontext, umem_rwsem; drivers/infiniband/core/umem_odp.c, 2014",
    ({ context }) => context.umemRwsem.state.writer !== "" || context.umemRwsem.state.readers.length > 0,
  ),
]
