import { protocol } from "../../checker/index.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { pairs } from "./pairs.ts"

export const memoryManagement = protocol({
  id: "mm",
  title: "The memory-management core: faults, copy-on-write, fork, pinning, unmapping, reclaim, migration, exit",
  scenarios: pairs,
  bugs: unannounced,
})
