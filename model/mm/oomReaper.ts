/** The OOM reaper (mm/oom_kill.c: oom_reap_task_mm): takes the memory of a process that was killed and does not get on. */
import { procedure, step } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { tlbFinishMmu, tlbGather } from "./gather.ts"
import { findVma, type Mm, mmapReadTrylock, mmapReadUnlock } from "./mm.ts"
import { unmapPageRange } from "./unmap.ts"
import { areasIn } from "./vma.ts"

/** How often the reaper tries (MAX_OOM_REAP_RETRIES). */
const attempts = 2

/**
 * `oom_reap_task`: unmaps what is private to the process, locked or not, never waiting: neither for `mmap_lock` nor for a notifier.
 *
 * @returns whether it got through
 */
export const oomReapTask = procedure(function* (mm: Mm) {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (!(yield* mmapReadTrylock(mm))) continue
    const reaped = yield* oomReapTaskMm(mm)
    yield* mmapReadUnlock(mm)
    if (reaped) break
  }
  yield* step("oom_reap_task: set_bit(MMF_OOM_SKIP)", [mm.name], () => {
    mm.state.oomSkip = true
  })
})

/** `__oom_reap_task_mm`, `mmap_lock` held for read; false when a notifier would have had to sleep. */
const oomReapTaskMm = procedure(function* (mm: Mm) {
  const areas = yield* step("__oom_reap_task_mm", [mm.name], () => {
    if (mm.state.oomSkip) return []
    mm.state.unstable = true
    const reapable = (va: number) => {
      const vma = findVma(mm, va)
      return vma !== null && !vma.shared && !vma.hugetlb ? vma : null
    }
    return areasIn(reapable, { start: 0, end: mm.pages })
  })
  let complete = true
  for (const area of areas) {
    const window = { ...notifierRange("CLEAR", "__oom_reap_task_mm", area), blockable: false }
    if (!(yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window))) {
      complete = false
      continue
    }
    const gather = tlbGather(mm)
    yield* unmapPageRange(gather, area)
    yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
    yield* tlbFinishMmu(gather, area)
  }
  return complete
})
