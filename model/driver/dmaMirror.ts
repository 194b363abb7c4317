/**
 * A device that mirrors a process by DMA addresses, in the way of on-demand paging since Linux 6.16
 * (drivers/infiniband/core/umem_odp.c, drivers/infiniband/hw/mlx5/odp.c): HMM fills the list that the callback goes by,
 * what is in the list is mapped for DMA, and the device's own table has the addresses that come of it.
 */
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type HmmDmaMap, hmmDmaMapPfn, hmmDmaUnmapPfn } from "../hmm/dmaMap.ts"
import { type DmaAddr, dmaAccess } from "../hmm/iommu.ts"
import { emptyEntry, everyPage, hmmRangeFaultArray, nothing } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, folioOf } from "../mm/folio.ts"
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

/** An entry of the device's table. */
export type DmaEntry = { readonly where: DmaAddr; readonly write: boolean }

/** The device, with the driver's state for one process. */
export interface DmaMirror {
  readonly name: string
  readonly mm: Mm
  readonly iv: IntervalSubscription
  /** `umem_mutex` */
  readonly lock: Mutex
  readonly map: HmmDmaMap
  /** What the device goes by, by the process's addresses, its TLB included. */
  readonly table: ReadonlyArray<Cell<DmaEntry | null>>
}

/** Makes a device that maps nothing, with a subscription that is not inserted. */
export const dmaMirror = (mm: Mm, name: string, mirrored: Range, map: HmmDmaMap): DmaMirror => {
  const lock = mutex(`${name}.lock`)
  const table = mm.pte.map((_, va) => cell<DmaEntry | null>(`${name}.pte${va}`, null))
  const invalidate = procedure(function* (range: NotifierRange, seq: number) {
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(iv, seq)
    const start = Math.max(range.start, mirrored.start)
    const end = Math.min(range.end, mirrored.end)
    yield* unmapDma(device, { start, end })
    yield* mutexUnlock(lock)
    return true
  })
  const iv: IntervalSubscription = intervalSubscription(mm.subscriptions, name, mirrored, invalidate)
  const device: DmaMirror = { name, mm, iv, lock, map, table }
  return device
}

/** First the device's own table, then what its addresses mean (`ib_umem_odp_unmap_dma_pages`). Under the driver's lock. */
const unmapDma = procedure(function* (device: DmaMirror, range: Range) {
  const { name, mm, map, table } = device
  yield* step("device_unmap", [name, range.start, range.end], () => {
    for (const va of pagesOf(range)) at(table, va).value = null
  })
  for (const va of pagesOf(range)) {
    const unmapped = yield* hmmDmaUnmapPfn(map, va)
    yield* step("ib_umem_odp_unmap_dma_pages", [name, va], () => {
      const entry = at(map.pfnList, va)
      const { write, page } = entry.value
      // The page is the process's still: the window is not open.
      if (unmapped && write && page !== null) folioOf(mm.system.folios, page).dirty = true
      entry.value = { ...emptyEntry, dmaMapped: entry.value.dmaMapped, p2p: entry.value.p2p }
    })
  }
})

/**
 * Maps a range for the device, as it is to be used.
 *
 * @param write whether it is to be stored to; `null` for what is there, and no fault (IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
 * @returns false when it cannot be
 */
export const dmaFault = procedure(function* (device: DmaMirror, range: Range, write: boolean | null) {
  const { mm, iv, lock, map } = device
  const wish = write === null ? { defaultFlags: nothing, pfnFlagsMask: nothing, owner: "" } : everyPage(write)
  const head = yield* enterLoop("ib_umem_odp_map_dma_and_lock")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const result = yield* hmmRangeFaultArray(mm, iv, seq, range, { ...wish, hmmPfns: map.pfnList })
    yield* mmapReadUnlock(mm)
    if (result === "-EBUSY") continue
    if (result !== 0) return false

    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(iv, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    const mapped = yield* mapDma(device, range)
    yield* mutexUnlock(lock)
    return mapped
  }
})

/** Under the driver's lock, with the sequence asked. */
const mapDma = procedure(function* (device: DmaMirror, range: Range) {
  const { name, map, table } = device
  for (const va of pagesOf(range)) {
    const valid = yield* step("hmm_pfns", [name, va], () => at(map.pfnList, va).value.valid)
    if (!valid) continue
    const where = yield* hmmDmaMapPfn(map, va)
    if (where === null) return false
    yield* step("device_map", [name, va], () => {
      at(table, va).value = { where, write: at(map.pfnList, va).value.write }
    })
  }
  return true
})

/**
 * An access of the device, with the faults that it takes.
 *
 * @param content what it stores; without it, it loads
 * @returns false when the process has nothing there for that, or is gone, or there is no mapping to be had
 */
export const dmaMirrorAccess = procedure(function* (device: DmaMirror, va: number, content?: Content) {
  const { name, mm, map, table } = device
  const write = content !== undefined
  const head = yield* enterLoop("device_access")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "device_store" : "device_load", [name, va], () => {
      const entry = at(table, va).value
      if (entry === null || (write && !entry.write)) return "fault"
      return dmaAccess(map.device.iommu, entry.where, content) ? "done" : "error"
    })
    if (done !== "fault") return done === "done"
    if (!(yield* mmgetNotZero(mm))) return false
    const mapped = yield* dmaFault(device, { start: va, end: va + 1 }, write)
    yield* mmput(mm)
    if (!mapped) return false
  }
})
