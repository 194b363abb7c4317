import { protocol } from "../../../checker/index.ts"
import { addressSpaceOf, layoutState, leaseClock, memoryState, recallService } from "../../described.ts"
import { mappedBugs } from "./bugs.ts"
import { mappedScenarios } from "./scenarios.ts"

export const mappedLayouts = protocol({
  id: "lease/mapped",
  title:
    "Layouts of files that are mapped (fs/xfs/xfs_pnfs.c, mm/truncate.c): stores through mmap go by the page cache",
  about: {
    purpose:
      "A client of pNFS has a layout of a block while a process of the server maps the file. The process's stores go to the page cache, the client's to the block; whichever was last must be what the file holds, and truncation must end.",
    actors: {
      cpuN: "A thread of a process that maps the file: loads, stores and unmaps; or asks for the layout itself, for a device.",
      clientN:
        "A client of pNFS: asks for a layout of the file's block, writes the block on the device, and may return it.",
      "clientN-cb": recallService,
      flusherN: "The kernel's writeback: makes the dirty page clean and writes it to the file's block.",
      fs: "A call that truncates the file or punches a hole into it; its block then goes to the other file.",
    },
    state: {
      ...memoryState,
      clock: leaseClock,
      ...layoutState,
      mm: addressSpaceOf("the process that maps the file"),
    },
    monitors: {
      record:
        "What the file should hold, who has stored or written, and whether truncation or a hole left a block behind.",
    },
    notModelled: [
      "More than one page of the file, and more than one client.",
      "What protocol lease/layout has: clients that never answer, fencing, clones, the growth of the file.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  scenarios: mappedScenarios,
  steps: [
    "truncate_setsize",
    "filemap_invalidate_lock",
    "filemap_invalidate_unlock",
    "xfs_itruncate_extents",
    "xfs_unmap_extent",
    "xfs_fs_map_blocks: recheck",
    "invalidate_*",
  ],
  // Where processes map the file, what is mapped and cached goes in the steps behind it.
  environment: ["truncate_pagecache_range"],
  bugs: mappedBugs,
})
