import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of GRU survive. */
export const gruSurvivors: Survivors = {
  "swap tgh_invalidate | try_to_unmap_one: ptep_get_and_clear":
    "reclaim defers its own flush only where the process runs on two CPUs, which is beyond the budget: until that flush the page is nobody else's, and the GRU's TLB is flushed before it",
  "split tgh_invalidate":
    "a fault that is read between the halves finds the invalidation counted; one elsewhere that is made void with it comes again",
}
