/** Reclaim of a page (mm/vmscan.c: shrink_folio_list; mm/rmap.c: try_to_unmap_one). */
import * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { filemapRemoveFolio, inodeOf } from "../file/inode.ts"
import { notifierRange } from "../notifier/events.ts"
import {
  asksForYoung,
  mmuNotifierClearFlushYoung,
  mmuNotifierInvalidateRangeEnd,
  mmuNotifierInvalidateRangeStart,
} from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import {
  addToBatch,
  setFlushPending,
  shouldDeferFlush,
  tryToUnmapFlush,
  tryToUnmapFlushDirty,
  type UnmapBatch,
  underFlushedLock,
  unmapBatch,
} from "./batchedFlush.ts"
import {
  type Folio,
  type Frame,
  folioOf,
  folioPut,
  folioRefFreeze,
  folioRefUnfreeze,
  folioTrylock,
  freeFrozen,
  isLarge,
  maybePinned,
} from "./folio.ts"
import { findVma, type Mm, pageTableLock } from "./mm.ts"
import { isRmapped, mappedPage, type Rmapped } from "./pte.ts"
import { at } from "./range.ts"
import { isAnon, isCached, maps, removeRmap, rmapWalk, tryRmapWalk, tryShareAnonRmap } from "./rmap.ts"
import { folioAllocSwap, folioFreeSwap, leaveSwapCache, slotOf, swapDuplicate } from "./swap.ts"
import type { System } from "./system.ts"
import { dropTranslations } from "./tlb.ts"

/**
 * Reclaims the page that is mapped at an address, if one is: isolates it from the LRU, ages it, writes it to swap or to
 * its file, unmaps it everywhere and frees it, unless somebody uses it.
 *
 * @returns what became of it: "reclaimed", "kept", or "nothing" where there was none to isolate
 */
export const reclaimPage = procedure(function* (mm: Mm, va: number) {
  const frame = yield* step("isolate_folios", [mm.name, va], () => isolateFolio(mm, va))
  return frame === null ? "nothing" : yield* shrinkFolio(mm.system, frame, false)
})

/**
 * The same at the process's own wish (MADV_PAGEOUT: `reclaim_pages`, behind the page table's lock), whether or not it
 * was used of late; but not a page that somebody else maps too.
 */
export const pageoutPage = procedure(function* (mm: Mm, va: number) {
  const frame = yield* underFlushedLock(mm, va, "madvise_cold_or_pageout_pte_range", [mm.name, va], () => {
    const mapped = mappedPage(at(mm.pte, va).value)
    return mapped !== null && folioOf(mm.system.folios, mapped).mapcount === 1 ? isolateFolio(mm, va) : null
  })
  return frame === null ? "nothing" : yield* shrinkFolio(mm.system, frame, true)
})

/** `folio_isolate_lru`: a reference, and nobody else finds it on the LRU. Within a step. */
export const isolateFolio = (mm: Mm, va: number): Frame | null => {
  const frame = mappedPage(at(mm.pte, va).value)
  if (frame === null) return null
  const folio = folioOf(mm.system.folios, frame)
  // What becomes of a large one is not modelled: it stays.
  if (!folio.lru || findVma(mm, va)?.locked === true || isLarge(mm.system.folios, frame)) return null
  folio.lru = false
  folio.refcount++
  return frame
}

/**
 * `keep_locked`: gives up the folio's lock, if it has it still, and when what was put off is flushed, puts the folio
 * back on the LRU (`move_folios_to_lru`).
 */
const putback = Effect.fnUntraced(function* (system: System, frame: Frame, batch: UnmapBatch, locked = true) {
  const { folios } = system
  const unlocks = locked && batch.owed.length > 0
  if (unlocks) {
    yield* step("folio_unlock", [frame.pfn], () => {
      folioOf(folios, frame).lock = ""
    })
  }
  yield* tryToUnmapFlush(batch, frame.pfn)
  yield* step("folio_putback_lru", [frame.pfn], () => {
    if (locked && !unlocks) folioOf(folios, frame).lock = ""
    putbackLru(system, frame)
  })
  return "kept" as const
})

/** The isolation's reference goes. Within a step. */
const putbackLru = ({ folios }: System, frame: Frame): void => {
  folioOf(folios, frame).lru = true
  folioPut(folios, frame)
}

