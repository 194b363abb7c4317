/**
 * hmm_range_fault (mm/hmm.c) whose faults may drop `mmap_lock` where they would have to wait: of 2019, with
 * FAULT_FLAG_ALLOW_RETRY unless told to block; as posted again in 2026, for faults that only userspace can end. What it
 * returns has to say whether the lock is still held.
 */
import * as Effect from "effect/Effect"
import { choose, enterLoop, step } from "../../checker/program/index.ts"
import { handleMmFault, migrationEntryWait } from "../mm/fault.ts"
import { type Mm, mmapReadUnlock } from "../mm/mm.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"
import { type HmmPfn, hmmVmaHandlePte, mayAccess } from "./rangeFault.ts"

/** What comes of it: -EAGAIN is that `mmap_lock` was dropped; with everything else it is held. */
export type Outcome = HmmPfn | "-EBUSY" | "-EAGAIN" | "-EFAULT" | "-EPERM"

/**
 * Reads the entry of a page, and faults it in, `mmap_lock` held for read.
 *
 * @param block whether a fault waits, and keeps the lock; true when the page was tried before (FAULT_FLAG_TRIED)
 */
export const hmmRangeFaultUnlockable = Effect.fnUntraced(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  va: number,
  { write, block }: { readonly write: boolean; readonly block: boolean },
) {
  const outcome = yield* faultUnlockable(mm, iv, seq, va, { write, block })
  return yield* step("hmm_range_fault", [mm.name, va], (): Outcome => outcome)
})

const faultUnlockable = Effect.fnUntraced(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  va: number,
  { write, block }: { readonly write: boolean; readonly block: boolean },
) {
  const head = yield* enterLoop("hmm_range_fault")
  for (;;) {
    yield* head()
    if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
    const found = yield* step("hmm_vma_handle_pte", [va], () => hmmVmaHandlePte(mm, va, write))
    if (found === "-EFAULT") return found
    if (found !== "fault") {
      if (!("migrating" in found)) return found
      yield* migrationEntryWait(mm, found.migrating)
      continue
    }
    const allowed = yield* step("hmm_vma_fault", [va], () => mayAccess(mm, va, write))
    if (!allowed) return "-EPERM" as const
    if (!block && (yield* choose("handle_mm_fault has to wait", [false, true]))) {
      // VM_FAULT_RETRY
      yield* mmapReadUnlock(mm)
      return "-EAGAIN" as const
    }
    if ((yield* handleMmFault(mm, va, { write })) !== "done") return "-EFAULT" as const
  }
})
