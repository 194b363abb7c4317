/** Seeded bugs of the 2008 notifiers: a lock that is not taken, and what has to be done in the end and is not. */
import { changeBody, leaveOut, type SeededBug, self } from "../../../checker/index.ts"
import { counter, rangeList, reclaim, unregisterCounter } from "./scenarios.ts"
import type { World2008 } from "./world.ts"

const m4 = "Lameter, Morton: Re: [patch 1/6] mmu_notifier: Core code, LKML 16 February 2008"

export const omissions: ReadonlyArray<SeededBug<World2008>> = [
  {
    id: "n08-walk-without-rcu",
    title: "the list is walked outside rcu_read_lock, and a notifier is freed while its callback runs",
    source: `${m4}: "should the rcu_read_lock() cover the hlist_empty() test?"; the macro mmu_notifier`,
    scenario: unregisterCounter.id,
    bound: { madvise: 0 },
    breaks: "N08-NO-CB-AFTER-FREE",
    at: ({ machine: { readers } }) => ({
      rcu_read_lock: changeBody(({ body }) => {
        const first = body()
        readers.rcu = readers.rcu.filter((name) => name !== self())
        return first
      }),
    }),
  },
  {
    id: "n08-truncate-leaves-cache",
    title: "truncation unmaps what is behind the new end of the file, and leaves it in the page cache",
    source: "mm/memory.c (2.6.24): vmtruncate, by inference",
    scenario: counter.id,
    bound: { pages: 1, invalidations: 1, devices: 1 },
    breaks: "N08-GONE",
    at: () => ({ truncate_complete_page: leaveOut() }),
  },
  {
    id: "n08-deferred-never-taken-back",
    title: "what a driver may not sleep for in a truncation is put off, and never done: the page is not freed",
    source: `${m4}: "A driver can use that mechanism to f.e. delay the freeing of the pages during truncate until no locks are held."`,
    scenario: rangeList.id,
    bound: { pages: 1, invalidations: 1, devices: 1 },
    breaks: "N08-NO-LEAK",
    at: () => ({ xpmem_clear_deferred: leaveOut() }),
  },
  {
    id: "n08-unregister-unlocked",
    title: "a driver unregisters without mmap_sem",
    source: "Lameter: mmu_notifier: Core code, LKML 2008: mmu_notifier_unregister, by inference",
    scenario: unregisterCounter.id,
    bound: { madvise: 0 },
    breaks: "N08-LIST-LOCKED",
    at: () => ({ "down_write(mmap_sem)": leaveOut() }),
  },
  {
    id: "n08-rmap-unlocked",
    title: "reclaim walks the reverse map of a page without i_mmap_lock",
    source: "mm/rmap.c (2.6.24): try_to_unmap_file, by inference",
    scenario: reclaim.id,
    bound: { counters: 1, rangeLists: 0, madvise: 0 },
    breaks: "N08-RMAP-LOCKED",
    at: () => ({ "spin_lock(i_mmap_lock)": leaveOut() }),
  },
]
