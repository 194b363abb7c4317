import type { Survivors } from "../../checker/index.ts"

const nothingStored = "that a device, or a debugger, stores nothing to what it has got is allowed"
const overwritten = "a store of the model is to the whole page: what was copied under it is seen by nobody"
const asked =
  "nobody here looks whether it did what it was called for: what calls come to is compared with a kernel (test/fidelity)"
const hardware = "what the hardware may do of its own accord it need not do"
const insideLock =
  "who holds a page table's lock for more than a step has cleared the entry, or, as fork and khugepaged, keeps faults and pins out by mmap_lock and the areas' locks"

/** Why mutants of the core's steps survive. */
export const mmSurvivors: Survivors = {
  "leave-out dma_write": nothingStored,
  "leave-out __access_remote_vm: copy_to_user_page": nothingStored,
  "leave-out dma_map_page (long-term)": "the step is one for the properties: they learn from it what the pin is for",
  "leave-out do_cow_fault: copy_mc_user_highpage": overwritten,
  "leave-out vma_set_page_prot": asked,
  "leave-out ext4_ext_remove_space": asked,
  "leave-out exit_mm": "what the CPU keeps of the address space is flushed before a page of it is freed",
  "leave-out arm_smmu_mm_release":
    "what a device has cached of the upper levels is not modelled: one that still is bound finds page tables unlinked, and every flush reaches it",
  "leave-out enter_lazy_tlb":
    "a CPU that does not say that it is lazy is interrupted for flushes that it could do without",
  "leave-out hardware walk: pmd": hardware,
  "drop-lock mmap_read_lock(child) by child#": "nobody but the child itself takes its mmap_lock for write",
  "drop-lock filemap_invalidate_lock(file) by ftruncate#":
    "the size is changed first, and a page is added to the cache within it only: the lock is for holes, of which the size tells nothing",
  "open-guard do_wp_page": insideLock,
  "open-guard wp_page_copy: ptep_clear_flush": insideLock,
  "open-guard follow_page_pte": insideLock,
  "open-guard set_page_dirty_lock":
    "a reference keeps the page from being freed or moved, whoever has it locked; what the lock is for, the file's accounting of dirty pages, is not modelled",
  "open-guard remove_migration_pte":
    "a migration entry is cleared by nobody else while its folio is locked, and who changes its rights does so in one step",
  "open-guard folio_referenced_one":
    "it takes away no more than the accessed bit, by which reclaim decides whether it tries, not whether it may: an entry that somebody has cleared for a moment counts as not used, one that fork writes back as used",
  "open-guard collapse_pte_mapped_thp: check entries":
    "the entries are looked at once more, under the lock, before one is cleared; where one does not fit it gives up",
  "open-guard migration_entry_wait": "who does not wait takes the fault again, until the entry is there",
  "lose-wake-up pageout: folio_trylock":
    "whoever locks a folio has a reference, and of a folio that somebody refers to the references cannot be frozen",
}
