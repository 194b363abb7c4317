/** Seeded bugs of huge pages in device memory. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Replacement, type SeededBug, step } from "../../../checker/index.ts"
import { type Frame, folioLock, folioOf, folioPut, folioUnlock, frameOf } from "../../../model/mm/folio.ts"
import { isHuge, pageTableLock, spanOf } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import { keep } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { faultsOnTheRest, noHugePage, reapedPlace } from "./hugeConcurrent.ts"
import { hugeOneAtATime } from "./scenarios.ts"
import type { SelftestWorld } from "./world.ts"

/** Where a bug is hunted: in the test of that number. */
const inTest = (number: number) => ({ scenario: hugeOneAtATime.id, bound: { number } })

/** The page in a frame, whatever its life. Within a step. */
const pageIn = ({ system }: SelftestWorld, pfn: unknown): Frame => {
  const slot = system.folios.arena.slots[Number(pfn)]
  if (slot === undefined) throw new RangeError(`there is no page ${pfn}`)
  return frameOf(slot)
}

/**
 * The split leaves the head to the caller, as who asks for a split without saying more gets it, and unlocks the page whose
 * fault it is; that one is referred to and locked again afterwards.
 */
const locksFaultsPageAgain = (world: SelftestWorld): Replacement => {
  const { folios } = world.system
  return (original, { args }) =>
    Effect.gen(function* () {
      const page = yield* step("__folio_split: folio_unlock, free_folio_and_swap_cache", [Number(args[0]) + 1], () => {
        const fault = pageIn(world, Number(args[0]) + 1)
        folioUnlock(folios, fault)
        folioPut(folios, fault)
        return fault
      })
      yield* step("migrate_vma_split_folio: folio_get(new_fault_folio)", [page.pfn], () => {
        folioOf(folios, page).refcount++
      })
      yield* folioLock(folios, page)
      return yield* original
    })
}

export const hugeBugs: ReadonlyArray<SeededBug<SelftestWorld>> = [
  {
    id: "huge-split-unlocks-faults-page",
    title:
      "as published: a large folio that is split in the middle of a fault loses lock and reference of the page that is faulted on, and takes them anew; another thread's fault has moved that page meanwhile",
    source: "mm/migrate_device.c: migrate_vma_split_folio; read from the source, no fix is known",
    scenario: faultsOnTheRest.id,
    breaks: "assertion",
    at: (world) => ({ "__folio_split: folio_unlock, free_folio_and_swap_cache": locksFaultsPageAgain(world) }),
  },
  {
    id: "huge-insert-leaks-lock",
    title:
      "as published in 2026: where the address space has become unstable a huge page is not inserted, and the page table's lock not given back",
    source: "mm/migrate_device.c: migrate_vma_insert_huge_pmd_page",
    scenario: reapedPlace.id,
    breaks: "deadlock",
    at: ({ parent }) => ({
      migrate_vma_insert_huge_pmd_page: changeBody(({ args, body }) => {
        const { unstable } = parent.state
        const result = body()
        if (unstable) keep(pageTableLock(parent, Number(args[1])))
        return result
      }),
    }),
  },
  {
    id: "huge-migration-entry-writable",
    title:
      "the migration entry of a huge private page is made writable by a bit that means something else there: two processes own the page",
    source: "commit 43e7f189769c (CVE-2026-53155)",
    references: zoo(92),
    ...inTest(6),
    breaks: "SELFTEST-OUTCOME",
    at: ({ system }) => ({
      migrate_vma_collect_huge_pmd: changeBody(({ args, body }) => {
        const mm = mmOf(system, String(args[0]))
        const va = Number(args[1])
        const wasPrivate = at(mm.pte, va).value?.kind === "private"
        const found = body()
        for (const page of isHuge(mm, va) && wasPrivate ? pagesOf(spanOf(mm, va)) : []) {
          const cell = at(mm.pte, page)
          if (cell.value?.kind === "migration") cell.value = { ...cell.value, mode: "write" }
        }
        return found
      }),
    }),
  },
  {
    id: "huge-entry-not-split",
    title:
      "a huge page that is to come back page by page cannot be split, as the fault refers to it, and its entry is not split either: the fault comes again for ever",
    source: "mm/migrate_device.c: migrate_vma_split_unmapped_folio, which splits the entry first; by inference",
    scenario: noHugePage.id,
    breaks: "L-FAULT-PRIV",
    at: () => ({ __split_huge_pmd_locked: leaveOut() }),
  },
  {
    id: "huge-order-of-small-pages",
    title: "a snapshot says of the pages of a huge page that has been split that one entry maps them",
    source: "mm/hmm.c: hmm_vma_handle_absent_pmd, hmm_pfn_flags_order; hmm-tests.c: compound",
    ...inTest(22),
    breaks: "SELFTEST-OUTCOME",
    at: ({ parent }) => ({
      hmm_vma_handle_pte: changeBody(({ args, body }) => {
        const found = body()
        const isPrivate = at(parent.pte, Number(args[0])).value?.kind === "private"
        return isPrivate && typeof found === "object" ? { ...found, order: "PMD" } : found
      }),
    }),
  },
]
