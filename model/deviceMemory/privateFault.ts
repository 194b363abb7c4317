/** A CPU's fault on a page in memory that it cannot reach (mm/memory.c: do_swap_page). */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import type { FaultFlags, FaultResult } from "../mm/fault.ts"
import { type Folios, type Frame, folioPut, folioTrylock, folioUnlock, waitOnLocked } from "../mm/folio.ts"
import { compoundHead, folioGet } from "../mm/largeFolio.ts"
import { isHuge, type Mm, pageTableLock, spanOf } from "../mm/mm.ts"
import { type Private, pteSame } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { underLock } from "../sync/spinlock.ts"
import { type PrivateFault, pgmapOf } from "./pgmap.ts"

/**
 * The device-private part of `do_swap_page`: whoever gets the page's lock has its driver move it to system memory; the
 * others wait for the lock and hold no reference meanwhile, as it would stand in the way of the migration.
 */
export const doDevicePrivate = procedure(function* (mm: Mm, va: number, orig: Private, flags: FaultFlags) {
  const { folios } = mm.system
  // The driver's part wants mmap_lock.
  if (flags.vmaLock === true) return "RETRY" as const
  const next = yield* underLock(pageTableLock(mm, va), "do_swap_page: trylock_page", [mm.name, va], () => {
    if (!pteSame(at(mm.pte, va).value, orig)) return "done"
    return lockAndGet(folios, orig.page) ? "migrate" : "locked"
  })
  if (next === "done") return next
  if (next === "locked") return yield* softleafEntryWaitOnLocked(mm, orig)
  return yield* migrateToRam({ mm, va, page: orig.page }, "do_swap_page: unlock_page, put_page")
})

/** `do_huge_pmd_device_private`: the same where a huge page is mapped as one. */
export const doHugePmdDevicePrivate = procedure(function* (mm: Mm, va: number, orig: Private, flags: FaultFlags) {
  const { folios } = mm.system
  if (flags.vmaLock === true) return "RETRY" as const
  const { start } = spanOf(mm, va)
  const next = yield* underLock(pageTableLock(mm, va), "do_huge_pmd_device_private", [mm.name, va], () => {
    if (!isHuge(mm, va) || !pteSame(at(mm.pte, start).value, orig)) return "done"
    return lockAndGet(folios, orig.page) ? "migrate" : "locked"
  })
  if (next === "done") return next
  if (next === "locked") return yield* softleafEntryWaitOnLocked(mm, orig)
  return yield* migrateToRam(
    { mm, va, page: orig.page, huge: true },
    "do_huge_pmd_device_private: folio_unlock, folio_put",
  )
})

/** False where somebody else has the folio's lock. Within a step. */
const lockAndGet = (folios: Folios, page: Frame): boolean => {
  if (!folioTrylock(folios, page)) return false
  folioGet(folios, page)
  return true
}

/** Has the driver bring the page back, which is then unlocked and put. */
const migrateToRam = procedure(function* (fault: PrivateFault, end: string) {
  const { mm, page } = fault
  const { folios } = mm.system
  const pgmap = pgmapOf(folios, page)
  if (pgmap === undefined) throw new RangeError(`page ${page.pfn} is no device's`)
  const result: FaultResult = yield* pgmap.migrateToRam(fault)
  yield* step(end, [page.pfn], () => {
    folioUnlock(folios, page)
    folioPut(folios, compoundHead(folios, page))
  })
  return result
})

/** `softleaf_entry_wait_on_locked`: queued before the page table's lock is given up, so that the page cannot go meanwhile. */
const softleafEntryWaitOnLocked = ({ system }: Mm, { page }: Private): Effect.Effect<FaultResult> =>
  waitOnLocked(system.folios, "softleaf_entry_wait_on_locked", page)
