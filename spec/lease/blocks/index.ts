import * as Effect from "effect/Effect"
import { changeBody, leaveOut, type Plain, type Property, protocol, type SeededBug } from "../../../checker/index.ts"
import { freeBlock } from "../../../model/lease/xfsFile.ts"
import { at } from "../../../model/mm/range.ts"
import { zoo } from "../../bugZoo.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { xfsState } from "../../described.ts"
import { type BlocksWorld, blocksWorld } from "./world.ts"

const owner = ({ file }: BlocksWorld) => at(file.inode.extents, 0).value?.block
const disk = (world: BlocksWorld): string => {
  const block = owner(world)
  return block === undefined ? "" : at(world.file.inode.mount.device.blocks, block).value
}

const mappedBlock: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-MAPPED",
  statement:
    "What a process has mapped of a file is a block of the file: a block that is free, or another file's, nobody has mapped.",
  source: "mm/truncate.c: truncate_pagecache",
  premise: ({ file }) => file.pte.some(({ value }) => value !== null),
  holds: (world) => world.file.pte.every(({ value }) => value === null || value === owner(world)),
}

const lastStore: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-LAST-STORE",
  statement: "A block of a file holds what was stored last, and no zeroes that were written over it.",
  source: "fs/dax.c: dax_iomap_pte_fault; commit 843172978bb9",
  premise: ({ seen }) => seen.stored !== "",
  holds: (world) => world.seen.stored === "" || disk(world) === world.seen.stored,
}

const storeInFile: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-STORED",
  statement: "What is stored through a mapping is in the file's block.",
  source: "mm/truncate.c: truncate_pagecache",
  premise: ({ seen }) => seen.stored !== "",
  holds: ({ seen }) => seen.astray === 0,
}

const truncated: Property<BlocksWorld> = {
  kind: "atEnd",
  id: "BLOCK-TRUNCATED",
  statement: "A file that was truncated to nothing has no size and no blocks.",
  source: "fs/xfs/xfs_iops.c: xfs_setattr_size",
  holds: ({ file }) => file.inode.state.size === 0 && file.inode.extents.every(({ value }) => value === null),
}

const written: Property<BlocksWorld> = {
  kind: "atEnd",
  id: "BLOCK-WRITTEN",
  statement: "What was written directly is in the file, and the file that shared the block has what it had.",
  source: "fs/xfs/xfs_file.c: xfs_file_dio_write; fs/xfs/xfs_reflink.c",
  holds: (world) => disk(world).startsWith("dio"),
}

const accounted: Property<BlocksWorld> = {
  kind: "invariant",
  id: "BLOCK-FREE",
  statement: "A block that is free is in no file.",
  source: "fs/xfs/libxfs/xfs_bmap.c: xfs_bunmapi; xfs_alloc_vextent",
  holds: ({ file, other }) =>
    [file.inode, other].every(({ extents, mount }) =>
      extents.every(({ value }) => value === null || !mount.free.value.includes(value.block)),
    ),
}

const storesEnd: Property<BlocksWorld> = {
  kind: "leadsTo",
  id: "L-STORE",
  statement: "Who stores to a file, or truncates it, comes to an end with it.",
  source: "fs/dax.c: dax_iomap_pte_fault",
  to: ({ threads }, { ended }) => threads.every((name) => ended(name)),
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

const define = scenariosOf("lease/blocks", blocksWorld, [accounted, storesEnd])

const faults = define(
  "faults",
  "threads store to a hole of a file that is memory, at once",
  { stores: parameter("threads that store", 2, 3) },
  ({ stores }) => ({ stores, writes: 0, truncates: false, written: false, shared: false }),
  [mappedBlock, lastStore, noStale, storeInFile],
)

const truncation = define(
  "truncate",
  "a thread stores to a file that is memory, and that is truncated; its block goes to another",
  { stores: parameter("threads that store", 2, 3) },
  ({ stores }) => ({ stores, writes: 0, truncates: true, written: true, shared: false }),
  [mappedBlock, storeInFile, truncated],
)

const direct = define(
  "direct-write",
  "threads write directly to a block that another file shares",
  { writes: parameter("threads that write", 2, 3) },
  ({ writes }) => ({ stores: 0, writes, truncates: false, written: true, shared: true }),
  [ownBlock, written],
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
  {
    id: "truncate-frees-what-is-kept",
    title: "the blocks of a file that is truncated are free, and the file has them still",
    source: "fs/xfs/xfs_inode.c: xfs_itruncate_extents, by inference",
    scenario: truncation.id,
    breaks: "BLOCK-FREE",
    at: ({ file }) => ({
      xfs_itruncate_extents: changeBody(() => {
        for (const { value } of file.inode.extents) if (value !== null) freeBlock(file.inode.mount, value.block)
      }),
    }),
  },
  {
    id: "truncate-leaves-mapped",
    title: "what is truncated stays mapped, and who stores there stores to nobody's block",
    source: "mm/truncate.c: truncate_pagecache, by inference",
    scenario: truncation.id,
    breaks: "BLOCK-STORED",
    at: () => ({ unmap_mapping_range: leaveOut() }),
  },
  {
    id: "truncate-keeps-blocks",
    title: "a file that is truncated keeps its blocks",
    source: "fs/xfs/xfs_inode.c: xfs_itruncate_extents, by inference",
    scenario: truncation.id,
    breaks: "BLOCK-TRUNCATED",
    at: () => ({ xfs_itruncate_extents: leaveOut() }),
  },
  {
    id: "direct-write-lost",
    title: "a direct write has its block found, and is not done",
    source: "fs/iomap/direct-io.c: iomap_dio_submit_bio, by inference",
    scenario: direct.id,
    breaks: "BLOCK-WRITTEN",
    at: () => ({ submit_bio: leaveOut() }),
  },
  {
    id: "fault-maps-nothing",
    title: "a fault finds its block and does not map it: the store faults again, for ever",
    source: "fs/dax.c: dax_iomap_pte_fault, by inference",
    scenario: faults.id,
    breaks: "L-STORE",
    at: () => ({ dax_insert_pfn_mkwrite: leaveOut() }),
  },
]

export const blocks = protocol({
  id: "lease/blocks",
  title:
    "Whose a block is (fs/dax.c, fs/xfs/xfs_reflink.c): faults, truncation and direct writes without the page cache",
  about: {
    purpose:
      "Whose a block is, where files are written without the page cache: two faults that both find a hole, truncation under a fault, and direct writes to a block that another file shares. A new block is zeroed once, before anybody maps it; a freed one nobody maps; a shared one nobody writes in place.",
    actors: {
      cpuN: "A thread that stores to the file through a mapping (DAX): its fault finds or allocates the block and maps it.",
      dioN: "A direct write (O_DIRECT), which goes to the block, or, where files share it, to a copy that becomes the file's.",
      truncate: "Truncates the file, whose block then goes to the other file.",
    },
    state: {
      file: "The file (struct xfs_inode): its blocks (`extentN`), copies being written (`cowN`), what is mapped (`pteN`), its size and locks.",
      ...xfsState,
    },
    monitors: {
      seen: "What was stored last, and whether a write went to a block that is not, or not only, the file's.",
    },
    notModelled: [
      "The page cache, and files that are read.",
      "The extent map as a tree, reservations, transactions and the log: what is done under ILOCK is a step or two.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  scenarios: [faults, truncation, direct],
  bugs,
  survivors: {
    "split dax_insert_pfn_mkwrite":
      "truncation is kept out by the invalidate lock, and another fault can only have inserted the same block",
  },
})
