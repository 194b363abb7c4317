/**
 * A driver whose interval subscription has two passes (drivers/gpu/drm/xe/xe_userptr.c since 2026): the first has the
 * hardware begin to flush its TLB, the second waits until it has. Between them the other devices' callbacks are called,
 * so that all flush at once. What is to be remembered in between is part of the device: while one invalidation uses it,
 * another waits in its first pass.
 */
import * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  enterLoop,
  fork,
  guardedStep,
  procedure,
  type Struct,
  step,
  struct,
} from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { at, pagesOf } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type FinishPass,
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { getUserPage, mmgetNotZero, mmput, type NotifiedMm } from "../notifier/notifiedMm.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** The driver's state for one address space. */
export interface TwoPassDevice {
  readonly name: string
  readonly mm: NotifiedMm
  readonly iv: IntervalSubscription
  /** `notifier_lock` */
  readonly lock: Mutex
  readonly state: Struct<{
    /** How many flushes were asked for, and the last that has come to its end. */
    submitted: number
    flushed: number
    finishInuse: boolean
  }>
  readonly pageTable: ReadonlyArray<Cell<Frame | null>>
  /** What the hardware remembers of it. */
  readonly tlb: ReadonlyArray<Cell<Frame | null>>
}

/** Makes a device that maps nothing, with a subscription that is not inserted. */
export const twoPassDevice = (mm: NotifiedMm, name: string): TwoPassDevice => {
  const lock = mutex(`${name}.notifier_lock`)
  const state = struct(name, { submitted: 0, flushed: 0, finishInuse: false })
  const pageTable = mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  const tlb = mm.pte.map((_, va) => cell<Frame | null>(`${name}.tlb${va}`, null))

  const waitFor = (caller: string, flush: number, also: () => void) =>
    guardedStep(caller, [name, flush], () => state.flushed >= flush, also, {
      on: `a flush of the TLB of ${name}`,
      kind: "flush",
      sleeps: false,
      hindrances: () => [{ fiber: `${name}.tlb/${flush}`, how: "is to do" }],
    })

  // What it returns closes over its variables.
  const invalidateStart = Effect.fnUntraced(function* (range: NotifierRange, seq: number) {
    if (range.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(iv, seq)
    const { flush, finish } = yield* step("xe_vm_invalidate_vma_submit", [name, range.start, range.end], () => {
      for (const va of pagesOf(range)) at(pageTable, va).value = null
      state.submitted++
      const free = !state.finishInuse
      state.finishInuse = true
      return { flush: state.submitted, finish: free }
    })
    yield* fork(`${name}.tlb/${flush}`, flushTlb(flush))
    if (!finish) yield* waitFor("xe_tlb_inval_batch_wait", flush, () => undefined)
    yield* mutexUnlock(lock)
    if (!finish) return true
    const pass: FinishPass = {
      invalidateFinish: () =>
        waitFor("xe_userptr_invalidate_finish", flush, () => {
          state.finishInuse = false
        }),
    }
    return pass
  })
  /** The hardware. */
  const flushTlb = (flush: number) =>
    step("tlb_invalidation", [name, flush], () => {
      for (const entry of tlb) entry.value = null
      state.flushed = Math.max(state.flushed, flush)
    })
  const iv: IntervalSubscription = intervalSubscription(
    mm.subs.itree,
    name,
    { start: 0, end: mm.pages },
    invalidateStart,
  )
  return { name, mm, iv, lock, state, pageTable, tlb }
}

/**
 * An access of the device, with device faults where it takes them.
 *
 * @returns false when the process has nothing there, or is gone
 */
export const twoPassAccess = procedure(function* (device: TwoPassDevice, va: number) {
  const { name, pageTable, tlb } = device
  const head = yield* enterLoop("device_access")
  for (;;) {
    yield* head()
    const done = yield* step("device_load", [name, va], () => {
      const cached = at(tlb, va)
      cached.value ??= at(pageTable, va).value
      return cached.value !== null
    })
    if (done) return true
    if (!(yield* twoPassFault(device, va))) return false
  }
})

const twoPassFault = procedure(function* ({ iv, lock, mm, name, pageTable }: TwoPassDevice, va: number) {
  const head = yield* enterLoop("xe_vma_userptr_pin_pages")
  for (;;) {
    yield* head()
    if (!(yield* mmgetNotZero(mm))) return false
    const seq = yield* mmuIntervalReadBegin(mm.subs.itree, iv)
    const page = yield* getUserPage(mm, va)
    yield* mmput(mm)
    if (page === null) return false
    yield* mutexLock(lock)
    const retry = yield* mmuIntervalReadRetry(iv, seq)
    if (!retry) {
      yield* step("device_map", [name, va], () => {
        at(pageTable, va).value = page
      })
    }
    yield* mutexUnlock(lock)
    if (!retry) return true
  }
})

/** Drops all that the device maps, as who removes its subscription must have done. */
export const twoPassDrop = procedure(function* ({ lock, name, pageTable, tlb }: TwoPassDevice) {
  yield* mutexLock(lock)
  yield* step("device_unmap", [name], () => {
    for (const entry of [...pageTable, ...tlb]) entry.value = null
  })
  yield* mutexUnlock(lock)
})
