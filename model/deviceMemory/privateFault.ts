/** A CPU's fault on a page in memory that it cannot reach (mm/memory.c: do_swap_page). */
import * as Effect from "effect/Effect"
import { guardedStep, step } from "../../checker/program/index.ts"
import type { FaultFlags, FaultResult } from "../mm/fault.ts"
import { folioLockWait, folioOf, folioPut, folioTrylock, isGoneOrUnlocked } from "../mm/folio.ts"
import { type Mm, pageTableLock } from "../mm/mm.ts"
import { type Private, pteSame } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { underLock } from "../sync/spinlock.ts"
import { pgmapOf } from "./pgmap.ts"

/**
 * The device-private part of `do_swap_page`: whoever gets the page's lock has its driver move it to system memory; the
 * others wait for the lock and hold no reference meanwhile, as it would stand in the way of the migration.
 */
export const doDevicePrivate = Effect.fnUntraced(function* (mm: Mm, va: number, orig: Private, flags: FaultFlags) {
  const { folios } = mm.system
  // The driver's part wants mmap_lock.
  if (flags.vmaLock === true) return "RETRY" as const
  const next = yield* underLock(pageTableLock(mm, va), "do_swap_page: trylock_page", [mm.name, va], () => {
    if (!pteSame(at(mm.pte, va).value, orig)) return "done"
    const folio = folioOf(folios, orig.page)
    if (!folioTrylock(folio)) return "locked"
    folio.refcount++
    return "migrate"
  })
  if (next === "done") return next
  if (next === "locked") return yield* waitOnLocked(mm, orig)
  const pgmap = pgmapOf(folios, orig.page)
  if (pgmap === undefined) throw new RangeError(`page ${orig.page.pfn} is no device's`)
  const result: FaultResult = yield* pgmap.migrateToRam({ mm, va, page: orig.page })
  yield* step("do_swap_page: unlock_page, put_page", [orig.page.pfn], () => {
    folioOf(folios, orig.page).lock = ""
    folioPut(folios, orig.page)
  })
  return result
})

/** `softleaf_entry_wait_on_locked`: queued before the page table's lock is given up, so that the page cannot go meanwhile. */
const waitOnLocked = ({ system }: Mm, { page }: Private): Effect.Effect<FaultResult> =>
  guardedStep(
    "softleaf_entry_wait_on_locked",
    [page.pfn],
    () => isGoneOrUnlocked(system.folios, page),
    () => "done" as const,
    folioLockWait(system.folios, page),
  )
