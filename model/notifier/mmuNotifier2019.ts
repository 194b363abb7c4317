/**
 * The classic notifiers as Linux 5.3 had them (mm/mmu_notifier.c), where they differ from today's (mmuNotifier.ts,
 * mmuNotifierRange.ts): a start that is refused is not unwound, and a notifier may be unlinked without its release being
 * called, for its owner to free behind a grace period. And those who announced ranges then, on the small address space.
 */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { folioPut } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { downRead, type RwSem, upRead } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { callSrcu } from "../sync/srcu.ts"
import { rangeCallback } from "./callback.ts"
import { type NotifierCaller, type NotifierRange, notifierRange } from "./events.ts"
import { forEachListed, hlistEmpty, listDelete, type MmuNotifier, underSrcu } from "./mmuNotifier.ts"
import { type NotifiedMm, oomReapTaskBy } from "./notifiedMm.ts"

/**
 * `mmu_notifier_invalidate_range_start`: all on the list are called. False (-EAGAIN) when one of them refused; those
 * that did not are never told of an end, so who counts must not count a start that it refuses.
 */
const invalidateRangeStart = procedure(function* (mm: NotifiedMm, range: NotifierRange) {
  if (yield* hlistEmpty(mm)) return true
  const start = "invalidate_range_start"
  const answers = yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, start, ({ ops }) => {
      const callback = ops.invalidateRangeStart?.(range)
      return callback === undefined ? undefined : rangeCallback(start, range, callback)
    }),
  )
  return !answers.includes(false)
})

/** `mmu_notifier_invalidate_range_end` */
const invalidateRangeEnd = procedure(function* (mm: NotifiedMm, range: NotifierRange) {
  if (yield* hlistEmpty(mm)) return
  const end = "invalidate_range_end"
  yield* underSrcu(
    mm.subs,
    forEachListed(mm.subs, end, ({ ops }) => {
      const callback = ops.invalidateRangeEnd?.(range)
      return callback === undefined ? undefined : rangeCallback(end, range, callback)
    }),
  )
})

/** `mmu_notifier_unregister_no_release`: off the list. Whoever found it there before may still be in a callback of it. */
export const mmuNotifierUnregisterNoRelease = (mm: NotifiedMm, gone: MmuNotifier): Effect.Effect<void> =>
  underLock(mm.subs.itree.lock, "mmu_notifier_unregister_no_release", [gone.name], () => {
    listDelete(mm.subs, gone)
    mm.state.count--
  })

/** `mmu_notifier_call_srcu`: has something done when all who could have found the notifier on the list have left. */
export const mmuNotifierCallSrcu = (
  mm: NotifiedMm,
  gone: MmuNotifier,
  free: Effect.Effect<void>,
): Effect.Effect<void> => callSrcu(mm.subs.srcu, gone.name, free)

/** `zap_pte_range`: takes the pages of a range away and frees them. */
const zap = (mm: NotifiedMm, range: Range): Effect.Effect<void> =>
  step("zap_pte_range", [mm.name, range.start, range.end], () => {
    for (const va of pagesOf(range)) {
      const pte = at(mm.pte, va)
      if (pte.value !== null) folioPut(mm.folios, pte.value)
      pte.value = null
    }
  })

/** What is done between a start and an end, under a lock that keeps `register` away. */
const invalidates = (lock: (mm: NotifiedMm) => RwSem, [take, give]: readonly [string, string], by: NotifierCaller) =>
  procedure(function* (mm: NotifiedMm, pages: Range) {
    const range = notifierRange("CLEAR", by, pages)
    yield* downRead(lock(mm), take, [mm.name])
    yield* invalidateRangeStart(mm, range)
    yield* zap(mm, pages)
    yield* invalidateRangeEnd(mm, range)
    yield* upRead(lock(mm), give, [mm.name])
  })

/** A truncation of the file. */
export const truncate2019 = invalidates(
  ({ iMmapRwsem }) => iMmapRwsem,
  ["i_mmap_lock_read", "i_mmap_unlock_read"],
  "unmap_mapping_range",
)

/** Reclaim: `try_to_unmap_one`. */
export const reclaim2019 = invalidates(
  ({ anonVmaRwsem }) => anonVmaRwsem,
  ["anon_vma_lock_read", "anon_vma_unlock_read"],
  "try_to_unmap_one",
)

/**
 * `madvise(MADV_DONTNEED)`, with `mmap_lock` held for reading, as areas had no lock of their own; and what munmap does
 * once it has taken the area out and downgraded.
 */
export const madviseDontneed2019 = invalidates(
  ({ mmapLock }) => mmapLock,
  ["mmap_read_lock", "mmap_read_unlock"],
  "zap_page_range_single",
)

/** `oom_reap_task` */
export const oomReapTask2019 = oomReapTaskBy({ start: invalidateRangeStart, zap, end: invalidateRangeEnd })
