/** Seeded bugs of pins, with locks and without, against fork, reclaim and migration. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeResult,
  guardedStep,
  leaveOut,
  type Replacement,
  type SeededBug,
} from "../../../checker/index.ts"
import { folioOf, folioPut, maybePinned } from "../../../model/mm/folio.ts"
import { pageTableLock } from "../../../model/mm/mm.ts"
import { mappedPage, type Present } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon, removeRmap } from "../../../model/mm/rmap.ts"
import { isFree, release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { forkAndFault, forkAndPin, lazyFree, recycledPage } from "../scenarios/races.ts"
import type { MmWorld } from "../world.ts"
import { alone, blindToPins, placeOf } from "./instead.ts"

export const pinBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "gup-fast-vs-fork",
    title: "fork does not say that it is copying the page tables: who pins without locks does not notice",
    source: "commit 57efa1fe5957: mm/gup: prevent gup_fast from racing with COW during fork",
    references: zoo(11),
    scenario: forkAndPin.id,
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: () => ({ raw_write_seqcount_begin: leaveOut(), raw_write_seqcount_end: leaveOut() }),
  },
  {
    id: "fork-never-done-copying",
    title: "fork does not say that it is through with the page tables: nobody pins without locks any more",
    source: "mm/memory.c: copy_page_range (raw_write_seqcount_end)",
    scenario: forkAndPin.id,
    bound: alone,
    breaks: "FORK-SEQ-ENDS",
    at: () => ({ raw_write_seqcount_end: leaveOut() }),
  },
  {
    id: "fork-shares-pinned-page",
    title: "fork shares a page with the child without asking whether it is pinned",
    source: "commit 70e806e4e645: mm: Do early cow for pinned pages during fork() for ptes",
    scenario: forkAndPin.id,
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: (world) => ({ copy_pte_range: blindToPins(world) }),
  },
  {
    id: "fork-per-vma-lock-stale-tlb",
    title: "fork does not lock the areas that it copies: faults are handled between write protection and flush",
    source: "commit 2b4f3b4987b5: fork: lock VMAs of the parent process when forking",
    references: zoo(10),
    scenario: forkAndFault.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: () => ({ vma_start_write: leaveOut() }),
  },
  {
    id: "gup-fast-without-recheck",
    title: "who pins without locks does not look at the entry again behind the pin",
    source: "mm/gup.c: gup_fast_pte_range",
    scenario: recycledPage.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: () => ({ "gup_fast_pte_range: recheck": changeBody(() => true) }),
  },
  {
    id: "unmap-without-barrier",
    title: "who unmaps looks at the pins before the cleared entry can be seen",
    source: "include/linux/rmap.h: __folio_try_share_anon_rmap",
    scenario: "mm/pairs/pin-fast-write+reclaim",
    bound: alone,
    breaks: "GUP-UNMAP-DEKKER",
    at: (world) => {
      let pinned = false
      const blind = blindToPins(world)
      return {
        "try_to_unmap_one: ptep_get_and_clear": (original, operation) => {
          const { mm, va } = placeOf(world, operation)
          const look = guardedStep(
            "folio_maybe_dma_pinned",
            [mm.name, va],
            () => isFree(pageTableLock(mm, va)),
            () => {
              const page = mappedPage(at(mm.pte, va).value)
              return page !== null && maybePinned(folioOf(world.folios, page))
            },
          )
          return Effect.flatMap(look, (found) => {
            pinned = found
            return original
          })
        },
        try_to_unmap_one: (original, operation) => (pinned ? original : blind(original, operation)),
      }
    },
  },
  {
    id: "longterm-pin-of-transiently-isolated-page",
    title: "that there is nothing to migrate is taken for a page that may be pinned for good",
    source: "commit 1aaf8c122918: mm: gup: fix infinite loop within __get_longterm_locked, reverted",
    references: zoo(70),
    scenario: "mm/pairs/pin-longterm+pin-longterm",
    bound: alone,
    breaks: "GUP-LT-POLICY",
    at: () => ({
      collect_longterm_unpinnable_folios: changeResult((found) => (found === "busy" ? "kept" : found)),
    }),
  },
  {
    id: "lazyfree-reclaim-vs-direct-io",
    title: "reclaim drops a clean page of MADV_FREE's without asking who else refers to it",
    source: "commit 6c8e2a256915: mm: fix race between MADV_FREE reclaim and blkdev direct IO read",
    references: zoo(61),
    scenario: lazyFree.id,
    bound: alone,
    breaks: "COW-NO-LEAK",
    at: (world) => {
      let taken: Present | null = null
      const discard: Replacement = changeBody((operation) => {
        const folio = taken === null ? null : folioOf(world.folios, taken.page)
        if (taken === null || folio === null || !isAnon(folio) || folio.swapBacked || folio.dirty)
          return operation.body()
        const { mm, va } = placeOf(world, operation)
        release(pageTableLock(mm, va))
        mm.rss.anon--
        removeRmap(folio)
        folioPut(world.folios, taken.page)
      })
      return {
        "try_to_unmap_one: ptep_get_and_clear": (original) =>
          Effect.tap(original, (entry) =>
            Effect.sync(() => {
              taken = entry as Present | null // what the step returns
            }),
          ),
        try_to_unmap_one: discard,
      }
    },
  },
  {
    id: "has-pinned-set-late",
    title:
      "an address space is marked as having pins when its page is pinned already: fork does not ask about pins until then",
    source:
      "commits 008cfe4418b3: mm: Introduce mm_struct.has_pinned; a458b76a41c0: mm/gup: pack has_pinned in MMF_HAS_PINNED",
    scenario: forkAndPin.id,
    bound: alone,
    breaks: "COW-PIN-STAYS",
    at: ({ parent }) => {
      const unmarked = changeBody(({ body }) => {
        const before = parent.state.hasPinned
        const result = body()
        parent.state.hasPinned = before
        return result
      })
      return {
        "gup_fast: local_irq_save": unmarked,
        check_vma_flags: unmarked,
        dma_map_page: changeBody(() => {
          parent.state.hasPinned = true
        }),
      }
    },
  },
]
