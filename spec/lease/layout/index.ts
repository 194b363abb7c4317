import { protocol } from "../../../checker/index.ts"
import { layoutBugs } from "./bugs.ts"
import { layoutsAsPublished } from "./published.ts"
import { layoutScenarios } from "./scenarios.ts"

export const layouts = protocol({
  id: "lease/layout",
  title:
    "Layout leases (fs/locks.c, fs/nfsd/nfs4layouts.c, fs/xfs/xfs_pnfs.c): blocks of files that clients use directly",
  scenarios: layoutScenarios,
  bugs: [...layoutBugs, ...layoutsAsPublished],
})
