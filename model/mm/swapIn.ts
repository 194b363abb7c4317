/** Swapping in (mm/memory.c: do_swap_page). */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { underLock } from "../sync/spinlock.ts"
import { lockedVma } from "./fault.ts"
import { type Frame, folioAlloc, folioLockWait, folioOf, folioPut, isFrozen } from "./folio.ts"
import { type Mm, pageTableLock } from "./mm.ts"
import { present, pteSame, type Swap } from "./pte.ts"
import { at } from "./range.ts"
import { addAnonRmap } from "./rmap.ts"
import { addToSwapCache, folioFreeSwap, slotOf, swapFree } from "./swap.ts"
import { mostAccess } from "./vma.ts"

/**
 * `do_swap_page`: the page comes through the swap cache, which keeps the slot from being used for anything else while
 * the page is read, and is mapped if the entry still is the one that was met.
 */
export const doSwapPage = procedure(function* (mm: Mm, va: number, orig: Swap, write: boolean) {
  const { folios, swap } = mm.system
  const cached = yield* guardedStep(
    "swap_cache_get_folio",
    [mm.name, va],
    () => !isFrozen(folios, swap.slots[orig.slot]?.cache ?? null),
    () => {
      // The slot may have been given up since the entry was read, and even taken for another page.
      const slot = swap.slots[orig.slot]
      if (slot === undefined || !slot.live) return "changed"
      if (slot.cache !== null) {
        folioOf(folios, slot.cache).refcount++
        return { frame: slot.cache, fresh: false }
      }
      const frame = folioAlloc(folios, mm.name)
      if (frame === null) return "-ENOMEM"
      const folio = folioOf(folios, frame)
      folio.lock = self()
      addToSwapCache(slot, folio)
      return { frame, fresh: true }
    },
  )
  if (cached === "changed") return "done" as const
  if (cached === "-ENOMEM") return "OOM" as const
  const { frame, fresh } = cached
  if (fresh) {
    yield* step("swap_read_folio", [frame.pfn, orig.slot], () => {
      const folio = folioOf(folios, frame)
      folio.content = slotOf(swap, orig.slot).content
      folio.lru = true
    })
  } else {
    const locked = yield* lockSwapped(mm, frame, orig)
    if (!locked) return "done" as const
  }
  yield* underLock(pageTableLock(mm, va), "do_swap_page", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    const folio = folioOf(folios, frame)
    folio.lock = ""
    if (!pteSame(pte.value, orig)) {
      folioPut(folios, frame)
      return
    }
    swapFree(swap, orig.slot)
    // References: the swap cache's and the one that becomes the entry's.
    if (write && folio.refcount === 2) folioFreeSwap(swap, folios, frame)
    addAnonRmap(folio, lockedVma(mm, va), orig.exclusive || folio.refcount === 1)
    mm.rss.anon++
    mm.rss.swap--
    const access = write && folio.anonExclusive ? mostAccess(lockedVma(mm, va)) : "read"
    pte.value = present(frame, access, { dirty: access === "write" })
  })
  return "done" as const
})

/** Locks a folio of the swap cache, unless it has left it meanwhile; then the reference is dropped. */
const lockSwapped = (mm: Mm, frame: Frame, { slot }: Swap): Effect.Effect<boolean> => {
  const { folios } = mm.system
  return guardedStep(
    "folio_lock_or_retry",
    [frame.pfn],
    () => folioOf(folios, frame).lock === "",
    () => {
      const folio = folioOf(folios, frame)
      if (folio.swap !== slot) {
        folioPut(folios, frame)
        return false
      }
      folio.lock = self()
      return true
    },
    folioLockWait(folios, frame),
  )
}
