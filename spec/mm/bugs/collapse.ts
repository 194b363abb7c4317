/** Seeded bugs of khugepaged, and of those who meet it. */
import * as Effect from "effect/Effect"
import { changeBody, changeGuard, leaveOut, moveBehind, type SeededBug } from "../../../checker/index.ts"
import { ungrab } from "../../../model/mm/gup.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { notifierRange } from "../../../model/notifier/events.ts"
import { mmuNotifierInvalidateRangeStart } from "../../../model/notifier/invalidate.ts"
import { zoo } from "../../bugZoo.ts"
import { collapseAlone, collapseTwoPages } from "../scenarios/collapse.ts"
import type { MmWorld } from "../world.ts"
import { alone } from "./instead.ts"

/** Nobody waits for those who walk without locks: on this hardware the flush of the TLBs is no interrupt. */
const noWalkerSync = { tlb_remove_table_sync_one: leaveOut(), pte_free_defer: changeGuard() }

export const collapseBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "gup-fast-vs-thp-collapse",
    title:
      "pinning without locks looks a second time at the entry only, not at what led to its page table; and the flush is no interrupt",
    source: "commit 70cbc3cc78a9: mm: gup: fix the fast GUP race against THP collapse",
    references: zoo(23),
    scenario: "mm/pairs/pin-fast-write+collapse",
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: ({ system, folios, parent }) => ({
      ...noWalkerSync,
      "gup_fast_pte_range: recheck": changeBody(({ args }) => {
        const page = mappedPage(at(parent.pte, Number(args[1])).value)
        if (page?.pfn === args[2]) return true
        const { index, generation } = at(folios.arena.slots, Number(args[2]))
        ungrab(system, { pfn: index, generation }, true)
        return false
      }),
    }),
  },
  {
    id: "collapse-frees-table-under-walker",
    title: "khugepaged frees and reuses a page table without waiting for those who walk without locks",
    source: "commit 2ba99c5e0881: mm/khugepaged: fix GUP-fast interaction by sending IPI",
    references: zoo(89),
    scenario: "mm/pairs/pin-fast-read+collapse",
    bound: alone,
    breaks: "PT-NO-WALKER",
    at: () => noWalkerSync,
  },
  {
    id: "collapse-scans-before-lock",
    title: "khugepaged looks for an area before it has mmap_lock, under which areas are not freed",
    source: "mm/khugepaged.c: khugepaged_scan_mm_slot, mmap_read_trylock; by inference",
    scenario: "mm/pairs/load+collapse",
    bound: alone,
    breaks: "AREA-LOCKED",
    at: (_, fiber) => (fiber.startsWith("khugepaged") ? moveBehind("mmap_read_lock", "hpage_collapse_scan_pmd") : {}),
  },
  {
    id: "collapse-without-notifier",
    title: "khugepaged takes away the page table of a file's huge page and tells no notifier",
    source: "CVE-2022-48991; commit f268f6cf875f: mm/khugepaged: invoke MMU notifiers in shmem/file collapse paths",
    references: zoo(31),
    scenario: collapseAlone.id,
    breaks: "MIRROR-AGREE",
    at: () => ({
      mn_itree_inv_start_range: (original, { args }) =>
        args[4] === "collapse_pte_mapped_thp" ? Effect.succeed({ seq: 0, first: null }) : original,
      mn_itree_inv_end: (original, { args }) =>
        args[4] === "collapse_pte_mapped_thp" ? Effect.succeed(false) : original,
    }),
  },
  {
    id: "collapse-announces-one-page",
    title: "what is announced is the page that it came for; what changes is all that the page table maps",
    source: "mm/khugepaged.c: collapse_huge_page, the range of mmu_notifier_range_init; by inference",
    scenario: collapseTwoPages.id,
    bound: { devices: 1 },
    breaks: "ZAP-IN-WINDOW",
    at: ({ parent }) => ({
      mn_itree_inv_start_range: (original, { args }) => {
        if (args[4] !== "collapse_huge_page") return original
        const narrow = { start: Number(args[2]) - 1, end: Number(args[2]) }
        const started = mmuNotifierInvalidateRangeStart(
          parent.subscriptions,
          notifierRange("CLEAR", "collapse_huge_page", narrow),
        )
        return Effect.as(started, { seq: 0, first: null })
      },
    }),
  },
  {
    id: "collapse-gives-up-without-populating",
    title: "khugepaged, which cannot have all pages, leaves the upper level without the page table that it took away",
    source: "mm/khugepaged.c: collapse_huge_page (pmd_populate when isolating fails)",
    scenario: "mm/pairs/pin-fast-read+collapse",
    bound: alone,
    breaks: "PT-NO-LEAK",
    at: () => ({ "collapse_huge_page: pmd_populate": leaveOut() }),
  },
  {
    id: "collapse-without-anon-vma-lock",
    title: "khugepaged does not keep reverse mapping out: the end of a migration does not find the page table",
    source: "mm/khugepaged.c: collapse_huge_page (anon_vma_lock_write); mm/rmap.c: Lock ordering in mm",
    scenario: "mm/pairs/migrate+collapse",
    bound: alone,
    breaks: "MIG-RESTORE",
    at: () => ({ anon_vma_lock_write: leaveOut(), anon_vma_unlock_write: leaveOut() }),
  },
  {
    id: "exit-beside-collapse",
    title: "the end of an address space does not wait for khugepaged, which works on its page tables",
    source: "mm/khugepaged.c: __khugepaged_exit (mmap_write_lock and mmap_write_unlock)",
    scenario: "mm/pairs/exit+collapse",
    bound: alone,
    breaks: "EXIT-AFTER-COLLAPSE",
    at: () => ({ khugepaged_exit: leaveOut() }),
  },
]
