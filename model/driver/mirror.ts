/**
 * A device that mirrors the CPU's page table in one of its own: the loop of Documentation/mm/hmm.rst, "Address space
 * mirroring implementation and API".
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type HmmPfn, hmmRangeFault } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, type Folios, folioOf, isLive } from "../mm/folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** A mirroring device, with the driver's state for one process. */
export interface MirrorDevice {
  readonly name: string
  readonly mm: Mm
  readonly iv: IntervalSubscription
  /** The driver's lock, which read_retry is paired with: the "user lock". */
  readonly lock: Mutex
  /** The device's page table, by the process's addresses. */
  readonly pageTable: ReadonlyArray<Cell<HmmPfn | null>>
}

/** Makes a device with an empty page table and a subscription to a range, not inserted. */
export const mirrorDevice = (mm: Mm, name: string, mirrored: Range): MirrorDevice => {
  const lock = mutex(`${name}.lock`)
  const pageTable = mm.pte.map((_, va) => cell<HmmPfn | null>(`${name}.pte${va}`, null))

  /** `ops->invalidate` */
  const invalidate = procedure(function* (range: NotifierRange, seq: number) {
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(iv, seq)
    yield* deviceUnmap(name, pageTable, range)
    yield* mutexUnlock(lock)
    return true
  })
  const iv: IntervalSubscription = intervalSubscription(mm.subscriptions, name, mirrored, invalidate)
  return { name, mm, iv, lock, pageTable }
}

/** Drops the device's translations of a range, its TLB's included. */
const deviceUnmap = (name: string, pageTable: MirrorDevice["pageTable"], range: Range): Effect.Effect<void> =>
  step("device_unmap", [name, range.start, range.end], () => {
    for (const va of pagesOf(range)) at(pageTable, va).value = null
  })

/**
 * A device fault on all that the device mirrors: reads the CPU's page table and repeats it in the device's, unless it
 * changed meanwhile.
 *
 * @param write whether the device is to store there
 * @returns false when the process has nothing mapped there for that
 */
export const mirrorFault = procedure(function* (device: MirrorDevice, write: boolean = true) {
  const { mm, iv, lock, pageTable } = device
  const { range } = iv
  const head = yield* enterLoop("mirror_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const pfns = yield* hmmRangeFault(mm, iv, seq, range, write)
    yield* mmapReadUnlock(mm)
    if (pfns === "-EBUSY") continue
    if (pfns === "-EFAULT" || pfns === "-EPERM") return false

    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(iv, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    for (const [position, va] of pagesOf(range).entries()) {
      yield* step("device_map", [device.name, va], () => {
        const pfn = pfns[position] ?? null
        at(pageTable, va).value = pfn
        markDirty(mm.system.folios, pfn)
      })
    }
    yield* mutexUnlock(lock)
    return true
  }
})

/**
 * What the device may store to is dirty from now on: the CPU's page table will not tell
 * (drivers/gpu/drm/xe/xe_hmm.c: xe_mark_range_accessed).
 */
const markDirty = (all: Folios, pfn: HmmPfn | null): void => {
  if (pfn?.write && pfn.page !== null && isLive(all, pfn.page)) folioOf(all, pfn.page).dirty = true
}

/** Drops all that the device maps, under the driver's lock: what a driver does before it removes its subscription. */
export const mirrorTearDown = procedure(function* (device: MirrorDevice) {
  yield* mutexLock(device.lock)
  yield* deviceUnmap(device.name, device.pageTable, device.iv.range)
  yield* mutexUnlock(device.lock)
})

/**
 * A load or store of the device, through its page table, with device faults where it takes them.
 *
 * @param content what it stores; without it, it loads
 * @returns false when the process has nothing mapped there for that, or is gone
 */
export const mirrorAccess = procedure(function* (device: MirrorDevice, va: number, content?: Content) {
  const { mm, name, pageTable } = device
  const write = content !== undefined
  const head = yield* enterLoop("device_access")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "device_store" : "device_load", [name, va, ...(write ? [content] : [])], () => {
      const pfn = at(pageTable, va).value
      if (pfn === null || (write && !pfn.write)) return false
      if (write && pfn.page !== null) folioOf(mm.system.folios, pfn.page).content = content
      return true
    })
    if (done) return true
    if (!(yield* mmgetNotZero(mm))) return false
    const mapped = yield* mirrorFault(device, write)
    yield* mmput(mm)
    if (!mapped) return false
  }
})
