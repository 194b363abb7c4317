import { protocol } from "../../checker/index.ts"
import { collapseBugs } from "./bugs/collapse.ts"
import { cowBugs } from "./bugs/cow.ts"
import { fileBugs } from "./bugs/files.ts"
import { lockBugs } from "./bugs/locks.ts"
import { moveBugs } from "./bugs/moves.ts"
import { pinBugs } from "./bugs/pins.ts"
import { reclaimBugs } from "./bugs/reclaim.ts"
import { switchBugs } from "./bugs/switch.ts"
import { tlbBugs } from "./bugs/tlb.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { pairs } from "./pairs.ts"
import { races } from "./scenarios/index.ts"

export const memoryManagement = protocol({
  id: "mm",
  title: "The memory-management core: faults, copy-on-write, fork, pinning, unmapping, reclaim, migration, exit",
  scenarios: [...pairs, ...races],
  bugs: [
    ...cowBugs,
    ...pinBugs,
    ...moveBugs,
    ...fileBugs,
    ...tlbBugs,
    ...collapseBugs,
    ...switchBugs,
    ...reclaimBugs,
    ...lockBugs,
    ...unannounced,
  ],
})
