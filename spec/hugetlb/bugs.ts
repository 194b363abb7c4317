/** Seeded bugs of huge pages. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, moveBehind, type Plain, type SeededBug, step } from "../../checker/index.ts"
import { hugeMm } from "../../model/mm/hugetlbPmdSharing.ts"
import { at } from "../../model/mm/range.ts"
import { zoo } from "../bugZoo.ts"
import { fill, migrate, migrateAndTake, unmap } from "./scenarios.ts"
import type { HugetlbWorld } from "./world.ts"

const flush = "commit a4a118f2eead: hugetlbfs: flush TLBs correctly after huge_pmd_unshare; CVE-2021-4002"
const shared = "commit 017b1660df89: mm: migration: fix migration of huge PMD shared pages"

export const hugetlbBugs: ReadonlyArray<SeededBug<HugetlbWorld>> = [
  {
    id: "unshare-drops-table-before-flush",
    title: "who lets go of a shared page table flushes behind i_mmap_rwsem, when others may have freed what it maps",
    source: flush,
    references: zoo(59),
    scenario: unmap.id,
    breaks: "HUGETLB-TLB-BEFORE-FREE",
    at: () => ({ tlb_flush_mmu_tlbonly: leaveOut() }),
  },
  {
    id: "unshare-drops-walked-table",
    title: "the same, and it is the page table that the other has freed",
    source: flush,
    references: zoo(59),
    scenario: unmap.id,
    breaks: "HUGETLB-TABLE-BEFORE-FREE",
    at: () => ({ tlb_flush_mmu_tlbonly: leaveOut() }),
  },
  {
    id: "unmap-stops-at-first-sharer",
    title: "migration clears the entry of the shared page table; the page is mapped no more, and the other CPUs stay",
    source: shared,
    references: zoo(58),
    scenario: migrate.id,
    breaks: "HUGETLB-LAST-STORE",
    at: (_, fiber) => (fiber === "kcompactd0" ? { huge_pmd_unshare: leaveOut(false) } : {}),
  },
  {
    id: "notifier-range-narrower-than-change",
    title: "migration announces the page, and lets go of a table that maps more",
    source: shared,
    references: zoo(58),
    scenario: migrate.id,
    breaks: "HUGETLB-MIRROR",
    at: ({ file }, fiber) =>
      fiber !== "kcompactd0"
        ? {}
        : {
            mmu_notifier_invalidate_range_start: changeBody(({ args }) => {
              const mm = hugeMm(file, String(args[0]))
              mm.window.value = { start: 0, end: 1 }
              at(mm.mirror, 0).value = null
            }),
          },
  },
  {
    id: "hugetlb-fault-raced-with-punch",
    title: "what a fault has mapped since the hole was unmapped leaves the page cache mapped",
    source: "commit 4aae8d1c051e: mm/hugetlbfs: unmap pages if page fault raced with hole punch",
    references: zoo(77),
    scenario: unmap.id,
    breaks: "HUGETLB-CACHE-UNMAPPED",
    at: () => ({ page_mapped: leaveOut(false) }),
  },
  {
    id: "hugetlb-mapped-asked-before-lock",
    title: "whether a fault has mapped the page is asked before its lock is taken: it may be migrating",
    source:
      "commit 7b7387650dcf: mm/hugetlb: fix folio is still mapped when deleted; Linux 5.16 as published, where exploring found it before it was looked up",
    references: ["commit 7b7387650dcf"],
    scenario: migrateAndTake.id,
    breaks: "HUGETLB-CACHE-UNMAPPED",
    at: ({ file }) => {
      let mapped: Plain = false
      return {
        lock_page: (original, { args: [slot] }) =>
          Effect.gen(function* () {
            mapped = yield* step(
              "page_mapped, unlocked",
              [Number(slot)],
              () => (file.hugePages.slots[Number(slot)]?.mapcount ?? 0) > 0,
            )
            yield* original
          }),
        page_mapped: () => Effect.sync(() => mapped),
      }
    },
  },
  {
    id: "hugetlb-shared-on-its-way-out",
    title: "a page table is still to be shared whose process is unmapping it",
    source: "commit d833352a4338: mm: hugetlbfs: close race during teardown of hugetlbfs shared page tables",
    scenario: migrateAndTake.id,
    breaks: "HUGETLB-SHARERS",
    at: () => ({ __unmap_hugepage_range_final: leaveOut() }),
  },
  {
    id: "hugetlb-migration-keeps-old-page",
    title: "migration does not put the reference by which it kept the page that it moved",
    source: "mm/migrate.c: unmap_and_move_huge_page, putback_active_hugepage",
    scenario: migrate.id,
    breaks: "HUGETLB-NO-LEAK",
    at: () => ({ put_page: leaveOut() }),
  },
  {
    id: "hugetlb-mapped-by-cleared-entry",
    title: "migration clears the entry of a page, which stays counted as mapped",
    source: "mm/rmap.c: try_to_migrate_one, page_remove_rmap",
    scenario: migrateAndTake.id,
    breaks: "HUGETLB-MAPCOUNT",
    at: ({ file }) => ({
      "try_to_migrate_one: huge_ptep_clear_flush": changeBody(({ body }) => {
        const counts = file.hugePages.slots.map(({ mapcount }) => mapcount)
        body()
        for (const [index, page] of file.hugePages.slots.entries()) page.mapcount = counts[index] ?? 0
      }),
    }),
  },
  {
    id: "hugetlb-announcement-does-not-end",
    title: "who unmaps a shared page table does not say when it is done: devices map nothing there any more",
    source: "Documentation/mm/mmu_notifier.rst; mm/hugetlb.c: __unmap_hugepage_range",
    scenario: unmap.id,
    breaks: "HUGETLB-ANNOUNCED-ENDS",
    at: () => ({ mmu_notifier_invalidate_range_end: leaveOut() }),
  },
  {
    id: "hugetlb-fault-looks-before-lock",
    title: "a fault looks for the area before it has mmap_lock, and maps what munmap has given up meanwhile",
    source: "mm/hugetlb.c: hugetlb_fault; mm/mmap.c: munmap",
    scenario: unmap.id,
    breaks: "HUGETLB-NO-AREA-NO-TABLE",
    at: (_, fiber) => (fiber === "cpu0" ? moveBehind("mmap_read_lock", "find_vma") : {}),
  },
  {
    id: "hugetlb-faults-without-mutex",
    title: "faults do not take the fault mutex: the second one for a hole finds the pool empty",
    source: "mm/hugetlb.c: hugetlb_fault (Serialize hugepage allocation and instantiation); by inference",
    scenario: fill.id,
    breaks: "HUGETLB-FILLED",
    at: () => ({ mutex_lock: leaveOut(), mutex_unlock: leaveOut() }),
  },
  {
    id: "hugetlb-migration-not-waited-for",
    title: "a fault that meets a page on the move does not wait: it takes the fault again and again until that is over",
    source: "commit 30dad30922cc: mm: migration: add migrate_entry_wait_huge()",
    scenario: migrate.id,
    breaks: "HUGETLB-MIGRATION-WAIT",
    at: () => ({ migration_entry_wait_huge: leaveOut() }),
  },
  {
    id: "hugetlb-migration-leaves-mapped",
    title:
      "migration passes over a process that has the page table to itself: the page stays mapped there, and is not moved",
    source: "mm/rmap.c: try_to_migrate_one, huge_ptep_clear_flush; by inference",
    scenario: migrate.id,
    breaks: "HUGETLB-MIGRATION-UNMAPS",
    at: () => ({ "try_to_migrate_one: huge_ptep_clear_flush": leaveOut() }),
  },
]
