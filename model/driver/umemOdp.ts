/**
 * RDMA's on-demand paging (drivers/infiniband/core/umem_odp.c): memory that an application has registered and that the
 * device uses without a pin. Every piece of it has an interval notifier, and a lock that the driver's callback takes and
 * that a fault holds from the moment its pages are known to be current until the device has them.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type HmmPfn, hmmRangeFault } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmputAsync } from "../mm/exit.ts"
import { folioOf } from "../mm/folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
} from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock, underMutex } from "../sync/mutex.ts"

/** `struct ib_umem_odp`, writable. */
export interface UmemOdp {
  readonly name: string
  readonly mm: Mm
  readonly iv: IntervalSubscription
  readonly mutex: Mutex
  /** `map.pfn_list`: the pages that are mapped for DMA, by the process's addresses. */
  readonly pfnList: ReadonlyArray<Cell<HmmPfn | null>>
}

/** Makes a umem with nothing mapped, whose notifier is not inserted. */
export const umemOdp = (
  mm: Mm,
  name: string,
  range: Range,
  invalidate: IntervalSubscription["invalidate"],
): UmemOdp => ({
  name,
  mm,
  iv: intervalSubscription(mm.subscriptions, name, range, invalidate),
  mutex: mutex(`${name}.umem_mutex`),
  pfnList: mm.pte.map((_, va) => cell<HmmPfn | null>(`${name}.pfn${va}`, null)),
})

/** `umem_odp->npages`. Within a step. */
export const npages = ({ pfnList }: UmemOdp): number => pfnList.filter(({ value }) => value !== null).length

/**
 * `ib_umem_odp_map_dma_and_lock`, of one page, for writing: when it returns the page, `umem_mutex` is held, and what the
 * driver does with the page before it gives that back comes before any invalidation of it. The address space is given
 * back under it, too.
 */
export const ibUmemOdpMapDmaAndLock = procedure(function* (umem: UmemOdp, va: number) {
  const { mm, iv, mutex } = umem
  if (!(yield* mmgetNotZero(mm))) return "-EINVAL" as const
  const head = yield* enterLoop("ib_umem_odp_map_dma_and_lock")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const pfns = yield* hmmRangeFault(mm, iv, seq, { start: va, end: va + 1 }, true)
    yield* mmapReadUnlock(mm)
    if (pfns === "-EBUSY") continue
    const pfn = typeof pfns === "string" ? undefined : pfns[0]
    if (pfn === undefined) {
      yield* mmputAsync(mm)
      return "-EFAULT" as const
    }

    yield* mutexLock(mutex)
    if (yield* mmuIntervalReadRetry(iv, seq)) {
      yield* mutexUnlock(mutex)
      continue
    }
    yield* mmputAsync(mm)
    return pfn
  }
})

/** `hmm_dma_map_pfn`, under `umem_mutex`: how that is done is told in model/hmm/dmaMap.ts. Within a step. */
export const hmmDmaMapPfn = (umem: UmemOdp, va: number, pfn: HmmPfn): void => {
  at(umem.pfnList, va).value = pfn
}

/**
 * `ib_umem_odp_unmap_dma_pages`, under `umem_mutex`: the device cannot reach the range any more. What it may have stored to
 * is dirty; the page's own lock is not taken for that, for the invalidation that waits for this keeps the page in its
 * file.
 *
 * @returns whether no page of the umem is mapped any more
 */
export const ibUmemOdpUnmapDmaPages = (umem: UmemOdp, range: Range): Effect.Effect<boolean> =>
  step("ib_umem_odp_unmap_dma_pages", [umem.name, range.start, range.end], () => {
    unmapDmaPages(umem, range)
    return npages(umem) === 0
  })

const unmapDmaPages = (umem: UmemOdp, range: Range): void => {
  for (const va of pagesOf(range)) {
    const mapped = at(umem.pfnList, va)
    const pfn = mapped.value
    if (pfn?.write && pfn.page !== null) folioOf(umem.mm.system.folios, pfn.page).dirty = true
    mapped.value = null
  }
}

/** `ib_umem_odp_release`: the driver has seen to it that the device does not use the umem any more. */
export const ibUmemOdpRelease = procedure(function* (umem: UmemOdp) {
  yield* underMutex(umem.mutex, "ib_umem_odp_release", [umem.name], () => unmapDmaPages(umem, umem.iv.range))
  yield* mmuIntervalNotifierRemove(umem.mm.subscriptions, umem.iv)
})
