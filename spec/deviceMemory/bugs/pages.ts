/** Seeded bugs of the pages of a device's memory. */
import * as Effect from "effect/Effect"
import { changeBody, type SeededBug, step } from "../../../checker/index.ts"
import {
  type MigrateSlot,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../../../model/deviceMemory/migrateVma.ts"
import { pgmapOf } from "../../../model/deviceMemory/pgmap.ts"
import { type Frame, folioAllocUncharged, folioLock, folioOf, frameOf } from "../../../model/mm/folio.ts"
import { present } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { placeOf } from "../../mm/bugs/instead.ts"
import { forkAll, privateFaults } from "../races.ts"
import type { DeviceWorld } from "../world.ts"
import { andAtOnce, firstGpu, folioIn } from "./instead.ts"

/** As before the fix: the page is named to the driver with no reference and no lock. */
const migratesUnreferenced = Effect.fnUntraced(function* (world: DeviceWorld, mmName: string, va: number, page: Frame) {
  const { folios, system } = world
  const mm = mmName === world.parent.name ? world.parent : world.child
  const owner = yield* step("nouveau_page_to_drm", [page.pfn], () => {
    folioOf(folios, page)
    return pgmapOf(folios, page)?.owner ?? ""
  })
  const args = { mm, range: { start: va, end: va + 1 }, select: "private", owner } as const
  const slots: Array<MigrateSlot> = []
  for (const slot of yield* migrateVmaSetup(args)) {
    const { src } = slot
    if (src === null || !slot.migrate) continue
    const dst = yield* step("alloc_page_vma", () => folioAllocUncharged(folios))
    if (dst !== null) {
      yield* folioLock(system.folios, dst)
      yield* step("copy_page", [src.pfn, dst.pfn], () => {
        folioOf(folios, dst).content = folioOf(folios, src).content
      })
    }
    slots.push({ ...slot, dst })
  }
  yield* migrateVmaFinalize(args, yield* migrateVmaPages(args, slots))
})

export const pageBugs: ReadonlyArray<SeededBug<DeviceWorld>> = [
  {
    id: "devpriv-fault-no-ref",
    title: "the driver is to bring a page back that nobody keeps: another has, and it is free",
    source: "commit 16ce101db85d: mm/memory.c: fix race when faulting a device private page; CVE-2022-3523",
    references: zoo(17),
    scenario: privateFaults.id,
    breaks: "assertion",
    at: (world) => ({
      "do_swap_page: trylock_page": (_, operation) =>
        Effect.gen(function* () {
          const { mm, va } = placeOf(world, operation)
          const page = yield* step("do_swap_page: no reference", [mm.name, va], () => {
            const pte = at(mm.pte, va).value
            return pte?.kind === "private" ? pte.page : null
          })
          if (page !== null) yield* migratesUnreferenced(world, mm.name, va, page)
          return "done"
        }),
    }),
  },
  {
    id: "device-zap-private-keeps-rss",
    title: "a zap of a private page does not take it off its process's account",
    source: "mm/memory.c: zap_nonpresent_ptes",
    scenario: "device/pairs/migrate-to-device+munmap",
    breaks: "RSS-BALANCE",
    at: (world) => ({
      zap_pte_range: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const isPrivate = at(mm.pte, va).value?.kind === "private"
        const result = operation.body()
        if (isPrivate && at(mm.pte, va).value === null) mm.rss.anon++
        return result
      }),
    }),
  },
  {
    id: "device-page-freed-twice",
    title: "the driver has the page back twice when it was moved in a fault",
    source: "mm/memremap.c: free_zone_device_folio",
    scenario: privateFaults.id,
    breaks: "DEV-PGMAP-REF",
    at: (world) => ({
      "do_swap_page: unlock_page, put_page": andAtOnce(([pfn]) => {
        const folio = folioIn(world, pfn)
        if (!folio.live) firstGpu(world).memory.state.refs--
      }),
    }),
  },
  {
    id: "device-page-present",
    title: "a new page in private memory is mapped for the CPU",
    source: "mm/migrate_device.c: migrate_vma_insert_page, by inference",
    scenario: "device/pairs/migrate-to-device+munmap",
    breaks: "PRIV-NOT-PRESENT",
    at: (world) => ({
      migrate_vma_insert_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const result = operation.body()
        const cell = at(mm.pte, va)
        if (result === true && cell.value?.kind === "private") cell.value = present(cell.value.page, "write")
        return result
      }),
    }),
  },
  {
    id: "device-page-mapped-for-cpu",
    title: "a page that went to private memory is mapped for the CPU, as one of system memory is",
    source: "mm/migrate.c: remove_migration_pte, by inference",
    scenario: "device/pairs/migrate-to-device+load",
    breaks: "PRIV-CPU-NEVER-READS",
    at: (world) => ({
      remove_migration_pte: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        operation.body()
        const cell = at(mm.pte, va)
        if (cell.value?.kind === "private") cell.value = present(cell.value.page, "read")
      }),
    }),
  },
  {
    id: "device-memory-in-allocator",
    title: "the system's allocator gives out a device's page",
    source: "Device memory is not for the kernel's own use: HMM, LKML 2015",
    scenario: privateFaults.id,
    breaks: "DEV-NOT-IN-BUDDY",
    at: (world) => ({
      alloc_page_vma: changeBody(({ body }) => {
        const { arena, pgmaps } = world.folios
        const folio = arena.allocate(({ index }) => pgmaps.has(index))
        if (folio === undefined) return body()
        folio.refcount = 1
        firstGpu(world).memory.state.refs++
        return frameOf(folio)
      }),
    }),
  },
  {
    id: "device-page-on-lru",
    title: "a page that went to the device is put on the LRU, as one of system memory is",
    source: "mm/migrate_device.c: __migrate_device_finalize, by inference",
    scenario: "device/pairs/migrate-to-device+load",
    breaks: "DEV-NOT-LRU",
    at: (world) => ({
      "folio_unlock, folio_putback_lru": andAtOnce(([pfn]) => {
        const folio = folioIn(world, pfn)
        if (folio.live) folio.lru = true
      }),
    }),
  },
  {
    id: "device-page-uncharged",
    title: "the charge stays with the page that is left behind",
    source: "mm/migrate_device.c: __migrate_device_pages (mem_cgroup_migrate), by inference",
    scenario: "device/pairs/migrate-to-device+load",
    breaks: "DEV-MEMCG",
    at: (world) => ({
      folio_migrate_mapping: andAtOnce(([from, to], moved) => {
        if (moved !== true) return
        const [source, target] = [folioIn(world, from), folioIn(world, to)]
        source.memcg = target.memcg
        target.memcg = ""
      }),
    }),
  },
  {
    id: "device-page-not-counted",
    title: "a new page in private memory does not count as its process's",
    source: "mm/migrate_device.c: migrate_vma_insert_page, by inference",
    scenario: "device/pairs/migrate-to-device+munmap",
    breaks: "DEV-RSS",
    at: (world) => ({
      migrate_vma_insert_page: changeBody((operation) => {
        const { mm } = placeOf(world, operation)
        const result = operation.body()
        if (result === true) mm.rss.anon--
        return result
      }),
    }),
  },
  {
    id: "device-page-not-in-rmap",
    title: "a page in private memory does not say where it is mapped, as one that a driver has put into a special area",
    source: "HMM, LKML 2015: no PFNMAP for device memory",
    scenario: "device/pairs/migrate-to-device+munmap",
    breaks: "DEV-NOT-PFNMAP",
    at: (world) => ({
      migrate_vma_insert_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const result = operation.body()
        const pte = at(mm.pte, va).value
        if (result === true && pte?.kind === "private") folioIn(world, pte.page.pfn).offset = mm.pages
        return result
      }),
    }),
  },
  {
    id: "fork-coherent-stays-writable",
    title: "fork shares a coherent page and leaves the parent the right to store there",
    source: "mm/memory.c: copy_present_ptes, by inference",
    scenario: forkAll.id,
    breaks: "COH-CPU-OK",
    at: (world) => ({
      "copy_present_ptes: ptep_set_wrprotect": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        operation.body()
        const cell = at(mm.pte, va)
        if (cell.value?.kind === "present") cell.value = { ...cell.value, access: "write" }
      }),
    }),
  },
]
