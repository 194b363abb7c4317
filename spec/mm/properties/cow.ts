/** Copy-on-write, exclusive pages and pins (section by section as the kernel's own tests ask). */
import { actionInvariant } from "../../../checker/index.ts"
import { isLongtermPinnable } from "../../../model/deviceMemory/pgmap.ts"
import { inodeOf } from "../../../model/file/inode.ts"
import { isLive } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { isWritable } from "../../../model/mm/pte.ts"
import { anything } from "../memory.ts"
import type { MmWorld } from "../world.ts"
import {
  anonMappings,
  anonPins,
  entries,
  entriesOf,
  findVma,
  folioOf,
  held,
  isAnon,
  isPrivate,
  isSettled,
  liveFolios,
  mappings,
  type Spec,
  sameFrame,
} from "./places.ts"

export const cowProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "COW-AE-SINGLE",
    statement: "A page that is marked exclusive is mapped by one entry at most.",
    source: "include/linux/page-flags.h: PG_anon_exclusive; include/linux/rmap.h",
    premise: (world) => liveFolios(world).some(({ anonExclusive }) => anonExclusive),
    holds: (world) => liveFolios(world).every((folio) => !folio.anonExclusive || entriesOf(world, folio) <= 1),
  },
  {
    kind: "invariant",
    id: "COW-WRITABLE-AE",
    statement:
      "An anonymous page that may be stored to through a private mapping is marked exclusive, while nobody is changing its entry.",
    source: "mm/mprotect.c: can_change_private_pte_writable; mm/memory.c: do_wp_page",
    premise: (world) => anonMappings(world).some(({ pte }) => isWritable(pte)),
    holds: (world) =>
      anonMappings(world).every(
        ({ mm, va, pte }) => !isWritable(pte) || folioOf(world.folios, pte.page).anonExclusive || !isSettled(mm, va),
      ),
  },
  {
    kind: "invariant",
    id: "COW-PIN-AE",
    statement: "An anonymous page that is pinned is marked exclusive.",
    source: "mm/gup.c: gup_must_unshare",
    premise: (world) => anonPins(world).length > 0,
    holds: (world) => sharedPins(world).length === 0,
    explain: (world) =>
      sharedPins(world)
        .map(({ fiber, one }) => `${fiber} has pinned page ${one.page.pfn} of ${one.mm}, which is not exclusive.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "COW-PIN-STAYS",
    statement: "A page that was pinned at an address stays mapped there until the process unmaps it.",
    source: "tools/testing/selftests/mm/cow.c; commit 57efa1fe5957; CVE-2022-48797",
    premise: (world) => anonPins(world).length > 0,
    holds: (world) => astray(world).length === 0,
    explain: (world) =>
      astray(world)
        .map(
          ({ fiber, one }) =>
            `${fiber} has pinned page ${one.page.pfn}, and ${one.mm} no longer has it at page ${one.va}.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "GUP-UNMAP-DEKKER",
    statement:
      "Not both: who unmaps a page finds it not pinned, and who pins it finds its entry unchanged and the page exclusive.",
    source: "include/linux/rmap.h: __folio_try_share_anon_rmap; mm/gup.c: gup_fast_pte_range",
    premise: (world) => anonPins(world).length > 0,
    holds: (world) =>
      anonPins(world).every(({ one }) => {
        const pte = world.mms.find(({ name }) => name === one.mm)?.pte[one.va]?.value ?? null
        return pte?.kind !== "swap" && pte?.kind !== "migration"
      }),
  },
  {
    kind: "invariant",
    id: "COW-OLD-RMAP-LAST",
    statement:
      "When copy-on-write takes the old page's mapping off its map count, no TLB translates the address to it any more.",
    source: "mm/memory.c: wp_page_copy (comment)",
    premise: ({ slips }) => slips.rmapAfterFlush !== "untested",
    holds: ({ slips }) => slips.rmapAfterFlush !== "broken",
  },
  actionInvariant({
    id: "COW-CONTENT-BEFORE-MAP",
    statement: "A page has its content when it is mapped.",
    source: "mm/memory.c: __folio_mark_uptodate before set_pte_at",
    observe: (world: MmWorld) => world.mms.map((mm) => mm.pte.map((_, va) => mappedContent(world, mm, va))),
    premise: (before, after) => before !== after,
    holds: (before, after) =>
      after.every((mm, i) => mm.every((is, va) => is === null || is.expected || before[i]?.[va]?.page === is.page)),
  }),
  {
    kind: "invariant",
    id: "COW-ZERO-RO",
    statement: "The zero page is never stored to.",
    source: "mm/memory.c: do_anonymous_page; mm/gup.c",
    premise: (world) => entries(world).some(({ pte }) => pte.kind === "zero"),
    holds: ({ mms }) =>
      mms.every(({ tlbs }) =>
        [...tlbs.values()].every((cache) => cache.every(({ value }) => value?.page !== null || !value.write)),
      ),
  },
  {
    kind: "invariant",
    id: "FORK-NO-W-SHARED",
    statement:
      "An anonymous page that several private mappings share is exclusive to none, and none may store to it, while nobody is changing its entry.",
    source: "mm/memory.c: copy_present_ptes",
    premise: (world) => liveFolios(world).some((folio) => isAnon(folio) && folio.mapcount > 1),
    holds: (world) =>
      anonMappings(world).every(({ mm, va, pte }) => {
        const folio = folioOf(world.folios, pte.page)
        return folio.mapcount < 2 || !isSettled(mm, va) || (!folio.anonExclusive && !isWritable(pte))
      }),
  },
  {
    kind: "invariant",
    id: "FORK-PIN-COPIED",
    statement: "A page that a process has pinned is mapped by no other process: fork gives the child a copy.",
    source: "include/linux/rmap.h: folio_try_dup_anon_rmap_pte",
    premise: (world) => anonPins(world).length > 0,
    holds: (world) =>
      anonPins(world).every(({ one }) =>
        mappings(world).every(({ mm, pte }) => mm.name === one.mm || !sameFrame(pte.page, one.page)),
      ),
  },
  {
    kind: "invariant",
    id: "FORK-GUPFAST",
    statement: "A pin that was taken without locks while fork copied the page tables is not kept.",
    source: "mm/gup.c: gup_fast (write_protect_seq); commit 57efa1fe5957",
    premise: ({ slips }) => slips.dropsPinDuringFork !== "untested",
    holds: ({ slips }) => slips.dropsPinDuringFork !== "broken",
  },
  {
    kind: "invariant",
    id: "GUP-LT-POLICY",
    statement: "No page that must stay movable, nor one of a device's coherent memory, is pinned for good.",
    source:
      "include/linux/mm.h: folio_is_longterm_pinnable; mm: add zone device coherent type memory support, LKML 2022",

    premise: (world) => held(world).some(({ one }) => one.longterm),
    holds: (world) => held(world).every(({ one }) => !one.longterm || isLongtermPinnable(world.folios, one.page)),
  },
  {
    kind: "invariant",
    id: "GUP-LT-FILE",
    statement: "No shared page of a file whose file system must hear of stores is pinned for good to be stored to.",
    source: "mm/gup.c: writable_file_mapping_allowed; tools/testing/selftests/mm/gup_longterm.c",
    premise: (world) => held(world).some(({ one }) => one.longterm && one.write),
    holds: (world) =>
      held(world).every(({ one }) => {
        if (!one.longterm || !one.write || !isLive(world.folios, one.page)) return true
        const { mapping } = folioOf(world.folios, one.page)
        return !world.system.inodes.has(mapping) || !inodeOf(world.system, mapping).tracksDirty
      }),
  },
  {
    kind: "atEnd",
    id: "FORK-SEQ-ENDS",
    statement: "When no page table is being copied any more, pages can be pinned without locks again.",
    source: "mm/memory.c: copy_page_range (raw_write_seqcount_end); mm/gup.c: gup_fast",
    premise: ({ mms }) => mms.some(({ state }) => state.writeProtectSeq > 0),
    holds: ({ mms }) => mms.every(({ state }) => state.writeProtectSeq % 2 === 0),
  },
  {
    kind: "atEnd",
    id: "GUP-FAIL-CLEAN",
    statement:
      "When everything has ended no pin is left: neither of those who gave theirs back nor of those who failed.",
    source: "mm/gup.c: __gup_longterm_locked",
    premise: ({ mms }) => mms.some(({ state }) => state.hasPinned),
    holds: (world) => liveFolios(world).every(({ pincount }) => pincount === 0),
  },
  {
    kind: "invariant",
    id: "GUP-HASPINNED-FIRST",
    statement: "An address space is marked as having pins before its first page is pinned.",
    source: "mm/gup.c: mm_set_has_pinned_flag",
    premise: ({ slips }) => slips.marksPins !== "untested",
    holds: ({ slips }) => slips.marksPins !== "broken",
  },
  {
    kind: "invariant",
    id: "RECLAIM-FREEZE",
    statement: "A page that somebody holds is not freed.",
    source: "mm/vmscan.c: __remove_mapping",
    premise: (world) => held(world).length > 0,
    holds: (world) => held(world).every(({ one }) => isLive(world.folios, one.page)),
    explain: (world) =>
      held(world)
        .filter(({ one }) => !isLive(world.folios, one.page))
        .map(({ fiber, one }) => `${fiber} holds page ${one.page.pfn} of ${one.mm}, which was freed.`)
        .join(" "),
  },
]

/** The page that an entry maps, and whether what is in it is to be expected there. */
const mappedContent = (world: MmWorld, mm: Mm, va: number) => {
  const pte = mm.pte[va]?.value
  if (pte?.kind !== "present") return null
  const expected = world.memory.expected(mm, va)
  const { content } = folioOf(world.folios, pte.page)
  return { page: `${pte.page.pfn}.${pte.page.generation}`, expected: expected === anything || expected === content }
}

/** The pins of pages that are not exclusive. */
const sharedPins = (world: MmWorld) =>
  anonPins(world).filter(({ one }) => !folioOf(world.folios, one.page).anonExclusive)

/** The pins whose page is no longer where it was pinned. */
const astray = (world: MmWorld) =>
  anonPins(world).filter(({ one }) => {
    const mm = world.mms.find(({ name }) => name === one.mm)
    if (mm === undefined || !isSettled(mm, one.va) || !isPrivate(mm, one.va) || findVma(mm, one.va) === null)
      return false
    const pte = mm.pte[one.va]?.value ?? null
    // What a device has for itself stays with those who have pinned it.
    return (pte?.kind !== "present" && pte?.kind !== "exclusive") || !sameFrame(pte.page, one.page)
  })
