/**
 * Folios of more than one page (include/linux/mm.h: folio_nr_pages). What is counted of a folio is told page by page,
 * and what the kernel counts is the sum: an entry of a page table is counted at the page that it maps, a huge entry,
 * being all the entries of a page table, once at each page, and a reference to the folio itself at its head. The lock
 * is that of all pages at once, and so is their end: none is free before the last reference to any of them is dropped.
 * What is said of single pages by the kernel, too (PG_anon_exclusive, the charge, the content), is the page's.
 */
import { type Folios, type Frame, folioOf, frameOf, largeCell, memcgCharge, pagesOfFolio } from "./folio.ts"

/** `folio_ref_count`, a huge entry counted once for each page. Within a step. */
export const folioRefs = (all: Folios, frame: Frame): number =>
  pagesOfFolio(all, frame).reduce((sum, page) => sum + folioOf(all, page).refcount, 0)

/** `folio_mapcount`, a huge entry counted once for each page. Within a step. */
export const folioMapcount = (all: Folios, frame: Frame): number =>
  pagesOfFolio(all, frame).reduce((sum, page) => sum + folioOf(all, page).mapcount, 0)

/** `compound_head`. Within a step. */
export const compoundHead = (all: Folios, frame: Frame): Frame => pagesOfFolio(all, frame)[0] ?? frame

/** `folio_get`, of the folio that a page is of. Within a step. */
export const folioGet = (all: Folios, frame: Frame): void => {
  folioOf(all, compoundHead(all, frame)).refcount++
}

/**
 * A folio as large as a huge page, of free frames that fit, with one reference and no charge; `null` when there is none.
 * Within a step.
 */
export const folioAllocLarge = (all: Folios, fits: (pfn: number) => boolean): Frame | null => {
  const { hugePages, arena } = all
  if (hugePages === 1) return null
  const tails = Array.from({ length: hugePages - 1 }, (_, i) => i + 1)
  const head = arena.allocate(
    ({ index }) =>
      index % hugePages === 0 && fits(index) && tails.every((tail) => arena.slots[index + tail]?.live === false),
  )
  if (head === undefined) return null
  for (const tail of tails) arena.allocate(({ index }) => index === head.index + tail)
  largeCell(all, head.index).value = true
  head.refcount = 1
  return frameOf(head)
}

/** `vma_alloc_anon_folio_pmd`: such a folio of the system's memory, charged to a control group. Within a step. */
export const folioAllocHuge = (all: Folios, cgroup: string): Frame | null => {
  const head = folioAllocHugeUncharged(all)
  for (const page of head === null ? [] : pagesOfFolio(all, head)) memcgCharge(all, folioOf(all, page), cgroup)
  return head
}

/** The same without a charge, for those whose folios take over another's. Within a step. */
export const folioAllocHugeUncharged = (all: Folios): Frame | null =>
  folioAllocLarge(all, (pfn) => !all.pgmaps.has(pfn))
