/** What may go wrong in a single step: recorded from outside, for a property to see it. */
import { type Monitor, type Struct, struct } from "../../checker/index.ts"
import { hasTable, type Mm } from "../../model/mm/mm.ts"
import { at, pagesOf } from "../../model/mm/range.ts"
import { mmOf } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"

export type Slips = Struct<{
  /** A pin without locks was kept although fork's copying was under way. */
  pinnedDuringFork: boolean
  /** A page was moved although somebody held it. */
  movedWhileHeld: boolean
  /** A reference was kept to a page that the entry no longer mapped. */
  keptUnmapped: boolean
  /** A page was pinned before the process was marked as having pins. */
  unmarked: boolean
  /** Copy-on-write took a mapping off the old page's count while a TLB had it. */
  rmapBeforeFlush: boolean
  /** mprotect announced a range without page tables. */
  emptyProtection: boolean
  /** mremap moved to where something was mapped. */
  movedOver: boolean
  /** The OOM reaper waited for a driver's lock. */
  reaperWaited: boolean
  /** The subscribers have heard of the end of the address space; it was unmapped before they had. */
  released: boolean
  unreleased: boolean
}>

/** Nothing has gone wrong yet. */
export const noSlips = (): Slips =>
  struct("slips", {
    pinnedDuringFork: false,
    movedWhileHeld: false,
    keptUnmapped: false,
    unmarked: false,
    rmapBeforeFlush: false,
    emptyProtection: false,
    movedOver: false,
    reaperWaited: false,
    released: false,
    unreleased: false,
  })

/** Watches the steps that show what is not shown by a state alone. */
export const watchSlips = (system: System, mirrored: Mm, slips: Slips): Monitor => ({
  "wp_page_copy: folio_remove_rmap_pte": ({ args }) => {
    const mm = mmOf(system, String(args[0]))
    const page = at(mm.pte, Number(args[1])).value
    for (const cache of mm.tlbs.values()) {
      const cached = at(cache, Number(args[1])).value
      if (cached !== null && page?.kind === "present" && cached.page?.pfn !== page.page.pfn)
        slips.rmapBeforeFlush = true
    }
  },
  mn_itree_inv_start_range: ({ args }) => {
    const [, start, end, , by] = args
    const covered = pagesOf({ start: Number(start), end: Number(end) })
    if (by === "change_protection" && covered.every((va) => !hasTable(mirrored, va))) slips.emptyProtection = true
  },
  copy_vma: ({ args }) => {
    if (at(mmOf(system, String(args[0])).pte, Number(args[2])).value !== null) slips.movedOver = true
  },
  mn_itree_inv_end: ({ args }) => {
    if (args[3] === "RELEASE") slips.released = true
  },
  exit_mmap: ({ args }) => {
    const isMirrored = args[0] === mirrored.name && mirrored.subscriptions.byName.size > 0
    if (isMirrored && !slips.released) slips.unreleased = true
  },
  mutex_lock: ({ fiber, args }) => {
    if (fiber.startsWith("oom_reaper") && String(args[0]).startsWith("gpu")) slips.reaperWaited = true
  },
})
