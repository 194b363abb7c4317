/** Seeded bugs of mapped files; the first two are what the kernel does, and says that it does. */
import { changeBody, changeResult, leaveOut, type Replacements, type SeededBug } from "../../../checker/index.ts"
import { cut, stores } from "./scenarios.ts"
import type { MappedWorld } from "./world.ts"

const gap =
  "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, where mmap is left out because of the locking rules of page faults"

/** Layouts are given out whoever may store to the file through a mapping. */
const notSynchronised = (): Replacements => ({ "xfs_fs_map_blocks: recheck": changeResult(() => null) })

const ofServer =
  (replacements: Replacements) =>
  (_: MappedWorld, fiber: string): Replacements =>
    fiber === "fs" ? replacements : {}

export const mappedBugs: ReadonlyArray<SeededBug<MappedWorld>> = [
  {
    id: "mmap-store-beside-layout",
    title: "documented behaviour: a process dirties a page of a file while a client has a layout of its block",
    source: gap,
    scenario: stores.id,
    bound: { writebacks: 0 },
    breaks: "LAYOUT-NO-DIRTY-PAGE",
    at: notSynchronised,
  },
  {
    id: "mmap-store-over-committed-write",
    title:
      "documented behaviour: a page that a process has stored to hides, and overwrites, what a client has written and committed since",
    source: gap,
    scenario: stores.id,
    bound: { writebacks: 0 },
    breaks: "LAYOUT-LAST-WRITE",
    at: notSynchronised,
  },
  {
    id: "mapped-truncate-breaks-no-layouts",
    title: "truncation unmaps the file from processes, and does not ask whether clients use its blocks",
    source: "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts",
    scenario: cut.id,
    breaks: "LAYOUT-NO-FOREIGN-WRITE",
    at: ofServer({ "break_lease: list_empty_careful": leaveOut(false) }),
  },
  {
    id: "mapped-truncate-unmaps-nothing",
    title: "truncation breaks layouts, and leaves the pages of processes mapped",
    source: "mm/truncate.c: truncate_pagecache, unmap_mapping_range",
    scenario: cut.id,
    breaks: "TRUNC-NO-MAP",
    at: ofServer({
      unmap_mapping_range: changeBody(({ body }) => {
        body()
        return []
      }),
    }),
  },
  {
    id: "mapped-truncate-keeps-blocks",
    title: "truncation unmaps the file and drops its pages, and leaves it its blocks",
    source: "fs/xfs/xfs_iops.c: xfs_setattr_size, xfs_itruncate_extents",
    scenario: cut.id,
    breaks: "TRUNC-NO-BLOCKS",
    at: () => ({ xfs_itruncate_extents: leaveOut() }),
  },
  {
    id: "mapped-punch-beside-faults",
    title: "a fault reads the block into the page cache again before the hole is punched",
    source:
      "fs/xfs/xfs_file.c: xfs_file_fallocate, XFS_MMAPLOCK_EXCL; Documentation/filesystems/locking.rst: invalidate_lock",
    scenario: cut.id,
    breaks: "HOLE-ZERO",
    at: ofServer({ filemap_invalidate_lock: leaveOut(), filemap_invalidate_unlock: leaveOut() }),
  },
  {
    id: "mapped-truncate-waits-under-lock",
    title: "truncation waits for a client with the lock that the client's commit wants",
    source: "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, xfs_iunlock around the wait",
    scenario: cut.id,
    breaks: "L-TRUNC",
    at: ofServer({
      "xfs_break_leased_layouts: xfs_iunlock": leaveOut(),
      "xfs_break_leased_layouts: xfs_ilock": leaveOut(),
    }),
  },
]
