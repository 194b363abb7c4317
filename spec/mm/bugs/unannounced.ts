/**
 * Every announcement to the notifier is there for a reason: without any one of them, some scenario breaks. Made from
 * the list of all functions that announce a range; one that is added to the model is missing here until it is said
 * where its silence shows.
 */
import * as Effect from "effect/Effect"
import type { Operation, Replacement, SeededBug } from "../../../checker/index.ts"
import type { NotifierCaller } from "../../../model/notifier/events.ts"
import type { MmWorld } from "../world.ts"

/** Where it shows that a function says nothing, and as what. What PAGEMAP_SCAN says is checked with a driver (spec/driver/gru), what a split says with huge pages in a mirror (spec/hmm/huge). */
const shows: {
  readonly [caller in Exclude<NotifierCaller, "do_pagemap_scan" | "__split_huge_pmd">]: Pick<
    SeededBug<MmWorld>,
    "scenario" | "breaks"
  >
} = {
  unmap_vmas: { scenario: "mm/pairs/munmap+munmap", breaks: "MIRROR-NO-UAF" },
  zap_page_range_single: { scenario: "mm/pairs/madvise-dontneed+madvise-dontneed", breaks: "MIRROR-NO-UAF" },
  // The page stays; what the device stores to it from then on is not seen to be dirty, and dropped.
  madvise_free_single_vma: { scenario: "mm/pairs/madvise-free+reclaim", breaks: "COW-NO-LEAK" },
  unmap_mapping_range: { scenario: "mm/pairs/truncate+truncate", breaks: "MIRROR-NO-UAF" },
  __oom_reap_task_mm: { scenario: "mm/pairs/oom-reap+oom-reap", breaks: "MIRROR-NO-UAF" },
  wp_page_copy: { scenario: "mm/pairs/store+store", breaks: "MIRROR-AGREE" },
  copy_page_range: { scenario: "mm/pairs/load+fork", breaks: "MIRROR-AGREE" },
  change_protection: { scenario: "mm/pairs/mprotect+mprotect", breaks: "MIRROR-PERM" },
  change_prot_numa: { scenario: "mm/pairs/numa-hint+numa-hint", breaks: "MIRROR-AGREE" },
  // mremap forgets to notify of the old range.
  move_page_tables: { scenario: "mm/pairs/mremap+mremap", breaks: "MIRROR-AGREE" },
  try_to_unmap_one: { scenario: "mm/pairs/reclaim+reclaim", breaks: "MIRROR-NO-UAF" },
  try_to_migrate_one: { scenario: "mm/pairs/migrate+migrate", breaks: "MIRROR-NO-UAF" },
  page_mkclean_one: { scenario: "mm/pairs/writeback+writeback", breaks: "ZAP-DIRTY-KEPT" },
  collapse_huge_page: { scenario: "mm/pairs/collapse+collapse", breaks: "MIRROR-NO-UAF" },
  // The page stays in the file's cache.
  collapse_pte_mapped_thp: { scenario: "mm/pairs/collapse+collapse", breaks: "MIRROR-AGREE" },
  mn_itree_release: { scenario: "mm/pairs/exit+child-exit", breaks: "NOTIFIER-RELEASE-BEFORE-FREE" },
}

/** The announcements of one function are left out: nobody is called, and nothing is to be ended. */
const silent =
  (caller: string, result: null | false): Replacement =>
  (original, operation) =>
    announcer(operation) === caller ? Effect.succeed(result ?? { seq: 0, first: null }) : original

/** Who announces: the fifth argument of the notifier's steps. */
const announcer = ({ args }: Operation): unknown => args[4]

export const unannounced: ReadonlyArray<SeededBug<MmWorld>> = Object.entries(shows).map(
  ([caller, { scenario, breaks }]) => ({
    id: `unannounced-${caller}`,
    title: `${caller} does not tell the notifier`,
    source: "Documentation/mm/mmu_notifier.rst; commit f268f6cf875f (mm/khugepaged: invoke MMU notifiers)",
    scenario,
    breaks,
    at: () => ({ mn_itree_inv_start_range: silent(caller, null), mn_itree_inv_end: silent(caller, false) }),
  }),
)
