import type { Survivors } from "../../checker/index.ts"

const announced = "what is announced earlier, or until later, is announced"

/** Why mutants of huge pages of shared page tables survive. */
export const hugetlbSurvivors: Survivors = {
  "swap i_mmap_lock_write | mmu_notifier_invalidate_range_start": announced,
  "swap free_pages_and_swap_cache | i_mmap_unlock_write":
    "the pages are in no page table and no TLB: when they are given back is seen by nobody",
  "split remove_migration_pte":
    "an entry that is being migrated is left alone by everybody else, and i_mmap_rwsem keeps out who would take its table away",
  "lose-wake-up put_page": "the page is free, and whoever gets it finds it unlocked",
}
