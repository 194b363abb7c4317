/** Getting and pinning user pages without locks (mm/gup.c: gup_fast). */
import { assert, procedure, self, step } from "../../checker/program/index.ts"
import { isLongtermPinnable } from "../deviceMemory/pgmap.ts"
import { Errno } from "../errno.ts"
import { type Folio, folioOf, folioPut, folioTryGet } from "./folio.ts"
import { type GupFlags, getUserPages, how, mustUnshare, type UserPage, ungrab } from "./gup.ts"
import { isTable, type Mm, tableOf } from "./mm.ts"
import { isWritable, mappedPage, type Pte, pteSame } from "./pte.ts"
import { at } from "./range.ts"
import { isAnon } from "./rmap.ts"

/**
 * `get_user_pages_fast` and `pin_user_pages_fast` of one page, by a thread of the process: without locks, interrupts
 * off, which keeps page tables from being freed; where that does not do, as `getUserPages`.
 *
 * @throws Errno as `getUserPages`
 */
export const getUserPagesFast = procedure(function* (mm: Mm, va: number, flags: GupFlags) {
  if (mm.pte[va] === undefined) return yield* new Errno({ call: "get_user_pages_fast", errno: "EFAULT" })
  const page = yield* gupFast(mm, va, flags)
  return page ?? (yield* getUserPages(mm, va, flags))
})

/** `gup_fast`; `null` when the slow path has to do it. */
const gupFast = procedure(function* (mm: Mm, va: number, flags: GupFlags) {
  const seq = yield* step("gup_fast: local_irq_save", [mm.name], () => {
    if (flags.pin) mm.state.hasPinned = true
    if (flags.pin && mm.state.writeProtectSeq % 2 === 1) return null
    mm.state.walkers = [...mm.state.walkers, self()].sort()
    return mm.state.writeProtectSeq
  })
  if (seq === null) return null
  const page = yield* gupFastPte(mm, va, flags)
  const kept = yield* step("gup_fast: read_seqcount_retry", [mm.name, va, seq], () => {
    mm.state.walkers = mm.state.walkers.filter((name) => name !== self())
    if (page?.frame == null || !flags.pin || mm.state.writeProtectSeq === seq) return true
    ungrab(mm.system, page.frame, flags.pin)
    return false
  })
  return kept ? page : null
})

/** `gup_fast_pte_range`, of one entry: a reference first, then a second look at what led to it. */
const gupFastPte = procedure(function* (mm: Mm, va: number, flags: GupFlags) {
  const { folios } = mm.system
  const table = tableOf(mm, va).state
  const pmd = yield* step("gup_fast_pmd_range", [mm.name, va], () => (table.linked ? table.generation : null))
  if (pmd === null) return null
  const pte = yield* step("gup_fast_pte_range: ptep_get_lockless", [mm.name, va], (): Pte => {
    assert(isTable(tableOf(mm, va), pmd), `a walker without locks reads a page table of ${mm.name} after it was freed`)
    // Those that are left to walkers without locks are empty.
    return table.generation === pmd ? at(mm.pte, va).value : null
  })
  // The entry of the zero page is special (pte_special): it is for the slow path.
  const mapped = mappedPage(pte)
  if (pte?.kind !== "present" || mapped === null || pte.access === "none" || (flags.write && !isWritable(pte))) {
    return null
  }
  const frame = yield* step("gup_fast_pte_range: try_grab_folio_fast", [mapped.pfn], () => {
    // The frame may meanwhile belong to somebody else, or to nobody.
    const got = folioTryGet(folios, mapped.pfn)
    if (got !== null && flags.pin && flags.longterm === true && !isLongtermPinnable(folios, got)) {
      folioPut(folios, got)
      return null
    }
    if (got !== null && flags.pin) folioOf(folios, got).pincount++
    return got
  })
  if (frame === null) return null
  const same = yield* step("gup_fast_pte_range: recheck", [mm.name, va, frame.pfn, how(flags)], () => {
    const folio = folioOf(folios, frame)
    const unchanged = table.linked && table.generation === pmd && pteSame(at(mm.pte, va).value, pte)
    if (unchanged && !mustUnshare(folio, true, flags) && fileAllowed(mm, folio, flags)) return true
    ungrab(mm.system, frame, flags.pin)
    return false
  })
  const page: UserPage = { frame, pinned: flags.pin }
  return same ? page : null
})

/** `gup_fast_folio_allowed`: what may be pinned for long and stored to; a file that must hear of stores may not. Within a step. */
const fileAllowed = (mm: Mm, folio: Folio, { write, longterm }: GupFlags): boolean => {
  if (!write || longterm !== true) return true
  if (isAnon(folio)) return true
  return mm.system.inodes.get(folio.mapping)?.tracksDirty === false
}
