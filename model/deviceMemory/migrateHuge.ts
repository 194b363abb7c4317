/**
 * Huge pages in migration between system and device memory (mm/migrate_device.c: migrate_vma_collect_huge_pmd and what
 * goes with it): a huge page is moved as one where the driver asks for that and has a huge page to move it to; else it
 * is split, before or on the way. As in the kernel a huge page of coherent memory is not collected.
 *
 * Corrected, and put back by a seeded bug ("as published"): a large folio that is split on behalf of a fault stays
 * locked where the fault's page is.
 */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { vmfAnonPrepare } from "../mm/fault.ts"
import {
  type Frame,
  folioLock,
  folioOf,
  folioPut,
  folioTrylock,
  folioUnlock,
  isLarge,
  memcgCharge,
  pagesOfFolio,
} from "../mm/folio.ts"
import { clearHuge, isHugeAllowed, mapAnonFolioPmd, pmdKind } from "../mm/hugeMemory.ts"
import { freezeAndSplit, setMigrationEntries, splitFolio } from "../mm/hugeMigrate.ts"
import { hugePmdOf, splitHugePmd } from "../mm/hugeSplit.ts"
import { compoundHead, folioGet } from "../mm/largeFolio.ts"
import { findVma, type Mm, pageTableLock, spanOf } from "../mm/mm.ts"
import { isRmapped, isWritable } from "../mm/pte.ts"
import { at, pagesOf } from "../mm/range.ts"
import { dropTranslations } from "../mm/tlb.ts"
import { mostAccess } from "../mm/vma.ts"
import { underLock } from "../sync/spinlock.ts"
import { isFaultFolio, isSelected, type MigrateSlot, type MigrateVma, selects } from "./migrateVma.ts"
import { isZoneDevice } from "./pgmap.ts"

/** A place of which there is nothing to say. */
const nothingAt = (va: number): MigrateSlot => ({ va, src: null, migrate: false, write: false, dst: null })

/**
 * What `migrate_vma_collect_huge_pmd` finds: entries to be told one by one, some of a huge page to be split, or what
 * there is to say.
 */
type Found = "ptes" | "skip" | { readonly split: Frame } | { readonly slot: MigrateSlot }

/**
 * `migrate_vma_collect_huge_pmd`, and `migrate_vma_collect_hole` of a place for a huge page: of the pages from one on to the
 * end of its huge entry, or of the range; `null` where they are to be told one by one.
 */
export const collectPmd = procedure(function* (args: MigrateVma, va: number) {
  const { mm, range } = args
  if (!mm.system.thp) return null
  const span = spanOf(mm, va)
  const whole = args.compound === true && va === span.start && span.end <= range.end
  const rest = pagesOf({ start: va, end: Math.min(span.end, range.end) })
  const found = yield* underLock(pageTableLock(mm, va), "migrate_vma_collect_huge_pmd", [mm.name, va], () =>
    collectHugePmd(args, va, whole),
  )
  if (found === "ptes") return null
  if (found === "skip") return rest.map(nothingAt)
  if ("slot" in found) return rest.map((page) => (page === va ? found.slot : nothingAt(page)))
  const split = yield* splitFolio(mm.system, found.split, found.split)
  yield* step("migrate_vma_collect_huge_pmd: folio_unlock, folio_put", [found.split.pfn], () => {
    if (!isFaultFolio(mm.system, args, found.split)) folioUnlock(mm.system.folios, found.split)
    folioPut(mm.system.folios, found.split)
  })
  return split ? null : rest.map(nothingAt)
})

const collectHugePmd = (args: MigrateVma, va: number, whole: boolean): Found => {
  const { mm } = args
  const { folios } = mm.system
  const kind = pmdKind(mm, va)
  if (kind === "table") return "ptes"
  const vma = findVma(mm, va)
  if (kind === "none" || kind === "zero") {
    if (kind === "zero" && !selects(args, "system")) return "skip"
    if (!whole || vma === null || vma.file !== null) return "ptes"
    return { slot: { ...nothingAt(va), migrate: true, write: mostAccess(vma) === "write", compound: true } }
  }
  const { start } = spanOf(mm, va)
  const pte = at(mm.pte, start).value
  if (!isRmapped(pte) || pte.kind === "exclusive" || !isSelected(args, pte)) return "skip"
  // Of a present entry nothing but system memory is asked for.
  if (pte.kind === "present" && isZoneDevice(folios, pte.page)) return "skip"
  if (!isFaultFolio(mm.system, args, pte.page) && !folioTrylock(folios, pte.page)) return "skip"
  folioGet(folios, pte.page)
  const pieces = pagesOfFolio(folios, pte.page).map((page, position) => ({ va: start + position, page }))
  if (!whole || !setMigrationEntries({ mm, pieces })) return { split: pte.page }
  const write = pte.kind === "private" ? pte.write : isWritable(pte)
  return { slot: { ...nothingAt(va), src: pte.page, migrate: true, write, compound: true } }
}

