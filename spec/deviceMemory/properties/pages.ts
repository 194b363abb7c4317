/**
 * The pages of a device's memory. How they are freed, once and clean
 * (DEV-PAGEFREE-ONCE), is taken apart in the protocol device-memory/free.
 */
import { pageTableLock } from "../../../model/mm/mm.ts"
import { isRmapped } from "../../../model/mm/pte.ts"
import { isAnon, placesOf } from "../../../model/mm/rmap.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { isQuiet, mappings, rmappings, translations } from "../../mm/properties/places.ts"
import type { DeviceWorld } from "../world.ts"
import { devicePages, hasEntry, memoryOf, type Spec } from "./places.ts"

/** How many anonymous pages an address space has, counted afresh. */
const anonPages = ({ folios }: DeviceWorld, mm: DeviceWorld["parent"]): number => {
  let found = 0
  for (const { value: pte } of mm.pte) {
    if (!isRmapped(pte) && pte?.kind !== "migration") continue
    const folio = folios.arena.slots[pte.page.pfn]
    if (folio !== undefined && isAnon(folio)) found++
  }
  return found
}

/** The mappings of coherent memory. */
const coherent = (world: DeviceWorld) =>
  mappings(world).filter(({ pte }) => memoryOf(world, pte.page)?.type === "coherent")

export const pageProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "PRIV-NOT-PRESENT",
    statement: "No entry that a CPU can use maps a page that no CPU can reach.",
    source: "include/linux/memremap.h: MEMORY_DEVICE_PRIVATE",
    premise: (world) => devicePages(world).length > 0,
    holds: (world) => mappings(world).every(({ pte }) => memoryOf(world, pte.page)?.type !== "private"),
  },
  {
    kind: "invariant",
    id: "PRIV-CPU-NEVER-READS",
    statement: "No CPU translates an address to a page that no CPU can reach.",
    source: "Documentation/mm/hmm.rst",
    premise: (world) => devicePages(world).length > 0,
    holds: (world) =>
      translations(world).every(({ entry: { page } }) => page === null || memoryOf(world, page)?.type !== "private"),
  },
  {
    kind: "invariant",
    id: "DEV-NOT-IN-BUDDY",
    statement: "What the system's allocator gives out is no device's memory.",
    source: "HMM: heterogeneous memory management, LKML 2015: requirements on device memory; mm/memremap.c",
    premise: (world) => world.migrations.broken.allocatesDevices || devicePages(world).length > 0,
    holds: ({ migrations }) => !migrations.broken.allocatesDevices,
  },
  {
    kind: "invariant",
    id: "DEV-NOT-LRU",
    statement: "No page of a device's memory is on the LRU.",
    source: "mm/migrate_device.c: migrate_device_finalize, migrate_vma_insert_page",
    premise: (world) => devicePages(world).length > 0,
    holds: (world) => devicePages(world).every(({ lru }) => !lru),
  },
  {
    kind: "invariant",
    id: "DEV-PGMAP-REF",
    statement: "A device's memory has as many users as pages of it are given out.",
    source: "mm/memremap.c: zone_device_page_init, free_zone_device_folio",
    premise: ({ gpus }) => gpus.some(({ memory }) => memory.state.refs !== 0),
    holds: (world) =>
      world.gpus.every(
        ({ memory }) =>
          memory.state.refs ===
          devicePages(world).filter(({ index }) => world.folios.pgmaps.get(index) === memory).length,
      ),
  },
  {
    kind: "invariant",
    id: "DEV-MEMCG",
    statement: "A page of a device's memory that is mapped is charged to a control group.",
    source: "Documentation/mm/hmm.rst: Memory cgroup and rss accounting",
    premise: (world) => devicePages(world).some(({ mapcount }) => mapcount > 0),
    holds: (world) => devicePages(world).every(({ mapcount, memcg }) => mapcount === 0 || memcg !== ""),
  },
  {
    kind: "invariant",
    id: "DEV-RSS",
    statement:
      "Pages in a device's memory, and those that a device has for itself, count as anonymous pages of their process.",
    source: "mm/memory.c: copy_nonpresent_pte, zap_nonpresent_ptes; Documentation/mm/hmm.rst",
    premise: (world) => hasEntry(world, "private", "exclusive") || coherent(world).length > 0,
    holds: (world) => world.mms.every((mm) => !isQuiet(mm) || mm.rss.anon === anonPages(world, mm)),
  },
  {
    kind: "invariant",
    id: "DEV-NOT-PFNMAP",
    statement: "Every place that maps a device's page is found from the page, as with any anonymous page.",
    source: "HMM, LKML 2015: no PFNMAP, no vm_ops for device memory; mm/rmap.c",
    premise: (world) => devicePages(world).some(({ mapcount }) => mapcount > 0),
    holds: (world) =>
      rmappings(world).every(({ mm, va, pte }) => {
        if (memoryOf(world, pte.page) === undefined || !isFree(pageTableLock(mm, va))) return true
        if (mm.mmapLock.state.writer !== "") return true
        return placesOf(world.system, pte.page).some((place) => place.mm === mm.name && place.va === va)
      }),
  },
  {
    kind: "invariant",
    id: "COH-CPU-OK",
    statement: "A coherent page that several processes share may be stored to by none of them.",
    source: "mm/memory.c: copy_present_ptes; coherent device memory and copy-on-write, LKML 2022",
    premise: (world) => coherent(world).length > 0,
    holds: (world) =>
      coherent(world).every(({ mm, va, pte }) => {
        const folio = world.folios.arena.slots[pte.page.pfn]
        return pte.access !== "write" || !isFree(pageTableLock(mm, va)) || (folio?.mapcount ?? 0) <= 1
      }),
  },
]
