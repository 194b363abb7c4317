import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of nouveau's shared virtual memory survive. */
export const nouveauSurvivors: Survivors = {
  "swap nouveau_svmm_invalidate_range_start: -EAGAIN | hlist_for_each_entry_srcu":
    "the first of the two says that the callback refuses, and changes nothing",
}
