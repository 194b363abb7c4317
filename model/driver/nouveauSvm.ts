/**
 * Shared virtual memory of nouveau (drivers/gpu/drm/nouveau/nouveau_svm.c): a GPU whose page table repeats the process's.
 * A classic notifier for the life of the address space clears what the GPU maps. It has no sequence: for that, every
 * fault of the GPU subscribes to its page and unsubscribes behind. Both callbacks take one mutex, and it works because
 * the subscription's is called first.
 *
 * Not here: the atomic fault (`nouveau_atomic_range_fault`), which needs entries that are exclusive to a device; device
 * memory; the unmanaged range; the time after which a fault gives up. That the first fault of a process takes all locks to
 * have the interval tree (`mmu_notifier_register` without a notifier) has been before.
 *
 * Two things are corrected here that the driver does not do: it drops what the GPU maps when the address space ends, and
 * says of pages that the GPU may store to that they are dirty. Seeded bugs leave them out.
 */
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type HmmPfn, hmmRangeFault } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, folioOf, isLive } from "../mm/folio.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { untilRelease } from "../notifier/untilRelease.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** `struct nouveau_svmm`: a process's memory as a GPU sees it. */
export interface Svmm {
  /** The GPU's name. */
  readonly name: string
  readonly mm: Mm
  readonly mutex: Mutex
  /** The page table of the GPU (`svmm->vmm`), its TLB included: entries are cleared with the flush. */
  readonly pageTable: ReadonlyArray<Cell<HmmPfn | null>>
  /** `struct svm_notifier`, on the stack of the fault: one for each page, as one fault is handled at a time. */
  readonly notifiers: ReadonlyArray<IntervalSubscription>
}

/** `nouveau_svmm_init`: registers the classic notifier. */
export const nouveauSvmmInit = (mm: Mm, name: string): Svmm => {
  const lock = mutex(`${name}.mutex`)
  const pageTable = mm.pte.map((_, va) => cell<HmmPfn | null>(`${name}.pte${va}`, null))
  const notifiers = mm.pte.map((_, va) => svmNotifier(mm, name, lock, va))
  const svmm: Svmm = { name, mm, mutex: lock, pageTable, notifiers }
  mm.subscriptions.forLife.push(
    untilRelease(name, {
      release: () => svmmRelease(svmm),
      invalidateRangeStart: (range) => svmmInvalidateRangeStart(svmm, range),
    }),
  )
  return svmm
}

/** Makes the subscription to a page. */
const svmNotifier = (mm: Mm, gpu: string, lock: Mutex, va: number): IntervalSubscription => {
  /** `nouveau_svm_range_invalidate`: the sequence alone. What the GPU maps goes when the classic notifier is called. */
  const invalidate = procedure(function* (range: NotifierRange, seq: number) {
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(notifier, seq)
    yield* mutexUnlock(lock)
    return true
  })
  const page = { start: va, end: va + 1 }
  const notifier: IntervalSubscription = intervalSubscription(mm.subscriptions, `${gpu}.svm${va}`, page, invalidate)
  return notifier
}

/** `nouveau_svmm_invalidate_range_start`; there is no end. */
const svmmInvalidateRangeStart = procedure(function* (svmm: Svmm, range: NotifierRange) {
  if (!range.blockable) {
    yield* step("nouveau_svmm_invalidate_range_start: -EAGAIN", [svmm.name], () => undefined)
    return false
  }
  yield* mutexLock(svmm.mutex)
  yield* step("nouveau_svmm_invalidate", [svmm.name, range.start, range.end], () => clear(svmm, range))
  yield* mutexUnlock(svmm.mutex)
  return true
})

/** NVIF_VMM_V0_PFNCLR. Within a step. */
const clear = ({ pageTable }: Svmm, range: Range): void => {
  for (const va of pagesOf(range)) at(pageTable, va).value = null
}

/** `release`, which `nouveau_mn_ops` does not have: behind it the pages are freed, and nobody is told any more. */
const svmmRelease = procedure(function* (svmm: Svmm) {
  yield* mutexLock(svmm.mutex)
  yield* step("nouveau_svmm_release", [svmm.name], () => clear(svmm, { start: 0, end: svmm.mm.pages }))
  yield* mutexUnlock(svmm.mutex)
})

/**
 * `nouveau_range_fault`, of one page.
 *
 * @returns whether the GPU maps it now
 */
const rangeFault = procedure(function* (svmm: Svmm, va: number, write: boolean) {
  const { mm, notifiers } = svmm
  const notifier = at(notifiers, va)
  yield* mmuIntervalNotifierInsert(mm.subscriptions, notifier)
  const pfn = yield* faultedPage(svmm, notifier, write)
  if (pfn !== null) {
    yield* pfnmap(svmm, va, pfn)
    yield* mutexUnlock(svmm.mutex)
  }
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  return pfn !== null
})

/** The loop of `nouveau_range_fault`: returns with the mutex held, unless there is nothing to map. */
const faultedPage = procedure(function* (svmm: Svmm, notifier: IntervalSubscription, write: boolean) {
  const { mm } = svmm
  const head = yield* enterLoop("nouveau_range_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
    yield* mmapReadLock(mm)
    const pfns = yield* hmmRangeFault(mm, notifier, seq, notifier.range, write)
    yield* mmapReadUnlock(mm)
    if (pfns === "-EBUSY") continue
    if (pfns === "-EFAULT" || pfns === "-EPERM") return null
    yield* mutexLock(svmm.mutex)
    if (!(yield* mmuIntervalReadRetry(notifier, seq))) return pfns[0] ?? null
    yield* mutexUnlock(svmm.mutex)
  }
})

/** NVIF_VMM_V0_PFNMAP, the mutex held and the sequence looked at. */
const pfnmap = procedure(function* ({ name, mm, pageTable }: Svmm, va: number, pfn: HmmPfn) {
  const { folios } = mm.system
  const { page, write } = pfn
  if (write && page !== null) {
    // The process's page table will not tell, and the driver does not (xe_mark_range_accessed of drivers/gpu/drm/xe does).
    yield* step("set_page_dirty", [page.pfn], () => {
      if (isLive(folios, page)) folioOf(folios, page).dirty = true
    })
  }
  yield* step("nouveau_hmm_convert_pfn", [name, va], () => {
    at(pageTable, va).value = pfn
  })
})

/**
 * `nouveau_svm_fault`, of one fault in the buffer.
 *
 * @returns false when it is cancelled, which is the GPU's SIGSEGV; else it is replayed
 */
const nouveauSvmFault = procedure(function* (svmm: Svmm, va: number, write: boolean) {
  const { mm } = svmm
  if (!(yield* mmgetNotZero(mm))) return false
  const mapped = yield* rangeFault(svmm, va, write)
  yield* mmput(mm)
  return mapped
})

/**
 * A load or store of the GPU, which waits while its fault is handled.
 *
 * @param content what it stores; without it, it loads
 * @returns false when the fault was cancelled
 */
export const gpuAccess = procedure(function* (svmm: Svmm, va: number, content?: Content) {
  const { name, mm, pageTable } = svmm
  const write = content !== undefined
  const head = yield* enterLoop("gpu_access")
  for (;;) {
    yield* head()
    const done = yield* step(write ? "gpu_store" : "gpu_load", [name, va, ...(write ? [content] : [])], () => {
      const pfn = at(pageTable, va).value
      if (pfn === null || (write && !pfn.write)) return false
      if (write && pfn.page !== null) folioOf(mm.system.folios, pfn.page).content = content
      return true
    })
    if (done) return true
    if (!(yield* nouveauSvmFault(svmm, va, write))) return false
  }
})