/** `shrink_folio_list`, of one folio. */
const shrinkFolio = procedure(function* (system: System, frame: Frame, ignoreReferences: boolean) {
  const { folios, swap } = system
  const locked = yield* step("folio_trylock", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    if (!folio.writeback && folioTrylock(folios, frame)) return true
    putbackLru(system, frame)
    return false
  })
  if (!locked) return "kept" as const
  const batch = unmapBatch()
  if (!ignoreReferences && (yield* folioReferenced(system, frame))) return yield* putback(system, frame, batch)

  const prepared = yield* step("folio_alloc_swap", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    if (!isAnon(folio) || !folio.swapBacked || folio.swap !== null) return true
    return !maybePinned(folio) && folioAllocSwap(swap, folio)
  })
  if (!prepared) return yield* putback(system, frame, batch)
  yield* rmapWalk(system, frame, (mm, va) => tryToUnmapOne(mm, va, frame, batch))

  const next = yield* step("shrink_folio_list", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    // It is unmapped, so nobody can pin it any more: who has may still store to it.
    if (folio.mapcount > 0 || maybePinned(folio)) return "keep"
    if (isLazyFree(folio)) return "free"
    // In no cache: truncated, or nobody's since its process has unmapped it. Who gives it back last frees it.
    if (!isCached(folio)) return "keep"
    if (!folio.dirty) return "free"
    return hasBacking(system, folio) ? "pageout" : "keep"
  })
  if (next === "pageout") {
    yield* tryToUnmapFlushDirty(batch, frame.pfn)
    const written = yield* pageout(system, frame)
    if (written !== "clean") return yield* putback(system, frame, batch, written === "keep_locked")
  }
  return yield* next === "keep" ? putback(system, frame, batch) : removeMapping(system, frame, batch)
})

/** `is_page_cache_freeable`: the references of one that only the cache and the isolation refer to. */
const freeable = 2

/** Whether a dirty page can be written anywhere: not one of shmem, which only swap could take. */
const hasBacking = (system: System, folio: Folio): boolean =>
  folio.swap !== null || inodeOf(system, folio.mapping).tracksDirty

/** `folio_test_anon && !folio_test_swapbacked`: MADV_FREE's, which may be dropped while it is clean. */
const isLazyFree = (folio: Folio): boolean => isAnon(folio) && !folio.swapBacked

/**
 * `folio_check_references`: whether anybody used the page since it was last looked at, or somebody changes the tree in
 * which its mappings are found, which is not waited for. The hardware's accessed bits are taken away entry by entry,
 * without a flush of the TLBs.
 */
const folioReferenced = procedure(function* (system: System, frame: Frame) {
  let referenced = false
  const walked = yield* tryRmapWalk(system, frame, "folio_referenced", (mm, va) =>
    Effect.tap(folioReferencedOne(mm, va, frame), (young) =>
      Effect.sync(() => {
        referenced ||= young
      }),
    ),
  )
  return !walked || referenced
})

/** `folio_referenced_one`: `ptep_clear_flush_young_notify` of an entry that maps the folio, under the page table's lock. */
const folioReferencedOne = procedure(function* (mm: Mm, va: number, frame: Frame) {
  const ptl = pageTableLock(mm, va)
  const asks = asksForYoung(mm.subscriptions)
  const { mapped, young } = yield* underLock(ptl, "folio_referenced_one", [mm.name, va], () => {
    const cell = at(mm.pte, va)
    const pte = cell.value
    if (!maps(mm, va, frame) || pte?.kind !== "present") return { mapped: false, young: false }
    if (pte.young) cell.value = { ...pte, young: false }
    if (asks) keep(ptl)
    return { mapped: true, young: pte.young }
  })
  if (!asks || !mapped) return young
  const used = yield* mmuNotifierClearFlushYoung(mm.subscriptions, va)
  yield* step("folio_referenced_one: pte_unmap_unlock", [mm.name, va], () => release(ptl))
  return young || used
})

