/** The invariants of DAX, where blocks are mapped themselves. */
import type { Property } from "../../checker/index.ts"
import { folioOfBlock } from "../../model/dax/daxMapping.ts"
import { zeroes } from "../../model/mm/folio.ts"
import { contentsOfOther, type DaxWorld, foreignBlocks, othersBlocks } from "./world.ts"

/** Whether some TLB has a translation to the block. */
const isCached = ({ mms, device }: DaxWorld, block: number): boolean =>
  mms.some(({ tlbs }) =>
    [...tlbs.values()].some((tlb) => tlb.some(({ value }) => value?.page?.pfn === device.blocks[block]?.frame.pfn)),
  )

const unused = (world: DaxWorld) => (block: number) => {
  const { refcount, mapcount, pincount } = folioOfBlock(world.system.folios, world.device, block)
  return refcount === 0 && mapcount === 0 && pincount === 0 && !isCached(world, block)
}

export const daxProperties: ReadonlyArray<Property<DaxWorld>> = [
  {
    kind: "invariant",
    id: "DAX-IDLE",
    statement: "A block that the file has no more is mapped nowhere, in no TLB, and nobody refers to it.",
    source:
      "fs/dax.c: dax_break_layout; commit 5fac7408d828: mm, fs, dax: handle layout changes to pinned dax mappings",
    premise: (world) => foreignBlocks(world).length > 0,
    holds: (world) => foreignBlocks(world).every(unused(world)),
    explain: (world) =>
      foreignBlocks(world)
        .filter((block) => !unused(world)(block))
        .map((block) => {
          const { refcount, mapcount, pincount } = folioOfBlock(world.system.folios, world.device, block)
          const owner = world.device.blocks[block]?.state.owner
          return `Block ${block} ${owner === "" ? "is free" : `belongs to ${owner}`}; it has ${refcount} references, ${mapcount} of entries, ${pincount} pins${isCached(world, block) ? ", and a TLB has it" : ""}.`
        })
        .join(" "),
  },
  {
    kind: "invariant",
    id: "DAX-NO-FOREIGN-STORE",
    statement: "A block of another file holds what was written to that file.",
    source: "commit 5fac7408d828: DMA to a block that was given to somebody else",
    premise: (world) => othersBlocks(world).length > 0,
    holds: (world) =>
      othersBlocks(world).every((block) =>
        contentsOfOther.includes(folioOfBlock(world.system.folios, world.device, block).content),
      ),
  },
  {
    kind: "invariant",
    id: "DAX-NO-NEW",
    statement: "Between the last look for busy blocks and their being freed nobody maps or pins one.",
    source:
      "fs/dax.c: dax_break_layout: the caller holds the locks that keep faults out, and looks again when it has slept",
    premise: ({ file }) => file.invalidateLock.state.writer !== "",
    holds: ({ record }) => !record.freedUnscanned,
  },
  {
    kind: "invariant",
    id: "DAX-LAST-STORE",
    statement: "A load from a shared mapping returns what was stored last, and zeroes from a hole.",
    source: "fs/dax.c: dax_iomap_pte_fault; commit 843172978bb9: dax: fix race between simultaneous faults",
    premise: ({ record }) => record.shared !== "0",
    holds: ({ record }) => !record.lost,
  },
  {
    kind: "invariant",
    id: "DAX-COW-STAYS",
    statement: "What a process has stored to a private mapping stays when blocks of the file are taken away.",
    source: "commit d75996dd022b: dax: dax_layout_busy_page() should not unmap cow pages",
    premise: ({ record }) => record.copy !== null,
    holds: ({ record }) => !record.lostCopy,
  },
  {
    kind: "invariant",
    id: "TRUNC-NO-MAP",
    statement: "When truncation has finished nothing beyond the end of the file is mapped, private copies included.",
    source: "mm/truncate.c: truncate_pagecache",
    premise: ({ file }) => file.state.size === 0 && file.lock.state.holder === "",
    holds: ({ file, mms }) =>
      file.state.size > 0 ||
      file.lock.state.holder !== "" ||
      mms.every(({ pte }) => pte.every((e) => e.value === null)),
  },
  {
    kind: "invariant",
    id: "TRUNC-FAULT",
    statement: "No fault maps a page beyond the end of the file.",
    source: "fs/dax.c: dax_iomap_pte_fault: i_size_read",
    premise: ({ file }) => file.state.size === 0,
    holds: ({ record }) => !record.beyond,
  },
  {
    kind: "invariant",
    id: "DAX-ENTRY",
    statement:
      "What the page cache says of a page is its block or that it is a hole, unless a fault or truncation is at it.",
    source: "fs/dax.c: dax_insert_entry, dax_delete_mapping_entry",
    premise: ({ dax }) => dax.pages.some(({ entry }) => entry !== null),
    holds: ({ file, dax }) =>
      file.invalidateLock.state.writer !== "" ||
      dax.pages.every(
        ({ entry, extent, lock }) => lock !== "" || entry === null || (entry === "zero" ? null : entry) === extent,
      ),
  },
  {
    kind: "invariant",
    id: "DAX-TRUNCATED",
    statement: "When truncation has finished the file has no blocks beyond its end.",
    source: "fs/xfs/xfs_iops.c: xfs_setattr_size; xfs_itruncate_extents",
    premise: ({ file }) => file.state.size === 0 && file.lock.state.holder === "",
    holds: ({ file, dax }) =>
      file.state.size > 0 || file.lock.state.holder !== "" || dax.pages.every(({ extent }) => extent === null),
  },
  {
    kind: "atEnd",
    id: "DAX-WRITTEN",
    statement: "A block that another file has taken holds in the end what was written there.",
    source: "fs/dax.c: dax_iomap_iter, dax_iomap_pte_fault",
    premise: (world) => othersBlocks(world).length > 0,
    holds: (world) =>
      othersBlocks(world).every((block) => folioOfBlock(world.system.folios, world.device, block).content !== zeroes),
  },
  {
    kind: "invariant",
    id: "GUP-LT-POLICY",
    statement: "Nobody pins a block for good.",
    source: "mm/gup.c: check_vma_flags (vma_is_fsdax), folio_is_longterm_pinnable",
    premise: ({ record }) => record.asked > 0,
    holds: ({ record }) => record.longterm === 0,
  },
  {
    kind: "leadsTo",
    id: "L-DAX",
    statement: "Who waits for a block to be idle wakes when the pins have been dropped, and all of them are.",
    source: "fs/dax.c: wait_page_idle; no time bounds it, but that there are no pins for good does",
    from: ({ record }) => record.waiting,
    to: ({ record }) => !record.waiting,
  },
]

/** Of scenarios in which the file system is called once. */
export const truncationEnds: Property<DaxWorld> = {
  kind: "leadsTo",
  id: "L-TRUNC",
  statement: "Truncation ends, although it lets faults and pins in again whenever it waits.",
  source: "fs/xfs/xfs_file.c: xfs_break_layouts",
  to: (_, { ended }) => ended("fs0"),
}
