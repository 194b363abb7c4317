import { protocol } from "../../checker/index.ts"
import { daxBugs } from "./bugs.ts"
import { daxScenarios } from "./scenarios.ts"
import { daxSurvivors } from "./survivors.ts"

export const dax = protocol({
  id: "dax",
  title: "DAX (fs/dax.c): blocks that are mapped themselves, and how a file system gets them back",
  steps: ["dax_*", "xfs_*", "grab_mapping_entry", "vmf_insert_*", "wait_page_idle*", "ib_umem_get"],
  scenarios: daxScenarios,
  bugs: daxBugs,
  survivors: daxSurvivors,
})
