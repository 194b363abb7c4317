/** Breaking copy-on-write (mm/memory.c: do_wp_page, wp_page_copy). */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { doPageMkwrite, faultDirtySharedPage, unlockPut } from "../file/fault.ts"
import { inodeOf } from "../file/inode.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, type SpinLock, underLock } from "../sync/spinlock.ts"
import { type FaultFlags, type FaultResult, lockedVma, vmfAnonPrepare } from "./fault.ts"
import { type Folio, type Frame, folioAlloc, folioOf, folioPut } from "./folio.ts"
import { type Mm, pageTableLock } from "./mm.ts"
import { mappedPage, type Present, type Pte, present, pteSame } from "./pte.ts"
import { at } from "./range.ts"
import { addNewAnonRmap, isAnon, removeRmap } from "./rmap.ts"
import { folioFreeSwap } from "./swap.ts"
import { dropSecondaryTranslations, dropTranslations } from "./tlb.ts"
import { mostAccess } from "./vma.ts"

/**
 * `do_wp_page`: a store, or the wish of a reader to have the page to itself (FAULT_FLAG_UNSHARE), met an entry that may not be
 * written through. Shared mappings only learn of it; private ones reuse a page that is theirs alone, or copy it.
 */
export const doWpPage = procedure(function* (mm: Mm, va: number, orig: Pte, flags: FaultFlags) {
  const { folios } = mm.system
  const ptl = pageTableLock(mm, va)
  const next = yield* underLock(ptl, "do_wp_page", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (!pteSame(pte.value, orig)) return "done"
    const vma = lockedVma(mm, va)
    if (orig?.kind !== "present") return "copy"
    const folio = folioOf(folios, orig.page)
    if (vma.shared) {
      if (inodeOf(mm.system, folio.mapping).tracksDirty) {
        folio.refcount++
        return "shared"
      }
      pte.value = { ...orig, access: mostAccess(vma), dirty: true, young: true }
      return upgraded(mm, ptl)
    }
    if (isAnon(folio) && (folio.anonExclusive || canReuseAnonFolio(mm, orig.page))) {
      folio.anonExclusive = true
      if (flags.unshare === true) return "done"
      pte.value = { ...orig, access: mostAccess(vma), dirty: true, young: true }
      return upgraded(mm, ptl)
    }
    folio.refcount++
    return "copy"
  })
  if (next === "upgraded") yield* flushUpgraded(mm, va)
  if (next === "done" || next === "upgraded") return "done" as const
  if (next === "shared" && orig?.kind === "present") return yield* wpPageShared(mm, va, orig)
  return yield* wpPageCopy(mm, va, orig, flags)
})

/**
 * `ptep_set_access_flags` has given an entry more rights. A CPU that has it with fewer looks at it again by itself; a
 * device does not. Within a step, under the page table's lock.
 */
const upgraded = (mm: Mm, ptl: SpinLock): "done" | "upgraded" => {
  if (mm.secondaryTlbs.size === 0) return "done"
  keep(ptl)
  return "upgraded"
}

/** The rest of `ptep_set_access_flags`: the flush of the entry, of which devices hear. */
const flushUpgraded = (mm: Mm, va: number): Effect.Effect<void> =>
  step("ptep_set_access_flags: flush_tlb_page", [mm.name, va], () => {
    dropSecondaryTranslations(mm, { start: va, end: va + 1 })
    release(pageTableLock(mm, va))
  })

/**
 * `wp_can_reuse_anon_folio`: whether nobody else refers to a page that is not marked exclusive. Its swap cache is
 * given up if it can be. Within a step, under the page table's lock.
 */
const canReuseAnonFolio = (mm: Mm, frame: Frame): boolean => {
  const { folios, swap } = mm.system
  const folio = folioOf(folios, frame)
  if (folio.refcount > 1 + cacheReferences(folio) || folio.lock !== "") return false
  folioFreeSwap(swap, folios, frame)
  return folio.refcount === 1
}

/** How many references the swap cache holds. */
const cacheReferences = (folio: Folio): number => (folio.swap === null ? 0 : 1)

/** `wp_page_shared`: the file system hears of the first store to a clean page (`page_mkwrite`), the folio locked. */
const wpPageShared = procedure(function* (mm: Mm, va: number, orig: Present) {
  const { folios } = mm.system
  const putPage = step("wp_page_shared: folio_put", [orig.page.pfn], () => folioPut(folios, orig.page))
  if (!(yield* doPageMkwrite(mm.system, orig.page))) {
    yield* putPage
    return "done" as const
  }
  const ptl = pageTableLock(mm, va)
  const finished = yield* underLock(ptl, "finish_mkwrite_fault", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (!pteSame(pte.value, orig)) return null
    pte.value = { ...orig, access: mostAccess(lockedVma(mm, va)), dirty: true, young: true }
    return upgraded(mm, ptl)
  })
  if (finished === "upgraded") yield* flushUpgraded(mm, va)
  if (finished === null) {
    yield* unlockPut(mm.system, orig.page)
    return "done" as const
  }
  yield* faultDirtySharedPage(mm.system, orig.page)
  yield* putPage
  return "done" as const
})

/** `wp_page_copy`: a fresh page with the same content takes the place of the old one. */
const wpPageCopy = procedure(function* (mm: Mm, va: number, orig: Pte, flags: FaultFlags) {
  const { folios, swap } = mm.system
  const old = mappedPage(orig)
  const ptl = pageTableLock(mm, va)
  const fresh = yield* step("wp_page_copy: folio_prealloc", [mm.name, va], () => {
    const frame = vmfAnonPrepare(mm, va, flags) ? (folioAlloc(folios, mm.name) ?? "OOM") : "RETRY"
    if (old === null) return frame
    if (frame === "OOM" || frame === "RETRY") folioPut(folios, old)
    else folioOf(folios, frame).content = folioOf(folios, old).content
    return frame
  })
  if (fresh === "OOM" || fresh === "RETRY") return fresh
  const range = notifierRange("CLEAR", "wp_page_copy", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, range)

  const same = yield* underLock(ptl, "wp_page_copy: ptep_clear_flush", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    if (!pteSame(pte.value, orig)) return false
    pte.value = null
    dropTranslations(mm, range)
    keep(ptl)
    return true
  })
  if (same) {
    yield* step("wp_page_copy: set_pte_at", [mm.name, va], () => {
      const vma = lockedVma(mm, va)
      const unshare = flags.unshare === true
      addNewAnonRmap(folioOf(folios, fresh), vma)
      at(mm.pte, va).value = present(fresh, unshare ? "read" : mostAccess(vma), { dirty: !unshare })
      if (old === null || !isAnon(folioOf(folios, old))) mm.rss.anon++
      if (old !== null && !isAnon(folioOf(folios, old))) mm.rss.file--
    })
    // Whoever sees a map count of one may reuse the page: it must be in no TLB by then.
    yield* step("wp_page_copy: folio_remove_rmap_pte", [mm.name, va], () => {
      if (old !== null) removeRmap(folioOf(folios, old))
      release(ptl)
    })
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, range)
  yield* step("wp_page_copy: folio_put", [mm.name, va], () => {
    if (!same) folioPut(folios, fresh)
    if (old === null) return
    if (same) {
      const folio = folioOf(folios, old)
      if (folio.lock === "" && folio.mapcount === 0) folioFreeSwap(swap, folios, old)
      folioPut(folios, old)
    }
    folioPut(folios, old)
  })
  return "done" as FaultResult
})
