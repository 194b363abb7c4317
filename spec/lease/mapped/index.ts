import { protocol } from "../../../checker/index.ts"
import { mappedBugs } from "./bugs.ts"
import { mappedScenarios } from "./scenarios.ts"

export const mappedLayouts = protocol({
  id: "lease/mapped",
  title:
    "Layouts of files that are mapped (fs/xfs/xfs_pnfs.c, mm/truncate.c): stores through mmap go by the page cache",
  scenarios: mappedScenarios,
  bugs: mappedBugs,
})
