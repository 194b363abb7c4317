/**
 * Changing a huge entry that stays (mm/huge_memory.c), under the shared `mmap_lock`. As in collapse.ts, a huge entry is
 * all the entries of a page table together.
 */
import { procedure, step } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { gatherEntry, owesFlush, tlbFinishMmu, tlbGather } from "./gather.ts"
import { hasTable, type Mm, mmapReadLock, mmapReadUnlock, pageTableLock } from "./mm.ts"
import type { Access, Present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"

/**
 * `change_huge_pmd`, for NUMA balancing: takes all access away. Meanwhile the entry is invalid for the hardware and
 * present for everybody else: who looks at it without the lock must not find nothing there. The hardware does not set
 * bits in an invalid entry, so (on x86) nothing is flushed before the end.
 */
export const changeHugePmdNuma = procedure(function* (mm: Mm, range: Range) {
  const { start, end } = range
  yield* mmapReadLock(mm)
  const gather = tlbGather(mm)
  const window = notifierRange("PROTECTION_VMA", "change_prot_numa", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const ptl = pageTableLock(mm, start)
  const taken = yield* underLock(ptl, "change_huge_pmd: pmdp_invalidate_ad", [mm.name, start, end], () => {
    if (!hasTable(mm, start) || entriesIn(mm, range).length === 0) return false
    setAccess(mm, range, "none")
    owesFlush(mm)
    keep(ptl)
    return true
  })
  if (taken) {
    yield* step("change_huge_pmd: set_pmd_at", [mm.name, start, end], () => {
      setAccess(mm, range, "none")
      release(ptl)
    })
    for (const va of pagesOf(range)) gatherEntry(gather, va)
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  yield* tlbFinishMmu(gather, range)
  yield* mmapReadUnlock(mm)
})

/** The pages that the entry maps. Within a step. */
const entriesIn = (mm: Mm, range: Range): ReadonlyArray<{ readonly va: number; readonly pte: Present }> =>
  pagesOf(range).flatMap((va) => {
    const pte = at(mm.pte, va).value
    return pte?.kind === "present" ? [{ va, pte }] : []
  })

const setAccess = (mm: Mm, range: Range, access: Access): void => {
  for (const { va, pte } of entriesIn(mm, range)) at(mm.pte, va).value = { ...pte, access }
}
