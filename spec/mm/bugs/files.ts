/** Seeded bugs of truncation and hole punching. */
import * as Effect from "effect/Effect"
import { changeGuard, changeResult, type Plain, type SeededBug } from "../../../checker/index.ts"
import { zoo } from "../../bugZoo.ts"
import { readIn, truncatedUnmapped } from "../scenarios/races.ts"
import type { MmWorld } from "../world.ts"
import { alone, andThen } from "./instead.ts"

export const fileBugs: ReadonlyArray<SeededBug<MmWorld>> = [
  {
    id: "truncate-size-last",
    title: "truncation stores the new size when it has unmapped everything and faults are let in again",
    source: "mm/truncate.c: truncate_setsize",
    scenario: "mm/pairs/store+truncate",
    bound: alone,
    breaks: "TRUNC-NO-MAP",
    at: () => {
      let store: Effect.Effect<Plain> = Effect.succeed(undefined)
      return {
        i_size_write: (original) =>
          Effect.sync(() => {
            store = original
            return sizeBefore
          }),
        filemap_invalidate_unlock: andThen(() => store),
      }
    },
  },
  {
    id: "truncate-unmaps-once",
    title: "truncation does not unmap once more what faults have copied meanwhile",
    source: "mm/truncate.c: truncate_pagecache (comment)",
    scenario: truncatedUnmapped.id,
    bound: alone,
    breaks: "TRUNC-NO-MAP",
    at: () => {
      let removed = false
      return {
        truncate_inode_folio: andThen(() =>
          Effect.sync(() => {
            removed = true
          }),
        ),
        unmap_mapping_range: (original) => Effect.map(original, (places) => (removed ? [] : places)),
      }
    },
  },
  {
    id: "fault-between-unmap-and-remove",
    title: "a hole is punched without a second look whether the page has been mapped again",
    source: "commit 4aae8d1c051e: mm/hugetlbfs: unmap pages if page fault raced with hole punch",
    references: zoo(77),
    scenario: "mm/pairs/load+punch-hole",
    bound: alone,
    breaks: "TRUNC-NO-CACHE",
    at: () => ({ folio_wait_writeback: changeResult((found) => (found === "mapped" ? "unmapped" : found)) }),
  },
  {
    id: "fault-maps-page-under-read",
    title: "a page that is in the cache is mapped without waiting until it has been read in",
    source: "mm/filemap.c: filemap_fault (folio_test_uptodate under the folio lock)",
    scenario: readIn.id,
    bound: alone,
    breaks: "COW-CONTENT-BEFORE-MAP",
    at: () => ({ lock_folio_maybe_drop_mmap: changeGuard() }),
  },
  {
    id: "area-freed-under-truncation",
    title: "munmap frees an area and its page tables without taking it out of the file's tree first",
    source: "mm/memory.c: free_pgtables (Hide vma from rmap and truncate_pagecache before freeing pgtables)",
    scenario: "mm/pairs/munmap+truncate",
    bound: alone,
    breaks: "PT-HIDDEN-FIRST",
    at: () => ({ free_pgtables: changeGuard() }),
  },
]

/** The file's size before it is truncated, in pages. */
const sizeBefore = 1
