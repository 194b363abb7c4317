/** Seeded bugs of moving pages and entries: mremap, mprotect, migration, swap. */
import * as Effect from "effect/Effect"
import { changeBody, moveBehind, type SeededBug, self, step } from "../../../checker/index.ts"
import { folioAlloc, folioOf } from "../../../model/mm/folio.ts"
import type { Present } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon } from "../../../model/mm/rmap.ts"
import { zoo } from "../../bugZoo.ts"
import { hintAndMigrate, migrationWait, storeAndMigrate, storeAndProtect, twoSwapIns } from "../scenarios/races.ts"
import type { MmWorld } from "../world.ts"
import { alone, holdingReference, placeOf } from "./instead.ts"

export const moveBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "mremap-flush-after-dst-unlock",
    title: "mremap gives up the locks of the page tables before it flushes the old translations",
    source: "commit eb66ae030829: mremap: properly flush TLB before releasing the page; CVE-2018-18281",
    references: zoo(4),
    scenario: "mm/pairs/mremap+truncate",
    bound: alone,
    breaks: "ZAP-TLB-BEFORE-FREE",
    at: () => moveBehind("move_ptes: flush_tlb_range", "pte_unmap_unlock"),
  },
  {
    id: "mremap-skips-without-lock",
    title: "mremap skips an entry in which it finds nothing, and does not take the page table's lock to look",
    source: "mm/mremap.c: move_ptes, which asks pte_none under the lock; mm/rmap.c: try_to_migrate_one",
    scenario: "mm/pairs/mremap+migrate",
    bound: alone,
    breaks: "MOVE-LEAVES-NOTHING",
    at: (world) => ({
      pte_offset_map_lock: (original, operation) => {
        const { mm, va } = placeOf(world, operation)
        const isNone = step("pte_none", [mm.name, va], () => at(mm.pte, va).value === null)
        return Effect.flatMap(isNone, (none) => (none ? Effect.succeed(false) : original))
      },
    }),
  },
  {
    id: "protnone-pending-flush-migration",
    title: "migration flushes no TLB for an entry that gives no access, although whoever took it away has yet to flush",
    source: "commit 20841405940e: mm: fix TLB flush race between migration, and change_protection_range",
    references: zoo(34),
    scenario: hintAndMigrate.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: () => {
      let accessible = true
      return {
        "try_to_migrate_one: ptep_get_and_clear": (original) =>
          Effect.tap(original, (entry) =>
            Effect.sync(() => {
              accessible = (entry as Present | null)?.access !== "none" // what the step returns
            }),
          ),
        try_to_unmap_flush: (original) => (accessible ? original : Effect.void),
      }
    },
  },
  {
    id: "migrate-collect-drops-dirty",
    title: "the dirty bit of an entry that is replaced by a migration entry is nobody's",
    source:
      "commit fd35ca3d12cc: mm/migrate_device.c: copy pte dirty bit to page; here of migration within system memory",
    references: zoo(22),
    scenario: storeAndMigrate.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      "try_to_migrate_one: ptep_get_and_clear": changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        const folio = pte?.kind === "present" ? folioOf(world.folios, pte.page) : null
        const dirty = folio?.dirty === true
        const taken = operation.body() as Present | null // what the step returns
        if (taken === null || folio === null) return taken
        folio.dirty = dirty
        return { ...taken, dirty: false }
      }),
    }),
  },
  {
    id: "snapshot-commit-loses-hw-dirty",
    title: "an entry is read, changed and written back while the hardware may still set its dirty bit",
    source: "commit 04718f7c9290: fs/proc/task_mmu: fix make_uffd_wp_huge_pte() prot-update race; here in mprotect",
    references: zoo(100),
    scenario: storeAndProtect.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      ptep_modify_prot_start: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va)
        const before = pte.value
        const taken = operation.body()
        if (before?.kind === "present") pte.value = before
        return taken
      }),
    }),
  },
  {
    id: "mprotect-forgets-migration-entries",
    title: "mprotect leaves the right to store in entries of pages that are being moved",
    source: "mm/mprotect.c: change_pte_range",
    scenario: "mm/pairs/mprotect+migrate",
    bound: alone,
    breaks: "PROT-PRIV-RO",
    at: (world) => ({
      ptep_modify_prot_start: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        return at(mm.pte, va).value?.kind === "migration" ? null : operation.body()
      }),
    }),
  },
  {
    id: "zap-migration-entry-without-rss",
    title: "a zapped migration entry stays charged",
    source: "mm/memory.c: zap_nonpresent_ptes",
    scenario: "mm/pairs/exit+migrate",
    bound: alone,
    breaks: "EXIT-RSS-ZERO",
    at: (world) => ({
      zap_pte_range: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        if (pte?.kind === "migration") mm.rss[isAnon(folioOf(world.folios, pte.page)) ? "anon" : "file"]++
        return operation.body()
      }),
    }),
  },
  {
    id: "migration-wait-holds-reference",
    title: "who waits for a page that is being moved holds a reference to it, which keeps it from being moved",
    source: "commit ffa65753c431: mm/migrate.c: rework migration_entry_wait() to not take a pageref",
    scenario: migrationWait.id,
    bound: alone,
    breaks: "MIG-WAITERS-LET-MOVE",
    at: (world) => ({ migration_entry_wait: holdingReference(world) }),
  },
  {
    id: "swapin-aba",
    title: "a swap-in leaves out the swap cache, and nothing keeps the slot from being used anew while it reads",
    source: "commit 13ddaf26be32: mm/swap: fix race when skipping swapcache; CVE-2024-26759",
    references: zoo(62),
    scenario: twoSwapIns.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => ({
      swap_cache_get_folio: changeBody((operation) => {
        const { mm, va } = placeOf(world, operation)
        const pte = at(mm.pte, va).value
        const slot = pte?.kind === "swap" ? world.system.swap.slots[pte.slot] : undefined
        if (slot === undefined || slot.cache !== null || slot.count !== 1) return operation.body()
        const frame = folioAlloc(world.folios, mm.name)
        if (frame === null) return "-ENOMEM"
        folioOf(world.folios, frame).lock = self()
        return { frame, fresh: true }
      }),
    }),
  },
]
