/** Counts that must agree: references, mappings, charges. */

import type { Folio } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { isRmapped } from "../../../model/mm/pte.ts"
import type { MmWorld } from "../world.ts"
import { entries, folioOf, isAnon, isQuiet, liveFolios, mappings, rmappings, type Spec } from "./places.ts"

/** The references that are known: mappings, pins, and the swap cache's or page cache's. */
const knownReferences = (world: MmWorld, folio: Folio): number =>
  folio.mapcount + folio.pincount + (folio.swap === null ? 0 : 1) + (folio.mapping === world.file.name ? 1 : 0)

/** Whether reclaim has taken all references to a page that it has isolated, and nobody maps or has pinned. */
const isFrozen = ({ refcount, mapcount, pincount, lru }: Folio): boolean =>
  refcount === 0 && mapcount === 0 && pincount === 0 && !lru

/** Whether a page is as it was when it was freed. */
const isFresh = ({ lock, lru, mapping, swap, dirty, writeback }: Folio): boolean =>
  lock === "" && !lru && mapping === "" && swap === null && !dirty && !writeback

/** What an address space is charged with, counted afresh. */
const counted = (world: MmWorld, mm: Mm) => {
  const own = entries(world).filter((entry) => entry.mm === mm)
  const pages = own.flatMap(({ pte }) => (isRmapped(pte) || pte.kind === "migration" ? [pte.page] : []))
  const anon = pages.filter((page) => isAnon(folioOf(world.folios, page))).length
  const paged = pages.length
  return { anon, file: paged - anon, swap: own.filter(({ pte }) => pte.kind === "swap").length }
}

const misjudged = (world: MmWorld) =>
  world.mms.filter((mm) => {
    if (!isQuiet(mm)) return false
    const { anon, file, swap } = counted(world, mm)
    return mm.rss.anon !== anon || mm.rss.file !== file || mm.rss.swap !== swap
  })

export const countProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "REF-GE-MAP",
    statement:
      "A page has at least as many references as mappings, pins and caches refer to it, unless they are frozen.",
    source: "mm/rmap.c; include/linux/mm.h: folio_ref_count, folio_mapcount",
    premise: (world) => mappings(world).length > 0,
    holds: (world) =>
      liveFolios(world).every((folio) => isFrozen(folio) || folio.refcount >= knownReferences(world, folio)),
    explain: (world) =>
      liveFolios(world)
        .filter((folio) => !isFrozen(folio) && folio.refcount < knownReferences(world, folio))
        .map(
          (folio) =>
            `Page ${folio.index} has ${folio.refcount} references; ${knownReferences(world, folio)} are known.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "FREE-IFF-ZERO",
    statement:
      "A page is free exactly when nothing refers to it any more, or about to be freed with its references frozen; nothing maps it then.",
    source: "mm/swap.c: folio_put; mm/vmscan.c: __remove_mapping",
    holds: ({ folios }) =>
      folios.arena.slots.every((folio) =>
        folio.live ? folio.refcount > 0 || isFrozen(folio) : folio.refcount === 0 && folio.mapcount === 0,
      ),
  },
  {
    kind: "invariant",
    id: "FREE-CLEAN",
    statement:
      "Nobody changes a page that is free: it is locked by nobody, on no LRU, in no cache, neither dirty nor under writeback.",
    source: "mm/page_alloc.c: check_new_page; include/linux/page-flags.h: PAGE_FLAGS_CHECK_AT_PREP",
    premise: ({ folios }) => folios.arena.slots.some(({ live, generation }) => !live && generation > 0),
    holds: ({ folios }) => folios.arena.slots.every((folio) => folio.live || isFresh(folio)),
  },
  {
    kind: "invariant",
    id: "RMAP-COUNT",
    statement:
      "No more entries map a page than its map count says, and no fewer while nobody is inside a page table's lock.",
    source: "mm/rmap.c: folio_add_anon_rmap_ptes, folio_remove_rmap_ptes",
    premise: (world) => mappings(world).length > 0,
    holds: (world) =>
      liveFolios(world).every(({ index, mapcount }) => {
        const mapped = rmappings(world).filter(({ pte }) => pte.page.pfn === index).length
        return mapped === mapcount || (mapped < mapcount && !world.mms.every(isQuiet))
      }),
  },
  {
    kind: "invariant",
    id: "RSS-BALANCE",
    statement:
      "While nobody is inside a page table's lock, an address space is charged for as many anonymous pages, pages of files and swap entries as it has.",
    source: "mm/memory.c: add_mm_counter; kernel/fork.c: check_mm",
    premise: (world) => entries(world).length > 0 || world.mms.some(({ rss }) => rss.anon + rss.file + rss.swap !== 0),
    holds: (world) => misjudged(world).length === 0,
    explain: (world) =>
      misjudged(world)
        .map((mm) => {
          const { anon, file, swap } = counted(world, mm)
          return `${mm.name} is charged for ${mm.rss.anon}, ${mm.rss.file} and ${mm.rss.swap} and has ${anon}, ${file} and ${swap}.`
        })
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MEMCG-BALANCE",
    statement: "A control group is charged for the pages that were allocated for it and are in use.",
    source: "mm/memcontrol.c: mem_cgroup_charge, mem_cgroup_uncharge; Device-memory requirements, LKML 2015",
    holds: (world) =>
      Object.entries(world.folios.charged).every(
        ([cgroup, charged]) => charged === liveFolios(world).filter(({ memcg }) => memcg === cgroup).length,
      ),
  },
  {
    kind: "invariant",
    id: "EXIT-RSS-ZERO",
    statement: "An address space that has ended is charged for nothing.",
    source: "kernel/fork.c: check_mm",
    premise: ({ mms }) => mms.some(hasEnded),
    holds: ({ mms }) => mms.every((mm) => !hasEnded(mm) || mm.rss.anon + mm.rss.file + mm.rss.swap === 0),
  },
  {
    kind: "invariant",
    id: "EXIT-NO-DPTE",
    statement: "No device maps anything of an address space of whose end it has heard.",
    source: "mm/mmu_notifier.c: __mmu_notifier_release; Linux MMU notifiers, LKML 2008",
    premise: ({ devices, slips }) => devices.length > 0 && slips.releasedFirst === "kept",
    holds: ({ devices, slips }) =>
      slips.releasedFirst !== "kept" ||
      devices.every(({ pageTable }) => pageTable.every(({ value }) => value === null)),
  },
  {
    kind: "atEnd",
    id: "NO-LEAK",
    statement:
      "When everything has ended, every reference to a page is a mapping's or a cache's, and no folio is locked.",
    source: "mm/swap.c: folio_put; mm/filemap.c: folio_unlock",
    holds: (world) =>
      liveFolios(world).every(
        (folio) => folio.refcount > 0 && folio.refcount === knownReferences(world, folio) && folio.lock === "",
      ) && world.mms.every((mm) => isQuiet(mm) && mm.state.gathers.length === 0 && mm.state.walkers.length === 0),
    explain: (world) =>
      liveFolios(world)
        .filter((folio) => folio.refcount !== knownReferences(world, folio) || folio.lock !== "")
        .map(
          (folio) =>
            `Page ${folio.index} has ${folio.refcount} references, of which ${knownReferences(world, folio)} are accounted for${folio.lock === "" ? "" : `, and ${folio.lock} has it locked`}.`,
        )
        .join(" "),
  },
]

/** Whether exit_mmap has unmapped everything. */
const hasEnded = (mm: Mm): boolean =>
  mm.state.users === 0 && mm.state.oomSkip && mm.vma.every(({ value }) => value === null)
