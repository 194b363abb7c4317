/** Seeded bugs of reclaim: pages that are written and freed while somebody still stores to them. */
import { moveBehind, type SeededBug } from "../../../checker/index.ts"
import type { MmWorld } from "../world.ts"
import { alone } from "./instead.ts"

export const reclaimBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "pageout-before-dirty-flush",
    title: "a page is written while a CPU may still store to it through a translation that is dirty already",
    source: "commit d950c9477d51: mm: defer flush of writable TLB entries; mm/vmscan.c: shrink_folio_list",
    scenario: "mm/pairs/store+reclaim",
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: () => moveBehind("try_to_unmap_flush_dirty", "pageout"),
  },
]
