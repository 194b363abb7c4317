/**
 * Huge pages of private anonymous memory (mm/huge_memory.c), where the system has them: how they are mapped and unmapped.
 * A huge entry is all the entries of a page table together (hugeSplit.ts), a huge page a large folio (largeFolio.ts).
 */
import * as Effect from "effect/Effect"
import { assert, step } from "../../checker/program/index.ts"
import { isDevicePrivate, isZoneDevice } from "../deviceMemory/pgmap.ts"
import { underLock } from "../sync/spinlock.ts"
import { linkTable } from "./fault.ts"
import { type Frame, folioOf, isLarge, pagesOfFolio } from "./folio.ts"
import { type Gather, gatherEntry } from "./gather.ts"
import { hugePmdOf, splitHugePmd } from "./hugeSplit.ts"
import { findVma, hasTable, isHuge, type Mm, pageTableLock, spanOf, tableOf } from "./mm.ts"
import { type Pte, present } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { addNewAnonRmap } from "./rmap.ts"
import { type ZapDetails, zapPte } from "./unmap.ts"
import { mostAccess } from "./vma.ts"
import { areaOf } from "./vmaMerge.ts"

/**
 * What kind of entry a huge one is, read in one go; `none` where there is not even a page table, `table` where there is
 * one. Within a step.
 */
export const pmdKind = (mm: Mm, va: number): "none" | "table" | NonNullable<Pte>["kind"] => {
  if (!hasTable(mm, va)) return "none"
  if (!isHuge(mm, va)) return "table"
  const pte = at(mm.pte, va).value
  assert(pte !== null, `page ${va} of ${mm.name} is a piece of a huge entry and has none`)
  return pte.kind
}

/** `thp_vma_allowable_order`: whether the area of a page is private anonymous memory and has room for a huge page there. */
export const isHugeAllowed = (mm: Mm, va: number): boolean => {
  const vma = findVma(mm, va)
  if (!mm.system.thp || vma === null || vma.file !== null || vma.shared || vma.hugetlb) return false
  const area = areaOf(mm, va)
  const span = spanOf(mm, va)
  return area.start <= span.start && span.end <= area.end && span.end - span.start === mm.system.pagesPerTable
}

/** Where there is no page table: a huge entry, piece by piece. Within a step, under the page table's lock. */
export const setHuge = (mm: Mm, range: Range, piece: (va: number, position: number) => Pte): void => {
  linkTable(mm, range.start)
  hugePmdOf(mm, range.start).huge.value = true
  for (const [position, va] of pagesOf(range).entries()) at(mm.pte, va).value = piece(va, position)
}

/** No huge entry, nor a page table any more. Within a step, under the page table's lock. */
export const clearHuge = (mm: Mm, va: number): void => {
  hugePmdOf(mm, va).huge.value = false
  const { state } = tableOf(mm, va)
  state.linked = false
  state.live = false
}

/**
 * `map_anon_folio_pmd`: maps a fresh large folio where nothing, or the huge zero page, is mapped: the mapping refers to it.
 * Within a step, under the page table's lock.
 */
export const mapAnonFolioPmd = (mm: Mm, range: Range, folio: Frame): void => {
  const { folios } = mm.system
  assert(isLarge(folios, folio), `page ${folio.pfn} is no huge page`)
  const pages = pagesOfFolio(folios, folio)
  mm.rss.anon += pages.length
  setHuge(mm, range, (va, position) => {
    const vma = findVma(mm, va)
    const page = pages[position]
    assert(vma !== null && page !== undefined, `page ${va} of ${mm.name} is no piece of a huge page`)
    const slot = folioOf(folios, page)
    addNewAnonRmap(slot, vma)
    slot.lru = !isZoneDevice(folios, page)
    slot.refcount++
    const access = mostAccess(vma)
    return isDevicePrivate(folios, page)
      ? { kind: "private", page, write: access === "write" }
      : present(page, access, { dirty: access === "write" })
  })
}

/**
 * `zap_pmd_range`: clears the huge entry that begins there, if all of it is to go (`zap_huge_pmd`); else it is split.
 *
 * @returns where to go on: behind it, or there
 */
export const zapPmd = Effect.fnUntraced(function* (gather: Gather, va: number, range: Range, details: ZapDetails) {
  const { mm } = gather
  const span = spanOf(mm, va)
  if (!(yield* step("zap_pmd_range", [mm.name, va], () => isHuge(mm, va)))) return va
  if (span.start < range.start || range.end < span.end) {
    yield* splitHugePmd(hugePmdOf(mm, va))
    return va
  }
  const zapped = yield* underLock(pageTableLock(mm, va), "zap_huge_pmd", [mm.name, span.start, span.end], () => {
    if (!isHuge(mm, va)) return null
    clearHuge(mm, va)
    return pagesOf(span).map((page) => zapPte(mm, page, details))
  })
  if (zapped === null) return va
  for (const [position, found] of zapped.entries()) {
    if (found === "nothing" || found === "not present") continue
    gatherEntry(gather, span.start + position)
    if (typeof found === "object") gather.pages.push(found.page)
  }
  return span.end
})
