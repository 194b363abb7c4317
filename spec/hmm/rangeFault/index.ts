import { protocol } from "../../../checker/index.ts"
import { hmmBugs } from "./bugs.ts"
import { rangeFault } from "./scenarios.ts"

export const hmmRangeFault = protocol({
  id: "hmm/range-fault",
  title: "hmm_range_fault (mm/hmm.c), whose faults may drop mmap_lock",
  steps: ["hmm_*", "handle_mm_fault has to wait"],
  scenarios: [rangeFault],
  bugs: hmmBugs,
})
