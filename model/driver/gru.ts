/**
 * GRU (drivers/misc/sgi-gru: grutlbpurge.c): a coprocessor whose TLB follows the process by the classic notifier. The
 * driver counts invalidations under way, and has no sequence of those that are over: that one begins and ends between
 * look-up and installation is seen by the hardware, which ignores an entry that is dropped in for a fault that the driver
 * has read before the invalidation. There is no release: at the end of an address space, too, ranges are announced as they
 * are unmapped. Its ASIDs, and contexts that are not loaded, are left out.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { canStartWrite, type Mm, mmapWriteLock, mmapWriteUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { type WaitQueue, waitQueue, wakeUpAll } from "../sync/waitQueue.ts"

/** An entry of a GRU's TLB: `page` is `null` for the zero page. */
export type GruTlbEntry = { readonly page: Frame | null; readonly write: boolean }

/** One GRU, which executes one instruction at a time. */
export interface Gru {
  readonly name: string
  readonly tlb: ReadonlyArray<Cell<GruTlbEntry | null>>
  /** `struct gru_tlb_fault_handle`: the fault that the instruction has taken. */
  readonly tfh: Struct<{
    va: number
    write: boolean
    /** Whether the driver has read it, and neither put it back nor been overtaken by an invalidation since. */
    resident: boolean
  }>
}

/** `struct gru_mm_struct`: what the driver keeps for a process. */
export interface GruMm {
  readonly mm: Mm
  readonly state: Struct<{
    /** Whether its notifier is on the process's list. */
    registered: boolean
    /** `ms_range_active` */
    rangeActive: number
  }>
  /** `ms_wait_queue` */
  readonly waitQueue: WaitQueue
  readonly grus: ReadonlyArray<Gru>
}

/** What the driver keeps for a process, with the GRUs that it uses; the notifier is registered, or will be. */
export const gruMm = (mm: Mm, grus: ReadonlyArray<string>, registered = true): GruMm => {
  const gms: GruMm = {
    mm,
    state: struct("gms", { registered, rangeActive: 0 }),
    waitQueue: waitQueue("gms.wait_queue"),
    grus: grus.map((name) => ({
      name,
      tlb: mm.pte.map((_, va) => cell<GruTlbEntry | null>(`${name}.tlb${va}`, null)),
      tfh: struct(`${name}.tfh`, { va: 0, write: false, resident: false }),
    })),
  }
  mm.subscriptions.forLife.push({
    invalidateRangeStart: (range) => gruInvalidateRangeStart(gms, range),
    invalidateRangeEnd: (range) => gruInvalidateRangeEnd(gms, range),
  })
  return gms
}

/** `gru_invalidate_range_start`: counts it first, so that who is not flushed away finds it. It never refuses. */
const gruInvalidateRangeStart = procedure(function* (gms: GruMm, range: NotifierRange) {
  const { state } = gms
  const { start, end } = range
  const listed = yield* step("gru_invalidate_range_start", [start, end], () => {
    if (state.registered) state.rangeActive++
    return state.registered
  })
  if (!listed) return true
  // gru_flush_tlb_range
  for (const gru of gms.grus) yield* tghInvalidate(gru, range)
  return true
})

/** `tgh_invalidate`, and what the hardware does then: the entries go, and faults there that the driver has read are void. */
const tghInvalidate = ({ name, tlb, tfh }: Gru, { start, end }: Range): Effect.Effect<void> =>
  step("tgh_invalidate", [name, start, end], () => {
    for (const va of pagesOf({ start, end })) at(tlb, va).value = null
    if (start <= tfh.va && tfh.va < end) tfh.resident = false
  })

/** `gru_invalidate_range_end` */
const gruInvalidateRangeEnd = procedure(function* ({ state, waitQueue }: GruMm, { start, end }: NotifierRange) {
  const listed = yield* step("gru_invalidate_range_end", [start, end], () => {
    if (state.registered) state.rangeActive--
    return state.registered
  })
  if (listed) yield* wakeUpAll(waitQueue)
})

/**
 * `gru_register_mmu_notifier`: under all locks that an invalidation can be under way with (mm_take_all_locks), so that no
 * notifier hears of an end without a start.
 */
export const gruRegisterMmuNotifier = procedure(function* ({ mm, state }: GruMm) {
  const { anonVmaLock } = mm.system
  yield* mmapWriteLock(mm)
  yield* guardedStep(
    "mmu_notifier_get_locked",
    [mm.name],
    () =>
      canStartWrite(mm, { start: 0, end: mm.pages }) &&
      anonVmaLock.state.writer === "" &&
      anonVmaLock.state.readers.length === 0,
    () => {
      state.registered = true
    },
  )
  yield* mmapWriteUnlock(mm)
})
