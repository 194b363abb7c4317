/** Seeded bugs of the 2008 notifiers: a lock that is not taken, and what has to be done in the end and is not. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, moveBehind, type SeededBug, self, step } from "../../../checker/index.ts"
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
    id: "n08-munmap-unlocked",
    title: "munmap takes areas away without mmap_sem",
    source: "mm/mmap.c (2.6.24): sys_munmap, by inference",
    scenario: counter.id,
    bound: { pages: 1, invalidations: 1, devices: 1 },
    breaks: "N08-AREA-LOCKED",
    at: () => ({ "down_write(mmap_sem)": leaveOut(), "up_write(mmap_sem)": leaveOut() }),
  },
  {
    id: "n08-callback-behind-section",
    title: "a callback is put off until the read section in which its notifier was found has ended",
    source: `${m4}: the macro mmu_notifier, by inference`,
    scenario: unregisterCounter.id,
    bound: { madvise: 0 },
    breaks: "N08-CB-CONTEXT",
    at: () => moveBehind("gru_invalidate_page", "hlist_for_each_entry_rcu"),
  },
  {
    id: "n08-dirty-asked-too-early",
    title: "a driver looks whether the other partition has stored before that has let go of the page",
    source: `${m4}: "Pages must be marked dirty if dirty bits are found to be set in the external ptes during unmap.", by inference`,
    scenario: reclaim.id,
    bound: { counters: 0, rangeLists: 1, madvise: 1 },
    breaks: "MIRROR-DIRTY",
    at: ({ rangeLists }) => ({
      xpmem_clear_range: (original, operation) => {
        const entries = rangeLists.find(({ name }) => name === operation.args[0])?.pageTable ?? []
        const asked = step("xpmem_pte_dirty", operation.args, () => entries.map(({ value }) => value?.dirty === true))
        return Effect.flatMap(asked, (dirty) =>
          changeBody(({ body }) => {
            entries.forEach((entry, va) => {
              if (entry.value !== null) entry.value = { ...entry.value, dirty: dirty[va] === true }
            })
            return body()
          })(original, operation),
        )
      },
    }),
  },
  {
    id: "n08-madvise-keeps-lock",
    title: "madvise returns without unlocking mmap_sem",
    source: "mm/madvise.c (2.6.24): sys_madvise, by inference",
    scenario: counter.id,
    bound: { pages: 1, invalidations: 1, devices: 1 },
    breaks: "N08-QUIET",
    at: () => ({ "up_read(mmap_sem)": leaveOut() }),
  },
  {
    id: "n08-dirty-marked-too-late",
    title: "a driver lets go of a page, and then marks it dirty: it may be free by then",
    source: `${m4}: "Pages must be marked dirty if dirty bits are found to be set in the external ptes during unmap.", by inference`,
    scenario: unregisterCounter.id,
    bound: { madvise: 0 },
    breaks: "N08-FREE-CLEAN",
    at: ({ machine: { folios } }) => ({
      gru_detach: (original) =>
        Effect.andThen(
          original,
          step("set_page_dirty", () => {
            for (const slot of folios.arena.slots) slot.dirty = true
          }),
        ),
    }),
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
