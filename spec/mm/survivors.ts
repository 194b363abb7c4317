import type { Survivors } from "../../checker/index.ts"

const nextPlace = "each entry is none until it is set, under the lock of its own page table, which is held for so long"
const longerWindow = "a window that begins earlier bars what it is to bar, and more"
const wokenLater =
  "who waits for the end of an invalidation is woken a step later; the sequence says before that it is over"
const keptUntilFlush =
  "what was gathered keeps its reference until the TLBs are flushed, wherever that comes behind the clearing"
const dirtyBooks =
  "a reference keeps the page from being freed or moved, whoever has it locked; what the lock is for, the file's accounting of dirty pages, is not modelled"
const oneProcess =
  "where somebody waits for it, in the parent, the first of the two steps is all of it; in the child nobody but the child itself changes areas"
const givenBack =
  "what is given back was unmapped and flushed before: nobody reaches it, whichever lock is dropped first"

/** Why mutants of the core's steps survive. */
export const mmSurvivors: Survivors = {
  "leave-out exit_mm": "what the CPU keeps of the address space is flushed before a page of it is freed",
  "leave-out enter_lazy_tlb":
    "a CPU that does not say that it is lazy is interrupted for flushes that it could do without",
  "swap try_to_unmap_one: folio_test_dirty | try_to_unmap_one: ptep_get_and_clear": nextPlace,
  "swap khugepaged_exit | mn_itree_inv_start_range": longerWindow,
  "swap wake_up_all | tlb_finish_mmu": wokenLater,
  "swap wake_up_all | mmap_read_unlock": wokenLater,
  "swap wake_up_all | collapse_pte_mapped_thp: folio_unlock": wokenLater,
  "swap filemap_invalidate_lock | i_size_write":
    "who faults in between finds the size that is coming; who has looked at the one before maps what is unmapped with the rest",
  "swap tlb_finish_mmu | i_mmap_unlock_read": keptUntilFlush,
  "swap tlb_finish_mmu | zap_pte_range": keptUntilFlush,
  "swap ptep_modify_prot_commit | tlb_finish_mmu":
    "the flush is of what the entry was before: it is none until it is committed, under its lock, and no TLB fills from it",
  "swap tlb_remove_table | mmap_write_unlock": givenBack,
  "swap free_pages_and_swap_cache | tlb_remove_table": givenBack,
  "swap free_pages_and_swap_cache | mmap_read_unlock": givenBack,
  "swap free_unref_folios | mmap_read_unlock": givenBack,
  "swap migrate_folio_done | folio_putback_lru":
    "the old page is left by all and the new one is mapped: which of the two is unlocked and put first makes no difference to those who wait for either",
  "swap folio_end_writeback | pageout: folio_trylock":
    "reclaim meets its own writeback and leaves the page where it is, as it may with any",
  "swap filemap_invalidate_unlock_shared | mmap_read_unlock":
    "both are given back, one right behind the other: nobody who waits for one of them holds the other; with --states 500000 the mutant is proved to do the same",
  "swap tlb_remove_table_sync_one | __collapse_huge_page_isolate":
    "who walks without locks looks a second time at the entry of the upper level, which is none by then, and gives its reference back (70cbc3cc78a9); the page table is freed behind the wait all the same",
  "swap raw_write_seqcount_end | flush_tlb_mm":
    "all entries are write-protected by then: what the flush takes is filled as it is to be, and who would pin without locks goes the slow way for a step longer",
  "split set_page_dirty_lock": dirtyBooks,
  "split ptep_modify_prot_commit":
    "the entry is none, under its page table's lock: nobody changes it between the reading and the writing",
  "split move_ptes":
    "the new place is empty, so that who takes its lock in between finds nothing, and the old page table's lock is held",
  "split flush_tlb_func":
    "the interrupt runs on the CPU for which it stands: nothing that this CPU does comes in between, and what others do makes it no more than late",
  "split switch_mm_irqs_off":
    "interrupts are off, and what is read is the CPU's own: others see no more than that it has not begun yet",
  "split __remove_mapping":
    "the references are frozen: nobody can store to the page, or find it in the cache, between the look at the dirty bit and the removal",
  "wake-early folio_alloc_swap":
    "add_to_swap_cache takes its references first, too; no entry leads to the slot yet, and who looks at the slot leaves a locked page alone, but for MADV_FREE, whose mark reclaim takes back, as the page is dirty then",
  "wake-early ptep_set_access_flags: flush_tlb_page":
    "the entry has only got more rights: a device that has it with fewer goes on with those until the flush, and a flush too many takes nothing from anybody",
  "wake-early lock_vma_under_rcu": oneProcess,
  "wake-early vma_end_read": oneProcess,
}
