/** Seeded bugs of reclaim, and of the OOM reaper. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, moveBehind, type SeededBug, step } from "../../../checker/index.ts"
import { at } from "../../../model/mm/range.ts"
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
  {
    id: "pageout-unlocks-first",
    title: "reclaim unlocks a page before it makes it clean and puts it under writeback",
    source: "mm/vmscan.c: pageout; mm/page-writeback.c: folio_clear_dirty_for_io; by inference",
    scenario: "mm/pairs/store+reclaim",
    bound: alone,
    breaks: "WRITEBACK-LOCKED",
    at: ({ folios }) => ({
      pageout: (original, { args }) => {
        const unlocks = step("folio_unlock", args, () => {
          at(folios.arena.slots, Number(args[0])).lock = ""
        })
        return Effect.andThen(unlocks, original)
      },
    }),
  },
  {
    id: "lru-behind-the-put",
    title: "reclaim gives back its reference to a page that it leaves alone, and puts the page on the LRU then",
    source: "mm/vmscan.c: folio_putback_lru; by inference",
    scenario: "mm/pairs/munmap+reclaim",
    bound: alone,
    breaks: "FREE-CLEAN",
    at: ({ folios }) => ({
      folio_putback_lru: (original, operation) => {
        const folio = at(folios.arena.slots, Number(operation.args[0]))
        const puts = changeBody(({ body }) => {
          body()
          folio.lru = false
        })
        const adds = step("folio_add_lru", operation.args, () => {
          folio.lru = true
        })
        return Effect.andThen(puts(original, operation), adds)
      },
    }),
  },
]
