import { protocol } from "../../../checker/index.ts"
import { invalidatingThread, mirror, processState, swapState } from "../../described.ts"
import { hmmBugs } from "./bugs.ts"
import { rangeFault } from "./scenarios.ts"

export const hmmRangeFault = protocol({
  id: "hmm/range-fault",
  title: "hmm_range_fault (mm/hmm.c), whose faults may drop mmap_lock",
  about: {
    purpose:
      "A driver asks hmm_range_fault for what a process's page table has, and faults in what is not there. Such a fault may have to drop mmap_lock. The error code then has to say whether the lock is still held, or the caller unlocks it twice or never.",
    actors: {
      cpuN: invalidatingThread,
      gpuN: "A device that is to write to the page: its driver asks hmm_range_fault, which may drop mmap_lock, and maps the answer.",
    },
    state: {
      ...processState,
      ...swapState,
      gpuN: mirror,
    },
    monitors: {
      hmm: "How often the device's fiber holds mmap_lock, and what hmm_range_fault returned and should not have, in words.",
    },
    notModelled: [
      "The time-out, which protocol hmm/requests has.",
      "Requests of single pages, private memory and migration: protocol hmm/requests.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["hmm_*", "handle_mm_fault has to wait"],
  scenarios: [rangeFault],
  bugs: hmmBugs,
})
