/** Seeded bugs of migration between system and device memory. */
import * as Effect from "effect/Effect"
import { changeBody, moveBehind, type Replacement, type SeededBug, step } from "../../../checker/index.ts"
import { moveMapping } from "../../../model/mm/migrate.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { isWritable } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { dropTranslations } from "../../../model/mm/tlb.ts"
import { mostAccess } from "../../../model/mm/vma.ts"
import { keep, release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { holdingReference, placeOf } from "../../mm/bugs/instead.ts"
import { forkAndPin, fullDevice, migrationWaiters, privateFaults, swapCached } from "../races.ts"
import type { DeviceWorld } from "../world.ts"
import { andAtOnce, firstGpu, folioIn, mapUnasked, moveOf } from "./instead.ts"

/** The pages are moved whoever else refers to them. */
const blindToReferences = (world: DeviceWorld, fiber: string): Replacement =>
  changeBody(({ args, body }) => {
    const folio = folioIn(world, args[0])
    const isFault = world.migrations.byFiber.get(fiber)?.value.fault?.pfn === args[0]
    const others = folio.swap === null ? folio.refcount - (isFault ? 2 : 1) : 0
    folio.refcount -= others
    const result = body()
    folio.refcount += others
    return result
  })

/** The step is taken when the page that it lets go of was to take another's place, and does not. */
const unusedTarget = ({ migrations }: DeviceWorld, fiber: string, pfn: unknown): boolean =>
  migrations.byFiber.get(fiber)?.value.targets.some(({ page, used }) => page.pfn === pfn && !used) === true

export const migrationBugs: ReadonlyArray<SeededBug<DeviceWorld>> = [
  {
    id: "device-migrate-without-ref-check",
    title: "a page goes to the device whoever else refers to it",
    source: "mm/migrate_device.c: migrate_vma_check_page",
    scenario: "device/pairs/migrate-to-device+get-read",
    breaks: "MIG-EXACT-REF",
    at: (world, fiber) => ({
      migrate_vma_check_page: changeBody(({ args }) => folioIn(world, args[0]).mapcount === 0),
      folio_migrate_mapping: blindToReferences(world, fiber),
    }),
  },
  {
    id: "device-migrate-commit-unchecked",
    title: "the references are counted when the page is unmapped, and not again when it is moved",
    source: "mm/migrate.c: folio_migrate_mapping",
    scenario: "device/pairs/migrate-to-device+pin-fast-write",
    breaks: "MIGD-PIN-STOPS",
    at: (world, fiber) => ({ folio_migrate_mapping: blindToReferences(world, fiber) }),
  },
  {
    id: "device-migrate-flag-ignored",
    title: "the driver maps the new page on its device although the old one stays",
    source: "Documentation/mm/hmm.rst: MIGRATE_PFN_MIGRATE",
    scenario: "device/pairs/migrate-to-device+pin-fast-write",
    breaks: "MIGD-FLAG-AGREE",
    at: (world, fiber) => ({
      folio_migrate_mapping: (original, { args }) =>
        Effect.gen(function* () {
          const moved = yield* original
          if (moved === true) return moved
          const place = yield* step("nouveau_dmem_migrate_chunk", [...args], () => moveOf(world, fiber, args))
          if (place !== null) yield* mapUnasked(firstGpu(world), place.va, { ...place, atomic: false })
          return moved
        }),
    }),
  },
  {
    id: "device-map-before-unlock-unasked",
    title:
      "the driver maps what it has migrated before that is unlocked, and does not ask the sequence: a zap takes the migration entry away and waits for no lock",
    source: "drivers/gpu/drm/nouveau/nouveau_dmem.c: nouveau_dmem_migrate_chunk (nouveau_pfns_map), by reading",
    scenario: "device/pairs/migrate-to-device+madvise-dontneed",
    breaks: "MIRROR-NO-UAF",
    at: (world, fiber) => ({
      folio_migrate_mapping: (original, { args }) =>
        Effect.gen(function* () {
          const moved = yield* original
          if (moved !== true) return moved
          const place = yield* step("nouveau_dmem_migrate_chunk", [...args], () => moveOf(world, fiber, args))
          const toDevice = place !== null && world.folios.pgmaps.has(place.page.pfn)
          if (toDevice) yield* mapUnasked(firstGpu(world), place.va, { ...place, atomic: false })
          return moved
        }),
    }),
  },
  {
    id: "device-finalize-before-copy",
    title: "the migration ends before the content is copied",
    source: "Documentation/mm/hmm.rst: Migration to and from device memory",
    scenario: "device/pairs/migrate-to-device+load",
    breaks: "MIGD-NO-LOST-WRITE",
    at: () => moveBehind("copy_page", "remove_migration_pte"),
  },
  {
    id: "private-fault-without-lock",
    title: "a fault has its driver move the page, and does not lock it",
    source: "commit 1afaeb8293c9 (mm/migrate: Trylock device page in do_swap_page)",
    scenario: privateFaults.id,
    breaks: "MIGD-BOTH-LOCKED",
    at: (world) => ({
      "do_swap_page: trylock_page": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        const result = operation.body()
        if (result === "migrate" && pte?.kind === "private") folioIn(world, pte.page.pfn).lock = ""
        return result
      }),
    }),
  },
  {
    id: "device-finalize-unlocks-fault-page",
    title: "the migration unlocks the page whose fault is being handled, which whoever faulted has locked",
    source: "commit 1afaeb8293c9; mm/migrate_device.c: __migrate_device_finalize (fault_folio)",
    scenario: privateFaults.id,
    breaks: "MIGD-FAULTPAGE",
    at: (world) => ({
      "folio_unlock, folio_putback_lru": andAtOnce(([pfn]) => {
        folioIn(world, pfn).lock = ""
      }),
    }),
  },
  {
    id: "device-insert-without-recheck",
    title: "a new page takes a place where there was none, and overwrites what a thread has faulted in meanwhile",
    source: "mm/migrate_device.c: migrate_vma_insert_page",
    scenario: "device/pairs/migrate-to-device+store",
    breaks: "MIGD-EMPTY-RACE",
    at: (world) => ({
      migrate_vma_insert_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        at(mm.pte, va).value = null
        return operation.body()
      }),
    }),
  },
  {
    id: "device-insert-leaves-locked",
    title: "where the OOM reaper has been, a new page finds no place, and the page table stays locked",
    source:
      "mm/migrate_device.c: migrate_vma_insert_huge_pmd_page, by reading: it jumps past the unlock where check_stable_address_space fails",
    scenario: "device/pairs/migrate-to-device+oom-reap",
    breaks: "MIGD-NO-PTL-LEAK",
    at: (world) => ({
      migrate_vma_insert_page: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        if (!mm.state.unstable) return operation.body()
        keep(pageTableLock(mm, va))
        return false
      }),
    }),
  },
  {
    id: "device-unmap-counts-only-references",
    title: "a page with one reference too many is not looked for in other page tables: one goes unnoticed",
    source: "mm/migrate_device.c: migrate_device_unmap, migrate_vma_check_page, by inference",
    scenario: forkAndPin.id,
    breaks: "MIGD-SRC-UNMAPPED",
    at: (world) => ({
      "migrate_device_unmap: folio_isolate_lru": changeBody(({ body }) => {
        const result = body()
        return result === "mapped" ? "unmapped" : result
      }),
      migrate_vma_check_page: changeBody(({ args, body }) => {
        const folio = folioIn(world, args[0])
        const { mapcount } = folio
        folio.mapcount = 0
        const result = body()
        folio.mapcount = mapcount
        return result
      }),
    }),
  },
  {
    id: "device-migrate-keeps-swapcache",
    title: "a page goes to the device and stays in the swap cache",
    source: "mm/migrate_device.c: __migrate_device_pages, by inference",
    scenario: swapCached.id,
    breaks: "MIGD-ANON-ONLY",
    at: (world) => ({
      folio_migrate_mapping: changeBody(({ args, body }) => {
        const [source, target] = [folioIn(world, args[0]), folioIn(world, args[1])]
        if (source.swap === null || source.refcount !== 2) return body()
        moveMapping(world.system, source, target)
        return true
      }),
    }),
  },
  {
    id: "device-finalize-gives-write",
    title: "behind the migration the entry allows what the area does, not what it did before",
    source: "mm/migrate.c: remove_migration_pte, by inference",
    scenario: "device/pairs/migrate-to-device+load",
    breaks: "MIGD-W-BIT",
    at: (world) => ({
      remove_migration_pte: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const cell = at(mm.pte, va)
        const before = cell.value
        operation.body()
        const vma = at(mm.vma, va).value
        const pte = cell.value
        if (pte === before || vma === null || mostAccess(vma) !== "write") return
        if (pte?.kind === "private") cell.value = { ...pte, write: true }
        if (pte?.kind === "present" && !isWritable(pte)) cell.value = { ...pte, access: "write" }
      }),
    }),
  },
  {
    id: "device-unused-page-kept",
    title: "a page of the device's memory that was to take another's place, and did not, is not given back",
    source: "mm/migrate_device.c: __migrate_device_finalize, by inference",
    scenario: "device/pairs/migrate-to-device+store",
    breaks: "MIGD-DST-NO-LEAK",
    at: (world, fiber) => ({
      "folio_unlock, folio_putback_lru": changeBody(({ args, body }) => {
        if (!unusedTarget(world, fiber, args[0])) return body()
        folioIn(world, args[0]).lock = ""
      }),
    }),
  },
  {
    id: "device-migration-wait-holds-reference",
    title: "who waits for a page that goes to the device holds a reference to it, which keeps it from being moved",
    source: "commit ffa65753c431: mm/migrate.c: rework migration_entry_wait() to not take a pageref",
    scenario: migrationWaiters.id,
    bound: { loads: 1 },
    breaks: "MIGD-WAITERS-LET-MOVE",
    at: (world) => ({ migration_entry_wait: holdingReference(world) }),
  },
  {
    id: "migrate-collect-flush-after-ptl",
    title: "the collection gives up the page table's lock before it flushes the TLBs",
    source: "commit 60bae7370896: mm/migrate_device.c: flush TLB while holding PTL",
    references: zoo(5),
    scenario: "device/pairs/migrate-to-device+madvise-dontneed",
    breaks: "DONTNEED-GONE",
    at: (world) => ({
      "migrate_vma_collect_pmd: set_pte_at": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const result = operation.body()
        if (result === "flush") release(pageTableLock(mm, va))
        return result
      }),
      "migrate_vma_collect_pmd: flush_tlb_range": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        dropTranslations(mm, { start: va, end: va + 1 })
      }),
    }),
  },
  {
    id: "migrate-collect-drops-dirty-device",
    title: "the collection forgets that the entry was dirty, and the page goes back where it was: it looks clean",
    source: "commit fd35ca3d12cc: mm/migrate_device.c: copy pte dirty bit to page",
    references: zoo(22),
    scenario: fullDevice.id,
    breaks: "ZAP-DIRTY-KEPT",
    at: (world) => ({
      "migrate_vma_collect_pmd: set_pte_at": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const dirty = world.folios.arena.slots.map((folio) => folio.dirty)
        const result = operation.body()
        const cell = at(mm.pte, va)
        if (cell.value?.kind !== "migration") return result
        folioIn(world, cell.value.page.pfn).dirty = dirty[cell.value.page.pfn] === true
        cell.value = { ...cell.value, dirty: false }
        return result
      }),
    }),
  },
]
