/**
 * The driver of the kernel's HMM self tests (lib/test_hmm.c): a device made of software, whose page table is an array that
 * shadows the process's, under a mutex, with one subscription to the whole address space.
 *
 * Not here: memory of the device's own that CPUs cannot reach, exclusive access, the time after which a fault gives up.
 * Migration to coherent memory is in testHmmMigrate.ts.
 *
 * Corrected here, and put back by seeded bugs ("as published"): a read or write of an address space that has ended fails;
 * pages that the device may store to are said to be dirty; migrations of its own concern it as all others do.
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, step } from "../../checker/program/index.ts"
import { type HmmOutput, type HmmPfn, hmmRangeFault, hmmRangeSnapshot } from "../hmm/rangeFault.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, folioOf, isLive, zeroes } from "../mm/folio.ts"
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
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"

/** `struct dmirror`: what belongs to an open file of the device. */
export interface Dmirror {
  readonly name: string
  readonly mm: Mm
  /** Of the whole address space. */
  readonly notifier: IntervalSubscription
  readonly mutex: Mutex
  /** `pt`, an XArray: the page table of the device. */
  readonly pt: ReadonlyArray<Cell<HmmPfn | null>>
}

/** Makes a device's file, not open yet. */
export const dmirrorOf = (mm: Mm, name: string): Dmirror => {
  const whole = { start: 0, end: mm.pages }
  const lock = mutex(`${name}.mutex`)
  const pt = mm.pte.map((_, va) => cell<HmmPfn | null>(`${name}.pt${va}`, null))
  // The driver does not want to hear of its own migrations: a seeded bug.
  const notifier = subscription({ name, mm, mutex: lock, pt }, name, whole, { clears: true })
  return { name, mm, notifier, mutex: lock, pt }
}

/**
 * Makes a subscription of the driver's.
 *
 * @param clears whether its callback drops what the device maps in the range (`dmirror_interval_invalidate`), besides
 *   setting the sequence (`dmirror_snapshot_invalidate`)
 * @param ignores of what it does not want to hear
 */
