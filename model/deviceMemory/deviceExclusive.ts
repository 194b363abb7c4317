/** Pages of system memory that a device has for itself, for atomic accesses (mm/rmap.c, mm/memory.c). */
import type * as Effect from "effect/Effect"
import { enterLoop, procedure, step } from "../../checker/program/index.ts"
import type { FaultResult } from "../mm/fault.ts"
import { type Frame, folioLock, folioOf, folioPut, folioTryGet } from "../mm/folio.ts"
import { getUserPage, putUserPage } from "../mm/gup.ts"
import { findVma, type Mm, pageTableLock } from "../mm/mm.ts"
import { canChangeWritable } from "../mm/protect.ts"
import { type Exclusive, isWritable, type Present, present, pteSame } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { isAnon } from "../mm/rmap.ts"
import { dropTranslations } from "../mm/tlb.ts"
import { mostAccess } from "../mm/vma.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"

/**
 * `make_device_exclusive`, of one page, `mmap_lock` held for read: the process's entry says that the page is the device's,
 * so that its next access takes it back. The page is locked and referred to: nobody takes it back before the driver has
 * programmed the device and unlocks it. What others have pinned they keep.
 *
 * @param owner whose devices leave their entries where they are
 * @returns the page, or why there is none
 */
export const makeDeviceExclusive = procedure(function* (mm: Mm, va: number, owner: string) {
  const { folios } = mm.system
  const window = { ...notifierRange("EXCLUSIVE", "make_device_exclusive", { start: va, end: va + 1 }), owner }
  const ptl = pageTableLock(mm, va)
  const head = yield* enterLoop("make_device_exclusive")
  for (;;) {
    yield* head()
    const got = yield* getUserPage(mm, va, { write: true, pin: false })
    if (typeof got === "string") return got
    const { frame } = got
    const anonymous = yield* step("make_device_exclusive: folio_test_anon", [mm.name, va], () =>
      frame === null ? false : isAnon(folioOf(folios, frame)),
    )
    if (frame === null || !anonymous) {
      yield* putUserPage(mm.system, got)
      return "EOPNOTSUPP" as const
    }
    yield* folioLock(folios, frame)
    yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
    const found = yield* underLock(ptl, "make_device_exclusive: ptep_clear_flush", [mm.name, va], () => {
      const cell = at(mm.pte, va)
      const pte = cell.value
      if (pte?.kind !== "present" || pte.page.pfn !== frame.pfn || !isWritable(pte)) return false
      cell.value = null
      if (pte.dirty) folioOf(folios, frame).dirty = true
      dropTranslations(mm, window)
      keep(ptl)
      return true
    })
    if (found) {
      yield* step("make_device_exclusive: set_pte_at", [mm.name, va], () => {
        at(mm.pte, va).value = { kind: "exclusive", page: frame }
        release(ptl)
      })
    }
    yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
    if (found) return frame
    yield* unlockAndPut(mm, frame)
  }
})

/** The driver has programmed its device: whoever wants the page back may take it. */
export const unlockAndPut = ({ system }: Mm, frame: Frame): Effect.Effect<void> =>
  step("folio_unlock, folio_put", [frame.pfn], () => {
    folioOf(system.folios, frame).lock = ""
    folioPut(system.folios, frame)
  })

/** `remove_device_exclusive_entry`: a fault of the process takes the page back, the devices being told first. */
export const removeDeviceExclusiveEntry = procedure(function* (mm: Mm, va: number, orig: Exclusive) {
  const { folios } = mm.system
  const frame = yield* step("remove_device_exclusive_entry: folio_try_get", [mm.name, va], () =>
    folioTryGet(folios, orig.page.pfn),
  )
  if (frame === null) return "done" as const
  yield* folioLock(folios, frame)
  const window = notifierRange("CLEAR", "remove_device_exclusive_entry", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* underLock(pageTableLock(mm, va), "restore_exclusive_pte", [mm.name, va], () => {
    if (pteSame(at(mm.pte, va).value, orig)) restoreExclusivePte(mm, va, orig)
  })
  yield* unlockAndPut(mm, frame)
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return "done" satisfies FaultResult
})

/** `restore_exclusive_pte`: what the area allows, and for writing what the page does. Within a step, under the lock. */
const restoreExclusivePte = (mm: Mm, va: number, { page }: Exclusive): Present => {
  const vma = findVma(mm, va)
  const most = vma === null ? "none" : mostAccess(vma)
  const old = present(page, most === "write" ? "read" : most, { young: false })
  const writable = most === "write" && canChangeWritable(mm, va, old)
  const restored: Present = writable ? { ...old, access: "write", dirty: folioOf(mm.system.folios, page).dirty } : old
  at(mm.pte, va).value = restored
  return restored
}

/** `try_restore_exclusive_pte`: by fork, which has told the devices; `null` where the page is locked. Within a step, under the lock. */
export const tryRestoreExclusivePte = (mm: Mm, va: number, pte: Exclusive): Present | null =>
  folioOf(mm.system.folios, pte.page).lock === "" ? restoreExclusivePte(mm, va, pte) : null