/**
 * `migrate_vma_split_folio`: a large folio that is mapped by small entries is split.
 *
 * @returns false where that cannot be
 */
export const migrateVmaSplitFolio = procedure(function* (args: MigrateVma, page: Frame) {
  const { system } = args.mm
  const { folios } = system
  const fault = yield* step("migrate_vma_split_folio: folio_get", [page.pfn], () => {
    // Somebody else may have split it, or unmapped it.
    if (!isLarge(folios, page)) return "split"
    if (isFaultFolio(system, args, page)) return "fault"
    folioGet(folios, page)
    return "other"
  })
  if (fault === "split") return true
  if (fault === "other") yield* folioLock(folios, page)
  const lockAt = yield* step("migrate_vma_split_folio: folio_test_large", [page.pfn], () => {
    if (!isLarge(folios, page)) return page
    return (fault === "fault" ? args.faultPage : undefined) ?? compoundHead(folios, page)
  })
  const split = yield* splitFolio(system, page, lockAt)
  if (fault === "other") {
    yield* step("migrate_vma_split_folio: folio_unlock, folio_put", [page.pfn], () => {
      folioUnlock(folios, lockAt)
      folioPut(folios, lockAt)
    })
  }
  return split
})

/**
 * Where a driver has single pages for a huge one that was collected, or for the place of one, those are told one by
 * one, the page being split.
 */
export const migrateVmaSplit = procedure(function* (args: MigrateVma, slots: ReadonlyArray<MigrateSlot>) {
  const { system } = args.mm
  if (!system.thp) return slots
  const told: Array<MigrateSlot> = []
  for (const [position, slot] of slots.entries()) {
    if (told.length > position) continue
    const { src, dst } = slot
    const isPiecemeal =
      slot.compound === true &&
      slot.migrate &&
      dst !== null &&
      !(yield* step("folio_test_large", [dst.pfn], () => isLarge(system.folios, dst)))
    if (!isPiecemeal) {
      told.push(slot)
      continue
    }
    const behind = slots.slice(position, position + system.folios.hugePages)
    if (src === null) {
      told.push(...behind.map((one) => ({ ...one, migrate: one.dst !== null, compound: false })))
      continue
    }
    const pages = yield* migrateVmaSplitUnmappedFolio(args, slot.va, src)
    told.push(
      ...behind.map((one, piece) => {
        const page = pages?.[piece]
        if (page === undefined) return { ...one, migrate: false }
        return { ...one, src: page, migrate: one.dst !== null, write: slot.write, compound: false }
      }),
    )
  }
  return told
})

/**
 * `migrate_vma_split_unmapped_folio`: its huge migration entry is split, and the folio, every page of which stays
 * locked and has one reference; `null` where somebody else refers to it, be it the fault that is handled: that comes
 * again, and finds small entries.
 */
const migrateVmaSplitUnmappedFolio = procedure(function* ({ mm }: MigrateVma, va: number, src: Frame) {
  yield* splitHugePmd(hugePmdOf(mm, va))
  return yield* step("folio_split_unmapped", [src.pfn], () => freezeAndSplit(mm.system, src))
})

/** `migrate_vma_insert_huge_pmd_page`: maps a new huge page where nothing is, or the huge zero page. */
export const migrateVmaInsertHugePmdPage = (mm: Mm, va: number, dst: Frame): Effect.Effect<boolean> =>
  underLock(pageTableLock(mm, va), "migrate_vma_insert_huge_pmd_page", [mm.name, va], () => {
    const kind = pmdKind(mm, va)
    if ((kind !== "none" && kind !== "zero") || !isHugeAllowed(mm, va) || mm.state.unstable) return false
    if (!vmfAnonPrepare(mm, va, { write: true })) return false
    const { folios } = mm.system
    for (const page of pagesOfFolio(folios, dst)) memcgCharge(folios, folioOf(folios, page), mm.name)
    if (kind === "zero") {
      clearHuge(mm, va)
      dropTranslations(mm, spanOf(mm, va))
    }
    mapAnonFolioPmd(mm, spanOf(mm, va), dst)
    return true
  })

/** Before single pages are inserted where the huge zero page is mapped, that is split. */
export const splitHugeZeroPmd = procedure(function* (mm: Mm, va: number) {
  const isZero = yield* step(
    "migrate_vma_insert_page: is_huge_zero_pmd",
    [mm.name, va],
    () => pmdKind(mm, va) === "zero",
  )
  if (isZero) yield* splitHugePmd(hugePmdOf(mm, va))
})