/** `try_to_unmap_one`: replaces the entry by one that leads to swap, or by nothing for a page of a file. */
const tryToUnmapOne = Effect.fnUntraced(function* (mm: Mm, va: number, frame: Frame, batch: UnmapBatch) {
  const { folios, swap } = mm.system
  const ptl = pageTableLock(mm, va)
  const window = notifierRange("CLEAR", "try_to_unmap_one", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const taken = yield* clearOrDefer(mm, va, frame, "try_to_unmap_one", batch)
  if (taken !== null) {
    const lazy = yield* step("try_to_unmap_one", [mm.name, va], () => {
      const folio = folioOf(folios, frame)
      if (isLazyFree(folio)) return folio.refcount === 1 + folio.mapcount ? "unused" : "used"
      const cell = at(mm.pte, va)
      release(ptl)
      if (!isAnon(folio)) mm.rss.file--
      else {
        const exclusive = folio.anonExclusive
        if (folio.swap === null || !tryShareAnonRmap(folio)) {
          cell.value = taken
          return
        }
        swapDuplicate(swap, folio.swap)
        mm.rss.anon--
        mm.rss.swap++
        cell.value = { kind: "swap", slot: folio.swap, exclusive }
      }
      removeRmap(folio)
      folioPut(folios, frame)
    })
    if (lazy === "used" || lazy === "unused") yield* discardLazyFree(mm, va, taken, lazy === "unused")
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/**
 * The rest of `try_to_unmap_one`, for a page of MADV_FREE's: it is given up if nobody uses it and it is clean. References
 * were counted before the dirty bit is looked at: whoever stores through a reference marks the page before dropping that.
 */
const discardLazyFree = (mm: Mm, va: number, taken: Rmapped, unused: boolean): Effect.Effect<void> =>
  step("try_to_unmap_one: folio_test_dirty", [mm.name, va], () => {
    release(pageTableLock(mm, va))
    const folio = folioOf(mm.system.folios, taken.page)
    if (folio.dirty) folio.swapBacked = true
    if (!unused || folio.dirty) {
      at(mm.pte, va).value = taken
      return
    }
    mm.rss.anon--
    removeRmap(folio)
    folioPut(mm.system.folios, taken.page)
  })

/**
 * Clears an entry that maps the folio, and keeps its page table's lock then. The flush is put off where it may be: until
 * then a CPU whose translation is writable and dirty can go on storing to the page.
 */
export const clearOrDefer = Effect.fnUntraced(function* (
  mm: Mm,
  va: number,
  frame: Frame,
  by: "try_to_unmap_one" | "try_to_migrate_one",
  batch: UnmapBatch | null,
) {
  const ptl = pageTableLock(mm, va)
  const deferred = batch !== null && shouldDeferFlush(mm)
  const name = deferred ? "ptep_get_and_clear" : "ptep_clear_flush"
  const cleared = yield* underLock(ptl, `${by}: ${name}`, [mm.name, va], () => {
    const taken = deferred ? takeMapping(mm, va, frame) : clearMapping(mm, va, frame)
    if (taken === null) return null
    if (deferred && taken.kind === "present") setFlushPending(mm, va)
    keep(ptl)
    return taken
  })
  if (deferred && cleared?.kind === "present") addToBatch(batch, mm, va, cleared)
  return cleared
})

/**
 * `ptep_clear_flush` of an entry that maps the folio: the hardware cannot change it any more, no TLB has it, and its
 * dirty bit is the folio's. `null` where another page is mapped. Within a step, under the page table's lock.
 */
export const clearMapping = (mm: Mm, va: number, frame: Frame): Rmapped | null => {
  const taken = takeMapping(mm, va, frame)
  if (taken !== null) dropTranslations(mm, { start: va, end: va + 1 })
  return taken
}

/** `ptep_get_and_clear`, likewise; what the TLBs have stays. */
const takeMapping = (mm: Mm, va: number, frame: Frame): Rmapped | null => {
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (!isRmapped(pte) || !maps(mm, va, frame)) return null
  cell.value = null
  if (pte.kind === "present" && pte.dirty) folioOf(mm.system.folios, frame).dirty = true
  return pte
}

/**
 * `pageout`, to a device that has done when the write returns (`swap_writepage_bdev_sync`): the page is under writeback
 * and not locked meanwhile, and may be used again. What is written is what is in it when the write is submitted; what is
 * stored from then on makes it dirty again.
 */
const pageout = procedure(function* (system: System, frame: Frame) {
  const { folios, swap } = system
  const submitted = yield* step("pageout", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    if (folio.refcount !== freeable) return "keep_locked"
    folio.dirty = false
    if (folioFreeSwap(swap, folios, frame)) {
      // Nobody needs what would be written (swap_writeout).
      folio.lock = ""
      return "keep"
    }
    folio.writeback = true
    if (folio.swap !== null) slotOf(swap, folio.swap).content = folio.content
    else at(inodeOf(system, folio.mapping).disk, folio.offset).value = folio.content
    folio.lock = ""
    return "submitted"
  })
  if (submitted !== "submitted") return submitted
  yield* step("folio_end_writeback", [frame.pfn], () => {
    folioOf(folios, frame).writeback = false
  })
  return yield* step("pageout: folio_trylock", [frame.pfn], () => {
    const folio = folioOf(folios, frame)
    if (folio.dirty || folio.writeback || !folioTrylock(folios, frame)) return "keep"
    return "clean"
  })
})

/**
 * `__remove_mapping`, and what follows: frees the page if nobody but the cache and the isolation refers to it, and it is
 * clean. The references are frozen before the dirty bit is looked at: who stored to the page by one has said so before
 * giving it back. A page of MADV_FREE's is in no cache, and nobody's once it is frozen.
 */
const removeMapping = Effect.fnUntraced(function* (system: System, frame: Frame, batch: UnmapBatch) {
  const { folios, swap } = system
  const references = yield* step("folio_ref_freeze", [frame.pfn], () => {
    const expected = isCached(folioOf(folios, frame)) ? freeable : 1
    return folioRefFreeze(folios, frame, expected) ? expected : 0
  })
  if (references === 0) return yield* putback(system, frame, batch)
  if (references === freeable) {
    const removed = yield* step("__remove_mapping", [frame.pfn], () => {
      const folio = folioOf(folios, frame)
      if (folio.dirty) {
        folioRefUnfreeze(folios, frame, references)
        return false
      }
      if (folio.swap !== null) leaveSwapCache(swap, folio)
      else filemapRemoveFolio(system, folio)
      folio.lock = ""
      return true
    })
    if (!removed) return yield* putback(system, frame, batch)
  }
  yield* tryToUnmapFlush(batch, frame.pfn)
  yield* step("free_unref_folios", [frame.pfn], () => {
    folioOf(folios, frame).lock = ""
    freeFrozen(folios, frame)
  })
  return "reclaimed" as const
})
