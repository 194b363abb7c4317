import type { Survivors } from "../../checker/index.ts"

/** Why mutants of the steps of device memory survive. */
export const deviceMemorySurvivors: Survivors = {
  "open-guard softleaf_entry_wait_on_locked":
    "who does not wait faults again, and until the page is unlocked finds it locked: whether that comes to an end protocol device/live asks (L-FAULT-PRIV)",
  "open-guard do_swap_page: trylock_page":
    "who has the page table's lock from one step to the next has taken the entry away, so that it is not the one that was read and the fault comes again, or has mmap_lock for itself, as mremap",
  "swap mmu_interval_set_seq | gpu_unmap":
    "the driver's lock is held, under which the sequence is asked before anything is mapped",
  "swap migrate_device_pfn_lock: folio_put | mmget_not_zero":
    "no process exits where an eviction finds a page locked, so that becoming a user commutes with whatever others do: the budget of --states 150000 proves it",
  "swap folio_lock | migrate_device_unmap: folio_isolate_lru":
    "a device's page is on no LRU list, and is only asked whether it is mapped: where it no longer is the walk, under the page's lock, finds nothing, and what is mapped again since is found by migrate_vma_check_page, and stays",
  "swap folio_unlock, folio_put | mn_itree_inv_end":
    "the entry is back before either: whoever wants to change it again waits for the page's lock, and a device that faults, for the end of the announcement",
  "open-guard make_device_exclusive: ptep_clear_flush":
    "who holds the page table's lock for more than a step has cleared the entry, so that the fault is taken again, or has mmap_lock for writing, as fork and mremap",
}
