/** hmm_range_fault (mm/hmm.c) where a huge page may be mapped: hmm_vma_walk_pmd and hmm_vma_handle_pmd. */
import { procedure, step } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import { type HugePmd, hugeEntry, splitHugePmd } from "../mm/hugeSplit.ts"
import { type IntervalSubscription, mmuIntervalCheckRetry } from "../notifier/interval.ts"
import { hmmRangeFault, mayAccess } from "./rangeFault.ts"

/** A huge page in one piece: its frames follow each other (`hmm_pfn_to_map_order`). */
export type HmmHuge = { readonly order: 1; readonly pages: ReadonlyArray<Frame>; readonly write: boolean }

/**
 * Reads the entry of the upper level, which takes no lock: who splits it tells the notifier. Where it maps a huge page as
 * that is wanted, all of it is told; where it maps one that is to be stored to and may not, the fault splits it; and then, or where there is a
 * page table, it is read entry by entry.
 */
export const hmmRangeFaultHuge = procedure(function* (
  pmd: HugePmd,
  iv: IntervalSubscription,
  seq: number,
  write: boolean,
) {
  const { mm, range } = pmd
  if (yield* mmuIntervalCheckRetry(iv, seq)) return "-EBUSY" as const
  const found = yield* step("hmm_vma_walk_pmd", [mm.name, range.start], () => walkPmd(pmd, write))
  if (typeof found === "object") return found
  // do_huge_pmd_wp_page, which would have a huge page of its own if it could.
  if (found === "write fault") yield* splitHugePmd(pmd)
  return yield* hmmRangeFault(mm, iv, seq, range, write)
})

const walkPmd = (pmd: HugePmd, write: boolean): HmmHuge | "write fault" | "ptes" => {
  const pieces = hugeEntry(pmd)
  if (pieces === null || !mayAccess(pmd.mm, pmd.range.start, false)) return "ptes"
  // pmd_protnone: NUMA balancing has taken the access away, and the fault gives it back, piece by piece here.
  if (pieces.some(({ access }) => access === "none")) return "ptes"
  const writable = pieces.every(({ access }) => access === "write")
  if (write && !writable) return mayAccess(pmd.mm, pmd.range.start, true) ? "write fault" : "ptes"
  return { order: 1, pages: pieces.map(({ page }) => page), write: writable }
}
