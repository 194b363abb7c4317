/** The loop of a mirror (mirror.ts) whose faults may drop `mmap_lock`. */
import { checkpoint, enterLoop, procedure, step } from "../../checker/program/index.ts"
import { hmmRangeFaultUnlockable, hmmRangeFaultUnlockedTimeout } from "../hmm/rangeFaultUnlockable.ts"
import { mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf } from "../mm/range.ts"
import { mmuIntervalReadBegin, mmuIntervalReadRetry } from "../notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import type { MirrorDevice } from "./mirror.ts"

/** A device fault on a page, for writing; returns whether it is mapped. The address space has a user. */
export const mirrorFaultUnlockable = procedure(function* (device: MirrorDevice, va: number) {
  const { name, mm, iv, lock, pageTable } = device
  let block = false
  for (;;) {
    yield* checkpoint("mirror_fault", block)
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
    yield* mmapReadLock(mm)
    const pfn = yield* hmmRangeFaultUnlockable(mm, iv, seq, va, { write: true, block })
    if (pfn === "-EAGAIN") {
      block = true
      continue
    }
    yield* mmapReadUnlock(mm)
    if (pfn === "-EBUSY") continue
    if (pfn === "-EFAULT" || pfn === "-EPERM") return false
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) {
      yield* step("device_map", [name, va], () => {
        at(pageTable, va).value = pfn
      })
    }
    yield* mutexUnlock(lock)
    if (!stale) return true
  }
})

/** The same on all that the device mirrors, with a fault that has `mmap_lock` to itself, and gives up after a time (drivers since 2026). */
export const mirrorFaultTimeout = procedure(function* (device: MirrorDevice, write: boolean) {
  const { name, mm, iv, lock, pageTable } = device
  const head = yield* enterLoop("mirror_fault")
  for (;;) {
    yield* head()
    const found = yield* hmmRangeFaultUnlockedTimeout(mm, iv, iv.range, write)
    if (typeof found === "string") return false
    yield* mutexLock(lock)
    const stale = yield* mmuIntervalReadRetry(iv, found.seq)
    if (!stale) {
      yield* step("device_map", [name, iv.range.start], () => {
        for (const [position, va] of pagesOf(iv.range).entries()) at(pageTable, va).value = found.pfns[position] ?? null
      })
    }
    yield* mutexUnlock(lock)
    if (!stale) return true
  }
})
