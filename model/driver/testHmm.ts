/**
 * The driver of the kernel's HMM self tests (lib/test_hmm.c): a device made of software, whose page table is an array that
 * shadows the process's, under a mutex, with one subscription to the whole address space. Here are its file, its loads and
 * its stores; its memory is in testHmmDevice.ts, what takes pages there and back in testHmmMigrate.ts, exclusive access in
 * testHmmExclusive.ts, and snapshots in testHmmSnapshot.ts.
 *
 * Not here: the time after which a fault gives up.
 *
 * Corrected here, and put back by seeded bugs ("as published"): a read or write of an address space that has ended fails;
 * pages that the device may store to are said to be dirty; migrations of its own concern it as all others do.
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { pgmapOf } from "../deviceMemory/pgmap.ts"
import { type HmmPfn, hmmRangeFault } from "../hmm/rangeFault.ts"
import { hmmRangeFaultUnlocked } from "../hmm/rangeFaultUnlockable.ts"
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
import { type DmirrorDevice, dmirrorDeviceEvictChunk } from "./testHmmDevice.ts"

/**
 * An entry of the device's page table; `atomic`: the page is the device's alone (DPT_XA_TAG_ATOMIC, which is not
 * DPT_XA_TAG_WRITE).
 */
export type DmirrorPte = HmmPfn & { readonly atomic?: true }

/** `struct dmirror`: what belongs to an open file of the device. */
export interface Dmirror {
  readonly name: string
  readonly mm: Mm
  readonly mdevice: DmirrorDevice
  /** Of the whole address space. */
  readonly notifier: IntervalSubscription
  readonly mutex: Mutex
  /** `pt`, an XArray: the page table of the device. */
  readonly pt: ReadonlyArray<Cell<DmirrorPte | null>>
}

/** What a command comes to, 0 or an error. */
export type DmirrorRet = "0" | "-EBUSY" | "-EFAULT" | "-EINVAL" | "-ENOENT" | "-ENOMEM" | "-EOPNOTSUPP" | "-EPERM"

/** `struct hmm_dmirror_cmd`: what a command says when it is done. Userspace hears of errors only that they are. */
export interface DmirrorCmd {
  readonly ret: DmirrorRet
  /** How many pages were handled. */
  readonly cpages: number
  /** How many faults the device took, as far as `mostCounted`. */
  readonly faults: number
  /** What the device has read. */
  readonly data: ReadonlyArray<Content>
}

/** A command that has failed, or that handles no pages. */
export const dmirrorCmd = (ret: DmirrorRet): DmirrorCmd => ({ ret, cpages: 0, faults: 0, data: [] })

/** Makes a device's file, not open yet. */
export const dmirrorOf = (mm: Mm, name: string, mdevice: DmirrorDevice): Dmirror => {
  const whole = { start: 0, end: mm.pages }
  const lock = mutex(`${name}.mutex`)
  const pt = mm.pte.map((_, va) => cell<DmirrorPte | null>(`${name}.pt${va}`, null))
  const { memory } = mdevice
  // The driver does not want to hear of its own migrations at all: a seeded bug.
  const notifier = subscription({ name, mm, mdevice, mutex: lock, pt }, name, whole, {
    clears: true,
    isOwn: ({ event, owner }) => event === "EXCLUSIVE" && owner === memory.owner,
    keeps: ({ event, owner }, { page }) =>
      event === "MIGRATE" && owner === name && page !== null && pgmapOf(mm.system.folios, page) === memory,
  })
  return { name, mm, mdevice, notifier, mutex: lock, pt }
}

/**
 * Makes a subscription of the driver's.
 *
 * @param clears whether its callback drops what the device maps in the range (`dmirror_interval_invalidate`), besides
 *   setting the sequence (`dmirror_snapshot_invalidate`)
 * @param ignores of what it does not want to hear
 * @param isOwn what does not make stale what was read: the page stays what it is, and becomes the device's
 * @param keeps which entries stay where they are: those in its own memory, when pages are moved there
 */
