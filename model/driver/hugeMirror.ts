/**
 * A device that maps a huge page in one piece, for itself and for DMA, where the process does: in the way of
 * drivers/gpu/drm/drm_gpusvm.c and drivers/infiniband/core/umem_odp.c, which go by `hmm_pfn_to_map_order`. What is mapped
 * for DMA in one piece can only be unmapped in one.
 */
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { dmaAccess, type Iommu } from "../hmm/iommu.ts"
import { hmmRangeFaultHuge } from "../hmm/rangeFaultHuge.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, type Frame, folioOf } from "../mm/folio.ts"
import type { HugePmd } from "../mm/hugeSplit.ts"
import { mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, overlaps, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** What the device maps from an address on: pages that follow each other, at the DMA addresses of the same numbers. */
export type Piece = { readonly pages: ReadonlyArray<Frame | null>; readonly write: boolean }

/** The device, with the driver's state for one process. */
export interface HugeMirror {
  readonly name: string
  readonly pmd: HugePmd
  readonly iv: IntervalSubscription
  readonly lock: Mutex
  readonly iommu: Iommu
  /** Its table, by the address at which a piece begins. */
  readonly pieces: ReadonlyArray<Cell<Piece | null>>
}

/** Makes a device that maps nothing, with a subscription that is not inserted. */
export const hugeMirror = (pmd: HugePmd, name: string, iommu: Iommu): HugeMirror => {
  const { mm, range: mirrored } = pmd
  const lock = mutex(`${name}.lock`)
  const pieces = mm.pte.map((_, va) => cell<Piece | null>(`${name}.piece${va}`, null))
  const invalidate = procedure(function* (range: NotifierRange, seq: number) {
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(iv, seq)
    const dropped = yield* step("device_unmap", [name, range.start, range.end], () => drop(device, range))
    for (const { start, end } of dropped) {
      yield* step("dma_unmap_phys", [iommu.name, start, end], () => {
        for (const address of pagesOf({ start, end })) at(iommu.table, address).value = null
      })
    }
    yield* mutexUnlock(lock)
    return true
  })
  const iv: IntervalSubscription = intervalSubscription(mm.subscriptions, name, mirrored, invalidate)
  const device: HugeMirror = { name, pmd, iv, lock, iommu, pieces }
  return device
}

/** What a piece covers. */
export const covered = (va: number, { pages }: Piece): Range => ({ start: va, end: va + pages.length })

/** All pieces that have a page in the range go, whole. Within a step. */
const drop = ({ pieces }: HugeMirror, range: Range): ReadonlyArray<Range> =>
  pieces.flatMap((cell, va) => {
    const piece = cell.value
    if (piece === null || !overlaps(range, covered(va, piece))) return []
    cell.value = null
    return [covered(va, piece)]
  })

/** A fault on all that the device mirrors; false when the process has nothing there for that. */
const hugeFault = procedure(function* (device: HugeMirror, write: boolean) {
  const { pmd, iv, lock } = device
  const { mm, range } = pmd
  const head = yield* enterLoop("huge_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const found = yield* hmmRangeFaultHuge(pmd, iv, seq, write)
    yield* mmapReadUnlock(mm)
    if (found === "-EBUSY") continue
    if (typeof found === "string") return false
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) {
      const small =
        "order" in found ? [] : found.map(({ page, write: writable }) => ({ pages: [page], write: writable }))
      const pieces: ReadonlyArray<Piece> = "order" in found ? [found] : small
      for (const [position, piece] of pieces.entries()) yield* mapPiece(device, range.start + position, piece)
    }
    yield* mutexUnlock(lock)
    if (!stale) return true
  }
})

const mapPiece = procedure(function* ({ name, pmd, iommu, pieces }: HugeMirror, va: number, piece: Piece) {
  const { start, end } = covered(va, piece)
  const { pages, write } = piece
  yield* step("dma_map_phys", [iommu.name, start, end], () => {
    for (const [position, page] of pages.entries()) at(iommu.table, start + position).value = { page, mmio: false }
  })
  yield* step("device_map", [name, start, end], () => {
    at(pieces, va).value = { pages, write }
    for (const page of pages) if (write && page !== null) folioOf(pmd.mm.system.folios, page).dirty = true
  })
})

/**
 * An access of the device, with the faults that it takes.
 *
 * @param content what it stores; without it, it loads
 */
export const hugeAccess = procedure(function* (device: HugeMirror, va: number, content?: Content) {
  const { name, pmd, iommu, pieces } = device
  const write = content !== undefined
  const head = yield* enterLoop("device_access")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "device_store" : "device_load", [name, va], () => {
      const piece = pieces.find(
        ({ value }, start) => value !== null && overlaps(covered(start, value), { start: va, end: va + 1 }),
      )?.value
      if (piece == null || (write && !piece.write)) return "fault"
      return dmaAccess(iommu, { space: "iova", address: va }, content) ? "done" : "error"
    })
    if (done !== "fault") return done === "done"
    if (!(yield* mmgetNotZero(pmd.mm))) return false
    const mapped = yield* hugeFault(device, write)
    yield* mmput(pmd.mm)
    if (!mapped) return false
  }
})
