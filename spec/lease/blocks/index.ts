import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Plain, type Property, protocol, type SeededBug } from "../../../checker/index.ts"
import { zeroes } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { type BlocksWorld, blocksWorld } from "./world.ts"

const owner = ({ file }: BlocksWorld) => at(file.inode.extents, 0).value?.block
const disk = (world: BlocksWorld): string => {
  const block = owner(world)
  return block === undefined ? "" : at(world.file.inode.mount.device.blocks, block).value
}

const define = scenariosOf("lease/blocks", blocksWorld, [])

const mappedBlock: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-MAPPED",
  statement:
    "What a process has mapped of a file is a block of the file: a block that is free, or another file's, nobody has mapped.",
  source: "mm/truncate.c: truncate_pagecache; TRUNC-FAULT and DAX-IDLE of the reference",
  premise: ({ file }) => file.pte.some(({ value }) => value !== null),
  holds: (world) => world.file.pte.every(({ value }) => value === null || value === owner(world)),
}

const lastStore: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-LAST-STORE",
  statement: "A block of a file holds what was stored last, and no zeroes that were written over it.",
  source: "fs/dax.c: dax_iomap_pte_fault; commit 843172978bb9",
  premise: ({ seen }) => seen.stored !== "",
  holds: (world) => world.seen.stored === "" || disk(world) !== zeroes,
}

const noStale: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-NO-STALE",
  statement: "What is mapped of a file was zeroed or written since its block was another's.",
  source: "fs/xfs/xfs_iomap.c: xfs_iomap_write_direct, XFS_BMAPI_ZERO",
  premise: ({ file }) => file.pte.some(({ value }) => value !== null),
  holds: (world) => world.file.pte.every(({ value }) => value === null || disk(world) !== "stale"),
}

const ownBlock: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-EXCLUSIVE",
  statement: "A direct write goes to a block that no other file has.",
  source: "fs/xfs/xfs_reflink.c: xfs_reflink_allocate_cow; commit 2f4acd0fcd86",
  premise: ({ seen }) => seen.writes > 0,
  holds: ({ seen }) => seen.foreign === 0,
}

const faults = define(
  "faults",
  "threads store to a hole of a file that is memory, at once",
  { stores: parameter("threads that store", 2, 3) },
  ({ stores }) => ({ stores, writes: 0, truncates: false, written: false, shared: false }),
  [mappedBlock, lastStore, noStale],
)

const truncation = define(
  "truncate",
  "a thread stores to a file that is memory, and that is truncated; its block goes to another",
  { stores: parameter("threads that store", 1, 3) },
  ({ stores }) => ({ stores, writes: 0, truncates: true, written: true, shared: false }),
  [mappedBlock],
)

const direct = define(
  "direct-write",
  "threads write directly to a block that another file shares",
  { writes: parameter("threads that write", 2, 3) },
  ({ writes }) => ({ stores: 0, writes, truncates: false, written: true, shared: true }),
  [ownBlock],
)

const bugs: ReadonlyArray<SeededBug<BlocksWorld>> = [
  {
    id: "blocks-two-faults-zero-new-block",
    title: "both of two faults are told that the block is new, and zero it",
    source: "commit 843172978bb9: dax: fix race between simultaneous faults",
    references: zoo(53),
    scenario: faults.id,
    breaks: "BLOCK-LAST-STORE",
    at: () => ({
      xfs_trans_alloc_inode: leaveOut(),
      xfs_trans_commit: leaveOut(),
      xfs_bmapi_write: changeBody((operation) => {
        const made = operation.body()
        return typeof made === "object" && made !== null ? { ...made, fresh: true } : made
      }),
    }),
  },
  {
    id: "new-block-not-zeroed",
    title: "a block that is new is mapped as its last owner left it",
    source: "fs/xfs/xfs_iomap.c: xfs_iomap_write_direct, XFS_BMAPI_ZERO",
    scenario: faults.id,
    breaks: "BLOCK-NO-STALE",
    at: () => ({ dax_zero_page_range: leaveOut() }),
  },
  {
    id: "blocks-fault-vs-truncate-no-common-lock",
    title: "faults do not take the lock that keeps them out while a file is truncated",
    source: "commit 5a3a2d83cda8: f2fs: dax: fix races between page faults and truncating pages",
    references: zoo(76),
    scenario: truncation.id,
    breaks: "BLOCK-MAPPED",
    at: () => ({ filemap_invalidate_lock_shared: leaveOut(), filemap_invalidate_unlock_shared: leaveOut() }),
  },
  {
    id: "mapping-not-resampled-after-lock-cycle",
    title: "a direct write that had to drop the lock asks whether the block is shared that it knew before",
    source: "commit 2f4acd0fcd86: xfs: resample the data fork mapping after cycling ILOCK",
    references: zoo(79),
    scenario: direct.id,
    breaks: "BLOCK-EXCLUSIVE",
    at: () => {
      let known: Plain = null
      return {
        "xfs_bmapi_read: imap": (original) =>
          Effect.tap(original, (found) =>
            Effect.sync(() => {
              known = typeof found === "object" && found !== null && "block" in found ? found.block : null
            }),
          ),
        "xfs_reflink_fill_cow_hole: xfs_bmapi_read": (original) => Effect.map(original, () => known),
      }
    },
  },
]

export const blocks = protocol({
  id: "lease/blocks",
  title:
    "Whose a block is (fs/dax.c, fs/xfs/xfs_reflink.c): faults, truncation and direct writes without the page cache",
  scenarios: [faults, truncation, direct],
  bugs,
})
