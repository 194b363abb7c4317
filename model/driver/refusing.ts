/**
 * A driver with an interval subscription for the sequence and a classic notifier for the flush, as nouveau's shared
 * virtual memory has (drivers/gpu/drm/nouveau/nouveau_svm.c), and a mutex that both callbacks take. Where the range is
 * not blockable this one tries the mutex and refuses when it is held; so it defines no end.
 *
 * It can move pages to memory of its own, and have them exclusively. These events of its own doing it ignores, each in
 * the callback that would be in its way.
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type Frame, folioAlloc, folioPut } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierEvent, NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type MmuNotifier, mmuNotifier } from "../notifier/mmuNotifier.ts"
import {
  folioUnlock,
  getUserPage,
  makeDeviceExclusive,
  migrateVmaSetup,
  mmgetNotZero,
  mmput,
  type NotifiedMm,
} from "../notifier/notifiedMm.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"
import { downRead, upRead } from "../sync/rwsem.ts"

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

/** Makes a device that maps nothing, with subscriptions, to all pages or to those watched, that are neither registered nor inserted. */
export const refusingDevice = (
  mm: NotifiedMm,
  name: string,
  watched: Range = { start: 0, end: mm.pages },
): RefusingDevice => {
  const lock = mutex(`${name}.mutex`)
  const pageTable = mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  /** Whether it is the device's own doing: it sees to its page table itself then. */
  const isOwn = ({ event, owner }: NotifierRange, own: NotifierEvent) =>
    owner === undefined || event !== own
      ? Effect.succeed(false)
      : step("range->owner", [name, event, owner], () => owner === name)
  const take = ({ blockable }: NotifierRange) => (blockable ? Effect.as(mutexLock(lock), true) : mutexTrylock(lock))

  const iv: IntervalSubscription = intervalSubscription(
    mm.subs.itree,
    name,
    watched,
    procedure(function* (range: NotifierRange, seq: number) {
      if (yield* isOwn(range, "EXCLUSIVE")) return true
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
    invalidateRangeStart: procedure(function* (range: NotifierRange) {
      if (yield* isOwn(range, "MIGRATE")) return true
      if (!(yield* take(range))) {
        return yield* step("nouveau_svmm_invalidate_range_start: -EAGAIN", [name], () => false)
      }
      yield* flush(range.start, range.end)
      yield* mutexUnlock(lock)
      return true
    }),
    release: procedure(function* () {
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
export const refusingFault = procedure(function* (device: RefusingDevice, va: number) {
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

/**
 * An atomic access of the device (nouveau_atomic_range_fault), to a page that nobody else may have meanwhile. It hears
 * of its own doing no more than that, or it would begin again for ever.
 *
 * @returns false when the process has nothing there
 */
export const refusingAtomicFault = procedure(function* (device: RefusingDevice, va: number) {
  const { iv, lock, mm, name, pageTable } = device
  const head = yield* enterLoop("nouveau_atomic_range_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subs.itree, iv)
    yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
    const page = yield* makeDeviceExclusive(mm, va, name)
    yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
    if (page === null) return false
    yield* mutexLock(lock)
    const retry = yield* mmuIntervalReadRetry(iv, seq)
    if (!retry) {
      yield* step("device_map", [name, va], () => {
        at(pageTable, va).value = page
      })
    }
    yield* mutexUnlock(lock)
    // Who wants the page back has to wait until here, so that each has its turn.
    yield* folioUnlock(mm, va)
    if (!retry) return true
  }
})

/**
 * Moves a page to the device's memory (nouveau_dmem_migrate_vma): its page table is repointed before the old page is
 * freed, so the flush for that may be left out. From there on the page is the device's alone.
 *
 * @returns false when the process has nothing there
 */
export const refusingMigrate = procedure(function* (device: RefusingDevice, va: number) {
  const { lock, mm, name, pageTable } = device
  yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
  const old = yield* migrateVmaSetup(mm, va, name)
  if (old !== null) {
    const moved = yield* step("nouveau_dmem_migrate_copy_one", [name, va], () => folioAlloc(mm.folios, mm.name))
    yield* mutexLock(lock)
    yield* step("nouveau_pfns_map", [name, va], () => {
      at(pageTable, va).value = moved
    })
    yield* mutexUnlock(lock)
    yield* step("migrate_vma_finalize", [mm.name, va], () => folioPut(mm.folios, old))
  }
  yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
  return old !== null
})
