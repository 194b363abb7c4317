import { protocol } from "../../../checker/index.ts"
import { mappedBugs } from "./bugs.ts"
import { mappedScenarios } from "./scenarios.ts"

export const mappedLayouts = protocol({
  id: "lease/mapped",
  title:
    "Layouts of files that are mapped (fs/xfs/xfs_pnfs.c, mm/truncate.c): stores through mmap go by the page cache",
  about: {
    purpose:
      "A client of pNFS has a layout of a block while a process of the server maps the file. The process's stores go to the page cache, the client's to the block; whichever was last must be what the file holds, and truncation must end.",
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
