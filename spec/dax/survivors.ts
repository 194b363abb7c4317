import type { Survivors } from "../../checker/index.ts"

const invalidateLock = "the invalidate lock is held for writing, without which nobody faults and nobody else truncates"
const later = "that a lock is given up a step later is seen by nobody"
const pinned =
  "who has pinned the block drops its pin without the lock: to let faults in meanwhile is for their sake alone"
const overwritten = "a store of the model is to the whole page: what was copied under it is seen by nobody"
const noted = "what comes in a step of its own is the record that the properties keep of it"

/** Why mutants of DAX's steps survive. */
export const daxSurvivors: Survivors = {
  "swap i_mmap_unlock_read | dax_busy_page": later,
  "swap i_mmap_unlock_read | xfs_bunmapi": later,
  "swap i_mmap_unlock_read | vmf_insert_page_mkwrite": later,
  "swap dax_unlock_entry | filemap_invalidate_unlock_shared": later,
  "swap dax_delete_mapping_entry | i_size_write": invalidateLock,
  "swap dax_delete_mapping_entry | xfs_bunmapi": invalidateLock,
  "split dax_delete_mapping_entry": invalidateLock,
  "split dax_busy_page": noted,
  "split xfs_bunmapi": invalidateLock,
  "swap xfs_wait_dax_page: filemap_invalidate_unlock | xfs_wait_dax_page: schedule": pinned,
  "swap xfs_wait_dax_page: schedule | xfs_wait_dax_page: filemap_invalidate_lock": pinned,
  "leave-out dax_fault_cow_page: copy_cow_page_dax": overwritten,
  "swap dax_fault_cow_page: copy_cow_page_dax | finish_fault": overwritten,
  "split dax_fault_cow_page: copy_cow_page_dax": overwritten,
  "split wait_page_idle: dax_page_is_idle": "blocks are looked at once more when the waiter has the lock again",
  "split dax_insert_entry": "the entry is locked, which keeps other faults out, and the invalidate lock truncation",
  "split vmf_insert_mixed": "only the process itself inserts there, and who removes is kept out by the invalidate lock",
  "wake-early vmf_insert_page_mkwrite":
    "the locks of the page table and of the invalidation keep out who takes entries away; who pins without locks begins at the entry",
  "wake-early dax_unlock_entry": noted,
}
