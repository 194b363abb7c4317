import type { Survivors } from "../../../checker/index.ts"

const unseen = "nobody has a reference to the folio while it is freed, so nobody looks between the two steps"

/** Why mutants of the steps of freeing survive. */
export const deviceFreeSurvivors: Survivors = {
  "swap mem_cgroup_uncharge | __ClearPageAnonExclusive": unseen,
  "swap spin_unlock | folio_add_new_anon_rmap":
    "the folio is its new owner's alone and locked: whether the allocator's lock is given up before it is mapped is seen by nobody",
  "swap folio_add_new_anon_rmap | folio_put":
    "the last reference goes first, and what the mapping leaves in the folio is there when its freeing begins and clears it",
  "open-guard dmirror_devmem_free":
    "the list is changed in one step, which the lock makes it in the kernel; an allocator that holds the lock has chosen its pages already",
}