export const subscription = (
  { name: owner, mm, mutex: lock, pt }: Omit<Dmirror, "notifier">,
  name: string,
  range: Range,
  {
    clears,
    ignores,
    isOwn,
    keeps,
  }: {
    readonly clears: boolean
    readonly ignores?: (announced: NotifierRange) => boolean
    readonly isOwn?: (announced: NotifierRange) => boolean
    readonly keeps?: (announced: NotifierRange, entry: DmirrorPte) => boolean
  },
): IntervalSubscription => {
  const invalidate = procedure(function* (announced: NotifierRange, seq: number) {
    if (ignores?.(announced) === true) return true
    if (announced.blockable) yield* mutexLock(lock)
    else if (!(yield* mutexTrylock(lock))) return false
    if (isOwn?.(announced) !== true) yield* mmuIntervalSetSeq(notifier, seq)
    if (clears) {
      yield* step("dmirror_do_update", [owner, announced.start, announced.end], () => {
        for (const va of pagesOf(announced)) {
          const entry = at(pt, va)
          if (entry.value !== null && keeps?.(announced, entry.value) !== true) entry.value = null
        }
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

/** `dmirror_fops_release`: the pages in the device's memory, whosever they are, go back to the system's. */
export const dmirrorFopsRelease = procedure(function* ({ name, mm, mdevice, notifier, pt }: Dmirror) {
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  yield* dmirrorDeviceEvictChunk(mm.system, mdevice)
  yield* step("xa_destroy", [name], () => {
    for (const entry of pt) entry.value = null
  })
  yield* step("kfree", [name], () => undefined)
})

/** How far faults are counted: whoever faults for ever comes back to where it was. */
const mostCounted = 2

/**
 * `dmirror_read`
 *
 * @param unlocked whether its faults may drop `mmap_lock`
 */
export const dmirrorRead = procedure(function* (dmirror: Dmirror, { start, end }: Range, unlocked: boolean = false) {
  const data: Array<Content> = []
  let faults = 0
  const head = yield* enterLoop("dmirror_read")
  for (;;) {
    yield* head(data, faults)
    data.push(...(yield* dmirrorDoRead(dmirror, { start: start + data.length, end })))
    if (start + data.length === end) return { ret: "0", cpages: data.length, faults, data } satisfies DmirrorCmd
    const ret = yield* dmirrorFault(dmirror, { start: start + data.length, end }, false, unlocked)
    if (ret !== "0") return { ret, cpages: data.length, faults, data: [] } satisfies DmirrorCmd
    faults = Math.min(faults + 1, mostCounted)
  }
})

/** `dmirror_do_read`, under the mutex: what the pages hold, as far as the device maps them. */
const dmirrorDoRead = procedure(function* ({ name, mm, mutex: lock, pt }: Dmirror, range: Range) {
  const data: Array<Content> = []
  yield* mutexLock(lock)
  for (const va of pagesOf(range)) {
    const read = yield* step("dmirror_do_read", [name, va], () => {
      const entry = at(pt, va).value
      if (entry === null) return null
      return entry.page === null ? zeroes : folioOf(mm.system.folios, entry.page).content
    })
    if (read === null) break
    data.push(read)
  }
  yield* mutexUnlock(lock)
  return data
})

/** The end of a command that gives back what the device now maps: all of it, or -ENOENT. */
export const dmirrorVerify = procedure(function* (dmirror: Dmirror, range: Range) {
  const data = yield* dmirrorDoRead(dmirror, range)
  const cpages = data.length
  if (cpages < range.end - range.start) return { ...dmirrorCmd("-ENOENT"), cpages }
  return { ret: "0", cpages, faults: 0, data } satisfies DmirrorCmd
})

/**
 * `dmirror_write`
 *
 * @param contents what is to be stored, page by page
 */
export const dmirrorWrite = procedure(function* (dmirror: Dmirror, start: number, contents: ReadonlyArray<Content>) {
  const { name, mm, mutex: lock, pt } = dmirror
  let cpages = 0
  let faults = 0
  const head = yield* enterLoop("dmirror_write")
  for (;;) {
    yield* head(cpages, faults)
    yield* mutexLock(lock)
    for (const content of contents.slice(cpages)) {
      const va = start + cpages
      const done = yield* step("dmirror_do_write", [name, va, content], () => {
        const entry = at(pt, va).value
        if (entry === null || !entry.write) return false
        if (entry.page !== null) folioOf(mm.system.folios, entry.page).content = content
        return true
      })
      if (!done) break
      cpages++
    }
    yield* mutexUnlock(lock)
    if (cpages === contents.length) return { ...dmirrorCmd("0"), cpages, faults }
    const ret = yield* dmirrorFault(dmirror, { start: start + cpages, end: start + contents.length }, true)
    if (ret !== "0") return { ...dmirrorCmd(ret), cpages, faults }
    faults = Math.min(faults + 1, mostCounted)
  }
})

/** `dmirror_fault`: 0 or an error. That it is done says nothing of what the mutex allows to see afterwards. */
export const dmirrorFault = procedure(function* (
  dmirror: Dmirror,
  range: Range,
  write: boolean,
  unlocked: boolean = false,
) {
  const { mm } = dmirror
  if (!(yield* mmgetNotZero(mm))) {
    // The driver returns 0 here, and is asked again.
    return yield* step("dmirror_fault: !mmget_not_zero", [dmirror.name], (): "0" | "-EFAULT" => "-EFAULT")
  }
  const result = yield* dmirrorRangeFault(dmirror, range, write, unlocked)
  yield* mmput(mm)
  return result
})

/** `dmirror_range_fault` and `dmirror_do_fault` */
const dmirrorRangeFault = procedure(function* (dmirror: Dmirror, range: Range, write: boolean, unlocked: boolean) {
  const { name, mm, mdevice, notifier, mutex: lock, pt } = dmirror
  const head = yield* enterLoop("dmirror_range_fault")
  for (;;) {
    yield* head()
    const found = yield* unlocked
      ? hmmRangeFaultUnlocked(mm, notifier, range, write, mdevice.memory.owner)
      : underMmapLock(dmirror, range, write)
    if (found === "-EBUSY") continue
    if (typeof found === "string") return found
    const { seq, pfns } = found
    yield* mutexLock(lock)
    if (yield* mmuIntervalReadRetry(notifier, seq)) {
      yield* mutexUnlock(lock)
      continue
    }
    for (const [position, va] of pagesOf(range).entries()) {
      const pfn = pfns[position] ?? null
      yield* setPageDirty(mm, pfn)
      yield* step("dmirror_do_fault", [name, va], () => {
        at(pt, va).value = pfn === null ? null : { page: pfn.page, write: pfn.write }
      })
    }
    yield* mutexUnlock(lock)
    return "0" as const
  }
})

/** `hmm_range_fault`, with `mmap_lock` held throughout. */
const underMmapLock = procedure(function* (dmirror: Dmirror, range: Range, write: boolean) {
  const { mm, mdevice, notifier } = dmirror
  const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
  yield* mmapReadLock(mm)
  const pfns = yield* hmmRangeFault(mm, notifier, seq, range, write, mdevice.memory.owner)
  yield* mmapReadUnlock(mm)
  return typeof pfns === "string" ? pfns : { seq, pfns }
})

/** What the device may store to is dirty: the process's page table will not tell. The driver does not say so. */
export const setPageDirty = ({ system }: Mm, pfn: HmmPfn | null): Effect.Effect<void> => {
  const page = pfn?.write === true ? pfn.page : null
  if (page === null) return Effect.void
  return step("set_page_dirty", [page.pfn], () => {
    if (isLive(system.folios, page)) folioOf(system.folios, page).dirty = true
  })
}
