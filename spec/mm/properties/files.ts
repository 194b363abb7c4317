/** Files under the mappings: truncation, holes, private mappings, writeback. */
import { actionInvariant } from "../../../checker/index.ts"
import { contentInFile, withinSize } from "../../../model/file/inode.ts"
import { type Folio, zeroes } from "../../../model/mm/folio.ts"
import { anything } from "../memory.ts"
import type { MmWorld } from "../world.ts"
import { entries, folioOf, isAnon, mappings, type Spec } from "./places.ts"

/** The entries of areas of the file that lie beyond its end. */
const beyondTheEnd = (world: MmWorld) =>
  entries(world).filter(({ mm, va }) => {
    const vma = mm.vma[va]?.value
    return vma?.file === world.file.name && !withinSize(world.file, vma.pgoff)
  })

const isBeingTruncated = ({ file }: MmWorld): boolean => file.lock.state.holder !== ""

/** The mapped pages of files that no page cache has any more. */
const cutOff = (world: MmWorld) =>
  mappings(world).filter(({ pte }) => {
    const folio = folioOf(world.folios, pte.page)
    return !isAnon(folio) && folio.mapping === ""
  })

/** The pages of the file in which there is something else than was stored there. */
const changedPages = ({ file, folios, memory }: MmWorld) =>
  file.cache.flatMap((_, index) => {
    if (!withinSize(file, index)) return []
    const expected = memory.expectedInFile(file, index)
    const found = contentInFile(folios, file, index)
    return expected === anything || expected === found ? [] : [{ index, expected, found }]
  })

/** What is observed of a frame; its life is 0 while it is free. */
const observeFrame = ({ live, generation, dirty, swapBacked, writeback, lock }: Folio) => ({
  life: live ? generation : 0,
  dirty,
  swapBacked,
  writeback,
  locked: lock !== "",
})
type Frames = ReadonlyArray<ReturnType<typeof observeFrame>>

/**
 * The frames that a step makes clean or takes into writeback: whether they were locked, and whether it is MADV_FREE that
 * makes them clean, which tries the lock and gives it back in the same step.
 */
const cleaned = (before: Frames, after: Frames) =>
  before.flatMap((was, pfn) => {
    const is = after[pfn] ?? was
    const cleans = (was.dirty && !is.dirty) || (!was.writeback && is.writeback)
    return was.life !== 0 && was.life === is.life && cleans ? [{ locked: was.locked, freed: !is.swapBacked }] : []
  })

export const fileProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "TRUNC-NO-MAP",
    statement:
      "Unless a file is being truncated, no entry maps a page of it, or a private copy of one, that lies beyond its end.",
    source: "mm/truncate.c: truncate_pagecache; mm/memory.c: unmap_mapping_range",
    premise: (world) => world.file.state.size < world.file.cache.length,
    holds: (world) => isBeingTruncated(world) || beyondTheEnd(world).length === 0,
    explain: (world) =>
      beyondTheEnd(world)
        .map(({ mm, va }) => `Page ${va} of ${mm.name} lies beyond the end of the file, and can still be used.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "TRUNC-NO-CACHE",
    statement: "A page of a file is mapped only while it is in the page cache.",
    source: "mm/truncate.c: truncate_inode_folio; commit 4aae8d1c051e",
    premise: (world) => mappings(world).some(({ pte }) => !isAnon(folioOf(world.folios, pte.page))),
    holds: (world) => cutOff(world).length === 0,
    explain: (world) =>
      cutOff(world)
        .map(({ mm, va, pte }) => `Page ${va} of ${mm.name} maps page ${pte.page.pfn}, which has left the page cache.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "COW-FILE-UNTOUCHED",
    statement: "In a file is what was stored to it: what is stored through a private mapping never gets there.",
    source: "mm/gup.c: follow_page_pte (FOLL_FORCE); CVE-2016-5195",
    holds: (world) => changedPages(world).length === 0,
    explain: (world) =>
      changedPages(world)
        .map(({ index, expected, found }) => `In page ${index} of the file is "${found}" instead of "${expected}".`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "TRUNC-NO-BLOCKS",
    statement: "Unless a file is being truncated, nothing is on disk beyond its end.",
    source: "fs/ext4/inode.c: ext4_truncate, ext4_ext_remove_space",
    premise: (world) => world.file.state.size < world.file.cache.length,
    holds: (world) =>
      isBeingTruncated(world) || world.file.disk.slice(world.file.state.size).every(({ value }) => value === zeroes),
  },
  {
    kind: "invariant",
    id: "TRUNC-LOCKED",
    statement: "Truncation takes a page out of the page cache only with the invalidate_lock, which keeps faults out.",
    source: "Documentation/filesystems/locking.rst: invalidate_lock; mm/truncate.c: truncate_inode_pages_range",
    premise: ({ slips }) => slips.truncatesLocked !== "untested",
    holds: ({ slips }) => slips.truncatesLocked !== "broken",
  },
  actionInvariant({
    id: "WRITEBACK-LOCKED",
    statement:
      "A page is made clean, and goes under writeback, only while it is locked; by MADV_FREE only while nobody else has it locked.",
    source:
      "mm/page-writeback.c: folio_clear_dirty_for_io (VM_BUG_ON_FOLIO); Documentation/filesystems/locking.rst: set_page_writeback before unlock_page",
    observe: ({ folios }: MmWorld): Frames => folios.arena.slots.map(observeFrame),
    premise: (before, after) => cleaned(before, after).length > 0,
    holds: (before, after) => cleaned(before, after).every(({ locked, freed }) => locked !== freed),
  }),
]
