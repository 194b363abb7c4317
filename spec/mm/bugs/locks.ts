/** Seeded bugs of locks that are taken or given back in the wrong order: they need not deadlock to be found. */
import * as Effect from "effect/Effect"
import { changeBody, type SeededBug } from "../../../checker/index.ts"
import { mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import type { MmWorld } from "../world.ts"
import { alone } from "./instead.ts"

export const lockBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "rmap-walk-waits-for-mmap-lock",
    title: "who walks to the entries of a folio that it has locked waits for mmap_lock",
    source: "mm/rmap.c: Lock ordering in mm; Linux 3.9, mm/rmap.c: try_to_unmap_cluster, which only tries the lock",
    scenario: "mm/pairs/fork+reclaim",
    bound: alone,
    breaks: "MM-LOCK-ORDER",
    at: ({ parent }) => ({
      rmap_walk: (original) =>
        Effect.andThen(
          mmapReadLock(parent),
          Effect.tap(original, () => mmapReadUnlock(parent)),
        ),
    }),
  },
  {
    id: "areas-stay-locked",
    title: "mmap_lock is given back and the locks of the areas are kept: faults find them taken",
    source: "include/linux/mmap_lock.h: vma_end_write_all in mmap_write_unlock; by inference",
    scenario: "mm/pairs/load+mprotect",
    bound: alone,
    breaks: "AREA-WRITE-LOCKED",
    at: ({ parent }) => ({
      mmap_write_unlock: changeBody(() => {
        parent.mmapLock.state.writer = ""
      }),
    }),
  },
]
