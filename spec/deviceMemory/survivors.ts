import type { Survivors } from "../../checker/index.ts"

/** Why mutants of the steps of device memory survive. */
export const deviceMemorySurvivors: Survivors = {
  "swap mmu_interval_set_seq | gpu_unmap":
    "the driver's lock is held, under which the sequence is asked before anything is mapped",
  "swap folio_unlock, folio_put | mn_itree_inv_end":
    "the entry is back before either: whoever wants to change it again waits for the page's lock, and a device that faults, for the end of the announcement",
}
