/** hmm_range_fault (mm/hmm.c) with nothing requested: it says what is there, and faults nothing in. */
import * as Effect from "effect/Effect"
import { step } from "../../checker/program/index.ts"
import { pgmapOf } from "../deviceMemory/pgmap.ts"
import { findVma, hasTable, type Mm } from "../mm/mm.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { allows } from "../mm/vma.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"
import type { HmmPfn } from "./rangeFault.ts"

/** What a snapshot says of a page: `error` is HMM_PFN_ERROR, `none` an entry without HMM_PFN_VALID. */
export type Snapped = HmmPfn | "none" | "error"

/**
 * Reads the page table of the range without its lock, `mmap_lock` held for read. Only `mmuIntervalReadRetry` makes the
 * result trustworthy.
 *
 * @param owner whose private pages are told (`dev_private_owner`); of those of others there is nothing to say
 */
export const hmmRangeSnapshot = Effect.fnUntraced(function* (
  mm: Mm,
  iv: IntervalSubscription,
  seq: number,
  range: Range,
  owner = "",
) {
  if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
  const found: Array<Snapped> = []
  for (const va of pagesOf(range)) found.push(yield* step("hmm_vma_handle_pte", [va], () => snapPte(mm, va, owner)))
  return found
})

const snapPte = (mm: Mm, va: number, owner: string): Snapped => {
  const vma = findVma(mm, va)
  if (vma === null || !allows(vma, false)) return "error"
  const pte = hasTable(mm, va) ? at(mm.pte, va).value : null
  if (pte?.kind === "zero" && pte.access !== "none") return { page: null, write: false }
  if (pte?.kind === "private" && pgmapOf(mm.system.folios, pte.page)?.owner === owner) {
    return { page: pte.page, write: pte.write }
  }
  if (pte?.kind !== "present" || pte.access === "none") return "none"
  return { page: pte.page, write: pte.access === "write" }
}
