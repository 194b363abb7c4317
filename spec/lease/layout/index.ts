import { protocol } from "../../../checker/index.ts"
import { layoutBugs } from "./bugs.ts"
import { layoutsAsPublished } from "./published.ts"
import { layoutScenarios } from "./scenarios.ts"
import { layoutSurvivors } from "./survivors.ts"

export const layouts = protocol({
  id: "lease/layout",
  title:
    "Layout leases (fs/locks.c, fs/nfsd/nfs4layouts.c, fs/xfs/xfs_pnfs.c): blocks of files that clients use directly",
  about: {
    purpose:
      "nfsd lets a client of pNFS read and write the blocks of an XFS file behind the server's back, under a layout that is a lease. Truncation, hole punching, clones and writes recall it first, and wait; a client that does not answer is waited for (as kernels up to 2025 do) or fenced. No client may write to a block that is another file's, and what one side wrote the other must find.",
    notModelled: [
      "The network: a callback and its reply are steps.",
      "The kernel's giving up of a callback after the client's own lease time.",
      "Blocks are pages; the journal, and crashes, but for what a commit makes lasting.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["exit", "xfs_bmapi_write", "mmap_store", "munmap", "xfs_growfs_data", "xfs_force_shutdown"],
  scenarios: layoutScenarios,
  bugs: [...layoutBugs, ...layoutsAsPublished],
  survivors: layoutSurvivors,
})
