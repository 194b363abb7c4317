/** What must be true of a file that is mapped while clients have layouts of it. */
import type { Property } from "../../../checker/index.ts"
import { contentInFile } from "../../../model/file/inode.ts"
import { contentOnDisk } from "../../../model/lease/xfsFile.ts"
import { folioOf, zeroes } from "../../../model/mm/folio.ts"
import { isWritable } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import type { MappedWorld } from "./world.ts"

const documented =
  "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, mmap writes would also benefit from this sort of synchronization"

const hasLayout = ({ client }: MappedWorld): boolean => client.segments.value.length > 0

/** Whether the page is cached and means to be written back, or may be stored to without a fault. */
const isStoredTo = ({ mapping, mm }: MappedWorld): boolean => {
  const { system, inode } = mapping
  const cached = at(inode.cache, 0).value
  const translated = [...mm.tlbs.values()].some((tlb) => at(tlb, 0).value?.write === true)
  return (cached !== null && folioOf(system.folios, cached).dirty) || isWritable(at(mm.pte, 0).value) || translated
}

/** Whether the file has a page, and what was written to it is known to the server. */
const isCommitted = ({ file, client }: MappedWorld): boolean =>
  file.state.size > 0 && client.uncommitted.value.length === 0

const inFile = ({ mapping }: MappedWorld): string => contentInFile(mapping.system.folios, mapping.inode, 0)

export const mappedProperties: ReadonlyArray<Property<MappedWorld>> = [
  {
    kind: "invariant",
    id: "LAYOUT-NO-DIRTY-PAGE",
    statement:
      "While a client has a layout of a block, its page is not dirty in the page cache, and no entry or TLB lets it be stored to.",
    source: documented,
    premise: hasLayout,
    holds: (world) => !hasLayout(world) || !isStoredTo(world),
  },
  {
    kind: "atEnd",
    id: "LAYOUT-LAST-WRITE",
    statement:
      "In the end the file holds what was stored, or written and committed, last: an older page is not written over that.",
    source: documented,
    premise: (world) => world.record.stored && world.record.written && isCommitted(world),
    holds: (world) => !isCommitted(world) || inFile(world) === world.record.last,
    explain: (world) => `It holds ${inFile(world)}; ${world.record.last} came last.`,
  },
  {
    kind: "invariant",
    id: "LAYOUT-NO-FOREIGN-WRITE",
    statement: "A block that another file has got holds what was written to that file.",
    source:
      "LKML 2019-04-26, Direct block mapping through fs for device; fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts; mm/truncate.c: truncate_inode_pages_range",
    premise: ({ other }) => other.state.size > 0,
    holds: ({ other }) => other.state.size === 0 || contentOnDisk(other, 0) === other.name,
    explain: ({ other }) => `It holds ${contentOnDisk(other, 0)}.`,
  },
  {
    kind: "invariant",
    id: "TRUNC-NO-MAP",
    statement: "When a file has been truncated it has its new size, and nothing beyond that is mapped or cached.",
    source: "mm/truncate.c: truncate_setsize, truncate_pagecache",
    premise: ({ record }) => record.truncated,
    holds: ({ record, file, mm, mapping }) =>
      !record.truncated ||
      (file.state.size === 0 && at(mm.pte, 0).value === null && at(mapping.inode.cache, 0).value === null),
  },
  {
    kind: "invariant",
    id: "TRUNC-NO-BLOCKS",
    statement: "When truncation or the punching of a hole is done, the file has no blocks there.",
    source: "fs/xfs/xfs_inode.c: xfs_itruncate_extents; fs/xfs/xfs_bmap_util.c: xfs_free_file_space",
    premise: ({ record }) => record.cut,
    holds: ({ record }) => !record.kept,
  },
  {
    kind: "invariant",
    id: "HOLE-ZERO",
    statement: "Where a hole has been punched the file holds zeroes: no page was read before the block went.",
    source: "Documentation/filesystems/locking.rst: invalidate_lock; fs/xfs/xfs_file.c: XFS_MMAPLOCK_EXCL",
    premise: ({ record }) => record.punched,
    holds: (world) => !world.record.punched || inFile(world) === zeroes,
    explain: (world) => `It holds ${inFile(world)}.`,
  },
]

/** What the server does with the file comes to its end. */
export const callEnds: Property<MappedWorld> = {
  kind: "leadsTo",
  id: "L-TRUNC",
  statement: "Truncation and the punching of holes end, whatever the client and the process do.",
  source: "fs/xfs/xfs_file.c: xfs_break_layouts",
  to: (_, { ended }) => ended("fs"),
}
