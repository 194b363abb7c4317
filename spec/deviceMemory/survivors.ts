import type { Survivors } from "../../checker/index.ts"

/** Why mutants of the steps of device memory survive. */
export const deviceMemorySurvivors: Survivors = {
  "open-guard softleaf_entry_wait_on_locked":
    "who does not wait faults again, and until the page is unlocked finds it locked: whether that comes to an end protocol device/live asks (L-FAULT-PRIV)",
  "swap mmu_interval_set_seq | gpu_unmap":
    "the driver's lock is held, under which the sequence is asked before anything is mapped",
  "swap folio_unlock, folio_put | mn_itree_inv_end":
    "the entry is back before either: whoever wants to change it again waits for the page's lock, and a device that faults, for the end of the announcement",
}
