import { protocol } from "../../checker/index.ts"
import { cowBugs } from "./bugs/cow.ts"
import { fileBugs } from "./bugs/files.ts"
import { moveBugs } from "./bugs/moves.ts"
import { pinBugs } from "./bugs/pins.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { pairs } from "./pairs.ts"
import { races } from "./scenarios/races.ts"

export const memoryManagement = protocol({
  id: "mm",
  title: "The memory-management core: faults, copy-on-write, fork, pinning, unmapping, reclaim, migration, exit",
  scenarios: [...pairs, ...races],
  bugs: [...cowBugs, ...pinBugs, ...moveBugs, ...fileBugs, ...unannounced],
})