export const subscription = (
  { name: owner, mm, mutex: lock, pt }: Omit<Dmirror, "notifier">,
  name: string,
  range: Range,
  { clears, ignores }: { readonly clears: boolean; readonly ignores?: (announced: NotifierRange) => boolean },
): IntervalSubscription => {
  const invalidate = Effect.fnUntraced(function* (announced: NotifierRange, seq: number) {
    if (ignores?.(announced) === true) return true
    if (announced.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    yield* mmuIntervalSetSeq(notifier, seq)
    if (clears) {
      yield* step("dmirror_do_update", [owner, announced.start, announced.end], () => {
        for (const va of pagesOf(announced)) at(pt, va).value = null
      })
    }
    yield* mutexUnlock(lock)
    return true
  })
  const notifier: IntervalSubscription = intervalSubscription(mm.subscriptions, name, range, invalidate)
  return notifier
}

/** `dmirror_fops_open` */
export const dmirrorFopsOpen = ({ mm, notifier }: Dmirror): Effect.Effect<void> =>
  mmuIntervalNotifierInsert(mm.subscriptions, notifier)

/** `dmirror_fops_release` */
export const dmirrorFopsRelease = Effect.fnUntraced(function* ({ name, mm, notifier, pt }: Dmirror) {
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  yield* step("xa_destroy", [name], () => {
    for (const entry of pt) entry.value = null
  })
  yield* step("kfree", [name], () => undefined)
})

/** `dmirror_read`: what the page holds, or `null` when it is not to be had. */
export const dmirrorRead = Effect.fnUntraced(function* (dmirror: Dmirror, va: number) {
  const { name, mm, mutex: lock, pt } = dmirror
  const head = yield* enterLoop("dmirror_read")
  for (;;) {
    yield* head()
    yield* mutexLock(lock)
    const read = yield* step("dmirror_do_read", [name, va], () => {
      const entry = at(pt, va).value
      if (entry === null) return null
      return entry.page === null ? zeroes : folioOf(mm.system.folios, entry.page).content
    })
    yield* mutexUnlock(lock)
    if (read !== null) return read
    if ((yield* dmirrorFault(dmirror, va, false)) !== "0") return null
  }
})

/** `dmirror_write`: whether the page could be stored to. */
export const dmirrorWrite = Effect.fnUntraced(function* (dmirror: Dmirror, va: number, content: Content) {
  const { name, mm, mutex: lock, pt } = dmirror
  const head = yield* enterLoop("dmirror_write")
  for (;;) {
    yield* head()
    yield* mutexLock(lock)
    const done = yield* step("dmirror_do_write", [name, va, content], () => {
      const entry = at(pt, va).value
      if (entry === null || !entry.write) return false
      if (entry.page !== null) folioOf(mm.system.folios, entry.page).content = content
      return true
    })
    yield* mutexUnlock(lock)
    if (done) return true
    if ((yield* dmirrorFault(dmirror, va, true)) !== "0") return false
  }
})

/** `dmirror_fault`, of one page: 0 or an error. That it is done says nothing of what the mutex allows to see afterwards. */
const dmirrorFault = Effect.fnUntraced(function* (dmirror: Dmirror, va: number, write: boolean) {
  const { mm } = dmirror
  if (!(yield* mmgetNotZero(mm))) {
    // The driver returns 0 here, and is asked again.
    return yield* step("dmirror_fault: !mmget_not_zero", [dmirror.name], (): "0" | "-EFAULT" => "-EFAULT")
  }
  const result = yield* dmirrorRangeFault(dmirror, { start: va, end: va + 1 }, write)
  yield* mmput(mm)
  return result
})

/** `dmirror_range_fault` and `dmirror_do_fault` */
const dmirrorRangeFault = Effect.fnUntraced(function* (dmirror: Dmirror, range: Range, write: boolean) {
  const { name, mm, notifier, mutex: lock, pt } = dmirror
  const head = yield* enterLoop("dmirror_range_fault")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
    yield* mmapReadLock(mm)
    const pfns = yield* hmmRangeFault(mm, notifier, seq, range, write)
    yield* mmapReadUnlock(mm)
    if (pfns === "-EBUSY") continue
    if (pfns === "-EFAULT" || pfns === "-EPERM") return pfns
    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(notifier, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    for (const [position, va] of pagesOf(range).entries()) {
      const pfn = pfns[position] ?? null
      yield* setPageDirty(mm, pfn)
      yield* step("dmirror_do_fault", [name, va], () => {
        at(pt, va).value = pfn
      })
    }
    yield* mutexUnlock(lock)
    return "0" as const
  }
})

/** What the device may store to is dirty: the process's page table will not tell. The driver does not say so. */
export const setPageDirty = ({ system }: Mm, pfn: HmmPfn | null): Effect.Effect<void> => {
  const page = pfn?.write === true ? pfn.page : null
  if (page === null) return Effect.void
  return step("set_page_dirty", [page.pfn], () => {
    if (isLive(system.folios, page)) folioOf(system.folios, page).dirty = true
  })
}

/** A snapshot of a range, with its subscription and what it says (`perm`), page by page; both are on the stack. */
export interface Snapshot {
  readonly dmirror: Dmirror
  readonly range: Range
  readonly notifier: IntervalSubscription
  readonly perm: ReadonlyArray<Cell<HmmOutput | null>>
}

/** Makes a snapshot that is not taken yet. */
export const snapshotOf = (dmirror: Dmirror, range: Range): Snapshot => {
  const name = `${dmirror.name}.snapshot`
  return {
    dmirror,
    range,
    notifier: subscription(dmirror, name, range, { clears: false }),
    perm: dmirror.mm.pte.map((_, va) => cell<HmmOutput | null>(`${name}.perm${va}`, null)),
  }
}

/** `dmirror_snapshot`: what the page table has. True of the time at which the mutex was held. */
export const dmirrorSnapshot = Effect.fnUntraced(function* ({ dmirror, range, notifier, perm }: Snapshot) {
  const { name, mm, mutex: lock } = dmirror
  if (!(yield* mmgetNotZero(mm))) return false
  yield* mmuIntervalNotifierInsert(mm.subscriptions, notifier)
  const head = yield* enterLoop("dmirror_range_snapshot")
  for (;;) {
    yield* head()
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
    yield* mmapReadLock(mm)
    const found = yield* hmmRangeSnapshot(mm, notifier, seq, range)
    yield* mmapReadUnlock(mm)
    if (found === "-EBUSY") continue
    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(notifier, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    for (const [position, va] of pagesOf(range).entries()) {
      yield* step("dmirror_mkentry", [name, va], () => {
        at(perm, va).value = found[position] ?? null
      })
    }
    yield* mutexUnlock(lock)
    break
  }
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  yield* step("copy_to_user", [name], () => {
    for (const entry of perm) entry.value = null
  })
  yield* mmput(mm)
  return true
})
