/** Page tables that come and go (mm/memory.c: free_pgtables; mm/mmu_gather.c: tlb_remove_table). */
import * as Effect from "effect/Effect"
import { assert, guardedStep } from "../../checker/program/index.ts"
import { changeVmas, type Mm } from "./mm.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { canChangeTrees, treesWait } from "./rmap.ts"

/**
 * `free_pgtables`: the VMAs that were detached leave the trees of reverse mapping, once nobody walks those, and the
 * page tables that serve no VMA any more are unlinked. Nobody can take a fault there.
 *
 * @returns the positions of those page tables, which are to be freed behind the flush of the TLBs
 */
export const freePgtables = (mm: Mm, range: Range): Effect.Effect<ReadonlyArray<number>> =>
  guardedStep(
    "free_pgtables",
    [mm.name, range.start, range.end],
    () => canChangeTrees(mm, range),
    () => {
      changeVmas(mm, range, (vma) => (vma.detached ? null : vma))
      const span = mm.system.pagesPerTable
      return mm.tables.flatMap(({ state }, position) => {
        const covered = pagesOf({ start: position * span, end: Math.min((position + 1) * span, mm.pages) })
        const touched = covered.some((va) => range.start <= va && va < range.end)
        if (!touched || !state.linked || covered.some((va) => at(mm.vma, va).value !== null)) return []
        assert(
          covered.every((va) => at(mm.pte, va).value === null),
          `a page table of ${mm.name} is freed with entries in it`,
        )
        state.linked = false
        return [position]
      })
    },
    treesWait(mm, range),
  )

/**
 * `tlb_remove_table`: frees page tables once nobody who walks without locks, interrupts off, can still be inside one
 * (an RCU grace period or an interrupt to all CPUs).
 */
export const tlbRemoveTables = (mm: Mm, positions: ReadonlyArray<number>): Effect.Effect<void> =>
  positions.length === 0
    ? Effect.void
    : guardedStep(
        "tlb_remove_table",
        [mm.name, ...positions],
        () => mm.state.walkers.length === 0,
        () => {
          for (const position of positions) {
            const table = mm.tables[position]
            if (table !== undefined) table.state.live = false
          }
        },
      )
