/**
 * Exclusive access of the self tests' devices (lib/test_hmm.c: dmirror_exclusive).
 *
 * Corrected: the driver makes its entry with no look at any sequence, and a page whose entry was zapped meanwhile stays
 * mapped; the folio's lock does not keep anybody from that. Here its subscription tells. That is why it is announced in the
 * name of the device, whose sequence it leaves as it is; what could invalidate the page besides, an earlier round's entry or a page that is
 * yet to come, is seen to before the sequence is read.
 */
import { enterLoop, procedure, step } from "../../checker/program/index.ts"
import { makeDeviceExclusive, unlockAndPut } from "../deviceMemory/deviceExclusive.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { mmuIntervalReadBegin, mmuIntervalReadRetry } from "../notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { type Dmirror, type DmirrorRet, dmirrorCmd, dmirrorFault, dmirrorVerify } from "./testHmm.ts"

/** `dmirror_exclusive`: the pages are the device's alone until a CPU or anybody else wants them. */
export const dmirrorExclusive = procedure(function* (dmirror: Dmirror, range: Range) {
  const { mm } = dmirror
  if (!(yield* mmgetNotZero(mm))) return dmirrorCmd("-EINVAL")
  let ret: DmirrorRet = "0"
  for (const va of pagesOf(range)) {
    ret = yield* exclusivePage(dmirror, va)
    if (ret !== "0") break
  }
  yield* mmput(mm)
  return ret === "0" ? yield* dmirrorVerify(dmirror, range) : dmirrorCmd(ret)
})

const exclusivePage = procedure(function* (dmirror: Dmirror, va: number) {
  const { name, mm, mdevice, notifier, mutex, pt } = dmirror
  const head = yield* enterLoop("dmirror_exclusive")
  for (;;) {
    yield* head()
    // Whether the page may be had is said below.
    yield* dmirrorFault(dmirror, { start: va, end: va + 1 }, true)
    const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
    yield* mmapReadLock(mm)
    const page = yield* makeDeviceExclusive(mm, va, mdevice.memory.owner)
    yield* mmapReadUnlock(mm)
    if (typeof page === "string") return `-${page}` as const
    yield* mutexLock(mutex)
    const stale = yield* mmuIntervalReadRetry(notifier, seq)
    if (!stale) {
      yield* step("dmirror_atomic_map", [name, va], () => {
        at(pt, va).value = { page, write: false, atomic: true }
      })
    }
    yield* mutexUnlock(mutex)
    yield* unlockAndPut(mm, page)
    if (!stale) return "0" as const
  }
})

/** `dmirror_check_atomic`: -EPERM where the device still has a page for itself. */
export const dmirrorCheckAtomic = ({ name, pt }: Dmirror, range: Range) =>
  step("dmirror_check_atomic", [name, range.start, range.end], () =>
    dmirrorCmd(pagesOf(range).some((va) => at(pt, va).value?.atomic === true) ? "-EPERM" : "0"),
  )
