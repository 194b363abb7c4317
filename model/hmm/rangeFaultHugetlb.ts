/**
 * hmm_range_fault (mm/hmm.c) in areas of hugetlbfs: walk_hugetlb_range (mm/pagewalk.c), hmm_vma_walk_hugetlb_entry.
 *
 * Corrected, and put back by a seeded bug ("as published"): where there is no entry at all the fault is taken with the
 * area's lock held for reading, which it takes itself, too. Of entries that are there the kernel drops it before, and
 * takes it once more behind the fault, which is left out. An entry of which there is not even a page table
 * (`hugetlb_walk` finds nothing) and one that is none are one here.
 */
import { procedure, step } from "../../checker/program/index.ts"
import { assertWalkable, hugetlbVmaLockRead, hugetlbVmaUnlockRead, isVmHugetlbPage } from "../mm/hugetlb.ts"
import { isHuge, type Mm, pageTableLock, spanOf } from "../mm/mm.ts"
import { pagesOf, type Range } from "../mm/range.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Found, type HmmWish, hmmVmaHandlePte } from "./rangeFault.ts"

/** What there is to say of the pages in the range that the entry of a page maps, or would; nothing outside of hugetlbfs. */
export const walkHugetlbRange = procedure(function* (mm: Mm, va: number, range: Range, wish: HmmWish) {
  const nothing: ReadonlyArray<Found> = []
  if (!(yield* isVmHugetlbPage(mm, va))) return nothing
  const pages = pagesOf({ start: va, end: Math.min(spanOf(mm, va).end, range.end) })
  const handle = () => pages.map((page) => hmmVmaHandlePte(mm, page, wish))
  yield* hugetlbVmaLockRead(mm, "walk_hugetlb_range")
  const by = yield* step("hugetlb_walk", [mm.name, va], () => {
    assertWalkable(mm)
    return isHuge(mm, va) ? "hmm_vma_walk_hugetlb_entry" : "hmm_vma_walk_hole"
  })
  const found =
    by === "hmm_vma_walk_hole"
      ? yield* step(by, [va], handle)
      : yield* underLock(pageTableLock(mm, va), by, [va], handle)
  yield* hugetlbVmaUnlockRead(mm, by)
  return found
})
