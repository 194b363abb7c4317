/** Seeded bugs of reclaim, and of the OOM reaper. */
import { leaveOut, moveBehind, type SeededBug } from "../../../checker/index.ts"
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
  {
    id: "oom-reaper-does-not-say",
    title: "the OOM killer is not told that the OOM reaper is through, and waits for the process to end by itself",
    source: "mm/oom_kill.c: oom_reap_task (Hide this mm from OOM killer)",
    scenario: "mm/pairs/store+oom-reap",
    bound: alone,
    breaks: "OOM-SKIP",
    at: () => ({ "oom_reap_task: set_bit(MMF_OOM_SKIP)": leaveOut() }),
  },
]
