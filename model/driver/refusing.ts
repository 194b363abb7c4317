/**
 * A driver with an interval subscription for the sequence and a classic notifier for the flush, as nouveau's shared
 * virtual memory has (drivers/gpu/drm/nouveau/nouveau_svm.c), and a mutex that both callbacks take. Where the range is
 * not blockable this one tries the mutex and refuses when it is held; so it defines no end.
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, step } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { at, pagesOf } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type MmuNotifier, mmuNotifier } from "../notifier/mmuNotifier.ts"
import { getUserPage, mmgetNotZero, mmput, type NotifiedMm } from "../notifier/notifiedMm.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** The driver's state for one address space. */
export interface RefusingDevice {
  readonly name: string
  readonly mm: NotifiedMm
  readonly notifier: MmuNotifier
  readonly iv: IntervalSubscription
  /** `svmm->mutex` */
  readonly lock: Mutex
  readonly pageTable: ReadonlyArray<Cell<Frame | null>>
}

/** Makes a device that maps nothing, with subscriptions that are neither registered nor inserted. */
export const refusingDevice = (mm: NotifiedMm, name: string): RefusingDevice => {
  const lock = mutex(`${name}.mutex`)
  const pageTable = mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  const take = ({ blockable }: NotifierRange) => (blockable ? Effect.as(mutexLock(lock), true) : mutexTrylock(lock))

  const iv: IntervalSubscription = intervalSubscription(
    mm.subs.itree,
    name,
    { start: 0, end: mm.pages },
    Effect.fnUntraced(function* (range: NotifierRange, seq: number) {
      if (!(yield* take(range))) return false
      yield* mmuIntervalSetSeq(iv, seq)
      yield* mutexUnlock(lock)
      return true
    }),
  )
  const flush = (start: number, end: number) =>
    step("nouveau_svmm_invalidate", [name, start, end], () => {
      for (const va of pagesOf({ start, end })) at(pageTable, va).value = null
    })
  const notifier = mmuNotifier(mm.subs, name, name, {
    invalidateRangeStart: Effect.fnUntraced(function* (range: NotifierRange) {
      if (!(yield* take(range))) {
        return yield* step("nouveau_svmm_invalidate_range_start: -EAGAIN", [name], () => false)
      }
      yield* flush(range.start, range.end)
      yield* mutexUnlock(lock)
      return true
    }),
    release: Effect.fnUntraced(function* () {
      yield* mutexLock(lock)
      yield* flush(0, mm.pages)
      yield* mutexUnlock(lock)
    }),
  })
  return { name, mm, notifier, iv, lock, pageTable }
}

/**
 * A device fault (nouveau_svm_fault, nouveau_range_fault).
 *
 * @returns false when the process has nothing there, or is gone
 */
export const refusingFault = Effect.fnUntraced(function* (device: RefusingDevice, va: number) {
  const { iv, lock, mm, name, pageTable } = device
  const head = yield* enterLoop("nouveau_range_fault")
  for (;;) {
    yield* head()
    if (!(yield* mmgetNotZero(mm))) return false
    const seq = yield* mmuIntervalReadBegin(mm.subs.itree, iv)
    const page = yield* getUserPage(mm, va)
    if (page === null) {
      yield* mmput(mm)
      return false
    }
    yield* mutexLock(lock)
    const retry = yield* mmuIntervalReadRetry(iv, seq)
    if (!retry) {
      yield* step("device_map", [name, va], () => {
        at(pageTable, va).value = page
      })
    }
    yield* mutexUnlock(lock)
    yield* mmput(mm)
    if (!retry) return true
  }
})
