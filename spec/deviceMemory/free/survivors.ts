import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of freeing survive. */
export const deviceFreeSurvivors: Survivors = {
  "open-guard dmirror_devmem_free":
    "the list is changed in one step, which the lock makes it in the kernel; an allocator that holds the lock has chosen its pages already",
}
