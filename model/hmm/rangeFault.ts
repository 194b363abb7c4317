/** hmm_range_fault (mm/hmm.c), every page requested with HMM_PFN_REQ_FAULT. */
import * as Effect from "effect/Effect"
import { enterLoop, step } from "../../checker/program/index.ts"
import { handleMmFault, migrationEntryWait } from "../mm/fault.ts"
import type { Frame } from "../mm/folio.ts"
import { findVma, hasTable, type Mm } from "../mm/mm.ts"
import type { Pte } from "../mm/pte.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { allows } from "../mm/vma.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"

/** A page as HMM tells it: the frame, `null` for the zero page, and HMM_PFN_WRITE. */
export type HmmPfn = { readonly page: Frame | null; readonly write: boolean }

/** What the walk finds in an entry: a page, a migration that is to be waited for, or that a fault is needed. */
type Found = HmmPfn | { readonly migrating: Frame } | "fault" | "-EFAULT"

/** Where the walk does not go on: at a migration that is to be waited for, or at a page that is to be faulted in. */
type Stopped = { readonly migrating: Frame } | { readonly missing: number }

/**
 * Reads the page table of the range without its lock and faults in what is not present, `mmap_lock` held for read. No
 * reference is taken on any page: only `mmuIntervalReadRetry` makes the result trustworthy.
 *
 * On an internal restart the pages before `last` stay as they were read.
 *
 * @param write whether the pages are to be writable (HMM_PFN_REQ_WRITE)
 */
export const hmmRangeFault = Effect.fnUntraced(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  write: boolean,
) {
  const pfns: Array<HmmPfn> = []
  const head = yield* enterLoop("hmm_range_fault")
  for (;;) {
    yield* head(pfns)
    if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
    let stopped: Stopped | null = null
    for (const va of pagesOf(range).slice(pfns.length)) {
      const found = yield* step("hmm_vma_handle_pte", [va], () => hmmVmaHandlePte(mm, va, write))
      if (found === "-EFAULT") return found
      if (found === "fault" || "migrating" in found) {
        stopped = found === "fault" ? { missing: va } : found
        break
      }
      pfns.push(found)
    }
    if (stopped === null) return pfns
    if ("migrating" in stopped) {
      // The walk ends with -EBUSY, upon which it begins again here, with the same sequence number.
      yield* migrationEntryWait(mm, stopped.migrating)
      continue
    }
    const { missing } = stopped
    const needed = pagesOf({ start: missing, end: range.end })
    const faulted = yield* step("hmm_vma_fault", [missing], () =>
      mayAccess(mm, missing, write) ? needed.filter((va) => mayAccess(mm, va, write)) : "-EPERM",
    )
    if (faulted === "-EPERM") return faulted
    // All of them are faulted in, then the walk begins again at the page that was missing.
    for (const va of faulted) {
      if ((yield* handleMmFault(mm, va, { write })) !== "done") return "-EFAULT" as const
    }
  }
})

/** Whether the process may access the page. Within a step. */
export const mayAccess = (mm: Mm, va: number, write: boolean): boolean => {
  const vma = findVma(mm, va)
  return vma !== null && allows(vma, write)
}

/** `hmm_vma_handle_pte`: one entry, read without its lock. Within a step. */
export const hmmVmaHandlePte = (mm: Mm, va: number, write: boolean): Found => {
  if (!mayAccess(mm, va, false)) return "-EFAULT"
  const pte: Pte = hasTable(mm, va) ? at(mm.pte, va).value : null
  switch (pte?.kind) {
    case "present":
      if (pte.access === "none" || (write && pte.access !== "write")) return "fault"
      return { page: pte.page, write: pte.access === "write" }
    case "zero":
      return write || pte.access === "none" ? "fault" : { page: null, write: false }
    case "migration":
      return { migrating: pte.page }
    case "marker":
      return "-EFAULT"
    default:
      return "fault"
  }
}
