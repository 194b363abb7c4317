/** The order in which the core takes its locks. */
import { lockOrder } from "../../../checker/index.ts"
import type { Spec } from "./places.ts"

/** Those of the locks of mm/rmap.c's list that are modelled, and in its order. */
const lockOrdering = ["i_rwsem", "mmap_lock", "invalidate_lock", "folio_lock", "i_mmap_rwsem", "anon_vma", "pte_lock"]

export const lockProperties: ReadonlyArray<Spec> = [
  lockOrder(lockOrdering, "mm/rmap.c: Lock ordering in mm", "MM-LOCK-ORDER", ["pte_lock"]),
]
