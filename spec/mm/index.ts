import { protocol } from "../../checker/index.ts"
import { collapseBugs } from "./bugs/collapse.ts"
import { switchBugs } from "./bugs/switch.ts"
import { tlbBugs } from "./bugs/tlb.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { pairs } from "./pairs.ts"
import { races } from "./scenarios/index.ts"

export const memoryManagement = protocol({
  id: "mm",
  title: "The memory-management core: faults, copy-on-write, fork, pinning, unmapping, reclaim, migration, exit",
  scenarios: [...pairs, ...races],
  bugs: [...unannounced, ...tlbBugs, ...collapseBugs, ...switchBugs],
})
