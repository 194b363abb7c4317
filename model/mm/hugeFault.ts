/** Page faults where huge pages are mapped, or may be (mm/memory.c: __handle_mm_fault; mm/huge_memory.c). */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { doHugePmdDevicePrivate } from "../deviceMemory/privateFault.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { underLock } from "../sync/spinlock.ts"
import { type FaultFlags, type FaultResult, migrationEntryWait, vmfAnonPrepare } from "./fault.ts"
import { type Frame, folioOf, folioPut, pagesOfFolio } from "./folio.ts"
import { clearHuge, isHugeAllowed, mapAnonFolioPmd, pmdKind, setHuge } from "./hugeMemory.ts"
import { hugePmdOf, splitHugePmd } from "./hugeSplit.ts"
import { folioAllocHuge, folioRefs } from "./largeFolio.ts"
import { findVma, hasTable, isHuge, type Mm, pageTableLock, spanOf } from "./mm.ts"
import { type Migration, type Present, type Private, pteSame } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import { dropTranslations } from "./tlb.ts"
import { mostAccess } from "./vma.ts"

type Found =
  | { readonly call: "nothing" | "fallback" | "do_huge_pmd_anonymous_page" | "do_huge_zero_wp_pmd" }
  | { readonly call: "do_huge_pmd_wp_page"; readonly pte: Present }
  | { readonly call: "do_huge_pmd_device_private"; readonly pte: Private }
  | { readonly call: "pmd_migration_entry_wait"; readonly pte: Migration }

/**
 * The part of `__handle_mm_fault` that knows of huge entries.
 *
 * @returns what a fault comes to, or "FALLBACK": the page is to be had by itself (VM_FAULT_FALLBACK)
 */
export const handlePmdFault = procedure(function* (mm: Mm, va: number, flags: FaultFlags) {
  const span = spanOf(mm, va)
  const found = yield* step("__handle_mm_fault", [mm.name, va], () => look(mm, va, flags))
  switch (found.call) {
    case "nothing":
      return "done" as const
    case "fallback":
      return "FALLBACK" as const
    case "do_huge_pmd_anonymous_page":
      return yield* doHugePmdAnonymousPage(mm, span, flags)
    case "do_huge_zero_wp_pmd":
      return yield* doHugeZeroWpPmd(mm, span, flags)
    case "do_huge_pmd_wp_page":
      return yield* doHugePmdWpPage(mm, span, found.pte)
    case "do_huge_pmd_device_private":
      return yield* doHugePmdDevicePrivate(mm, va, found.pte, flags)
    case "pmd_migration_entry_wait":
      return yield* migrationEntryWait(mm, found.pte.page)
  }
})

const look = (mm: Mm, va: number, { write }: FaultFlags): Found => {
  const kind = pmdKind(mm, va)
  if (kind === "none") return { call: isHugeAllowed(mm, va) ? "do_huge_pmd_anonymous_page" : "fallback" }
  if (kind === "table") return { call: "fallback" }
  // All pieces are alike: the first one tells of them.
  const pte = at(mm.pte, spanOf(mm, va).start).value
  switch (pte?.kind) {
    case "zero":
      return { call: write ? "do_huge_zero_wp_pmd" : "nothing" }
    case "private":
      return { call: "do_huge_pmd_device_private", pte }
    case "migration":
      return { call: "pmd_migration_entry_wait", pte }
    case "present":
      return write && pte.access !== "write" ? { call: "do_huge_pmd_wp_page", pte } : { call: "nothing" }
    default:
      return { call: "fallback" }
  }
}

/** `do_huge_pmd_anonymous_page`: the huge zero page for a load, a fresh huge page for a store. */
const doHugePmdAnonymousPage = procedure(function* (mm: Mm, range: Range, flags: FaultFlags) {
  const ptl = pageTableLock(mm, range.start)
  if (!flags.write) {
    return yield* underLock(ptl, "set_huge_zero_folio", [mm.name, range.start], (): FaultResult => {
      if (hasTable(mm, range.start)) return "done"
      if (mm.state.unstable) return "SIGBUS"
      setHuge(mm, range, () => ({ kind: "zero", access: "read" }))
      return "done"
    })
  }
  const fresh = yield* allocHuge(mm, range, flags)
  if (typeof fresh === "string") return fresh
  return yield* underLock(ptl, "map_anon_folio_pmd", [mm.name, range.start], (): FaultResult => {
    const isNone = !hasTable(mm, range.start)
    if (isNone && !mm.state.unstable) mapAnonFolioPmd(mm, range, fresh)
    folioPut(mm.system.folios, fresh)
    return isNone && mm.state.unstable ? "SIGBUS" : "done"
  })
})

/** `vma_alloc_anon_folio_pmd`, and the area's anon_vma. */
const allocHuge = (mm: Mm, range: Range, flags: FaultFlags): Effect.Effect<Frame | "FALLBACK" | "RETRY"> =>
  step("vma_alloc_anon_folio_pmd", [mm.name, range.start], () =>
    vmfAnonPrepare(mm, range.start, flags) ? (folioAllocHuge(mm.system.folios, mm.name) ?? "FALLBACK") : "RETRY",
  )

/** `do_huge_zero_wp_pmd`: a store to the huge zero page gets a huge page; where there is none the zero page is split. */
const doHugeZeroWpPmd = procedure(function* (mm: Mm, range: Range, flags: FaultFlags) {
  const fresh = yield* allocHuge(mm, range, flags)
  if (fresh === "FALLBACK") {
    yield* splitHugePmd(hugePmdOf(mm, range.start))
    return fresh
  }
  if (fresh === "RETRY") return fresh
  const window = notifierRange("CLEAR", "do_huge_zero_wp_pmd", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* underLock(pageTableLock(mm, range.start), "do_huge_zero_wp_pmd", [mm.name, range.start], () => {
    if (pmdKind(mm, range.start) === "zero" && !mm.state.unstable) {
      clearHuge(mm, range.start)
      dropTranslations(mm, range)
      mapAnonFolioPmd(mm, range, fresh)
    }
    folioPut(mm.system.folios, fresh)
  })
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return "done" as FaultResult
})

/** `do_huge_pmd_wp_page`: a huge page that is this entry's alone is reused; another one is split, and copied page by page. */
const doHugePmdWpPage = procedure(function* (mm: Mm, range: Range, orig: Present) {
  const next = yield* underLock(pageTableLock(mm, range.start), "do_huge_pmd_wp_page", [mm.name, range.start], () => {
    const { folios } = mm.system
    if (!isHuge(mm, range.start) || !pteSame(at(mm.pte, range.start).value, orig)) return "done"
    const head = folioOf(folios, orig.page)
    const pages = pagesOfFolio(folios, orig.page)
    const vma = findVma(mm, range.start)
    // One reference for each page is the huge entry's.
    const isAlone = head.lock === "" && folioRefs(folios, orig.page) === pages.length
    if (vma === null || !(head.anonExclusive || isAlone)) return "split"
    for (const page of pages) folioOf(folios, page).anonExclusive = true
    for (const va of pagesOf(range)) {
      const pte = at(mm.pte, va)
      if (pte.value?.kind !== "present") continue
      pte.value = { ...pte.value, access: mostAccess(vma), dirty: true, young: true }
    }
    return "done"
  })
  if (next === "done") return next
  yield* splitHugePmd(hugePmdOf(mm, range.start))
  return "FALLBACK" as const
})
