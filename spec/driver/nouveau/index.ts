import { protocol } from "../../../checker/index.ts"
import { driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
import { nouveauBugs } from "./bugs.ts"
import { faults, lazyfree, oomReaper, overlapping } from "./scenarios.ts"

export const nouveau = protocol({
  id: "driver/nouveau",
  title:
    "nouveau's shared virtual memory: a classic notifier for the page table, a subscription per fault for the sequence",
  about: {
    purpose:
      "A GPU's page table repeats a process's. A classic notifier for the life of the address space clears what the GPU maps; for the sequence that it lacks, every fault of the GPU subscribes to its page and unsubscribes behind. It works because both callbacks take one mutex and the subscription's is called first.",
    actors: {
      cpuN: invalidatingThread,
      cpu: "A thread of the process that gives the page to MADV_FREE: it may be dropped while nobody stores to it.",
      gpuN: "A GPU that shares the process's memory: `gpu0` stores to the last page, others load; nouveau handles its faults.",
      "oom-reaper":
        "The kernel thread that takes a killed process's memory; it must not wait, so nouveau may refuse it.",
    },
    state: {
      ...processState,
      ...swapState,
      gpuN: "What nouveau keeps for a process (struct nouveau_svmm): its mutex, the GPU's page table, and the subscription of each fault (`svmN`).",
    },
    monitors: {
      window: driverMonitors.window,
      fault: "By GPU: whether a fault of it is being handled, with a reference to the address space.",
      unlocked: driverMonitors.unlocked,
      late: driverMonitors.late,
    },
    notModelled: [
      "The atomic fault (nouveau_atomic_range_fault) and device memory: protocol device has a GPU with both.",
      "The unmanaged range, and the time after which a fault gives up.",
      'Three things are corrected, and put back by seeded bugs "as published": what the GPU maps is dropped when the address space ends, pages that it may store to are said to be dirty, and what the interval tree was told ends where the classic notifier refuses.',
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["nouveau_*"],
  environment: ["gpu_store"],
  scenarios: [faults, overlapping, oomReaper, lazyfree],
  bugs: nouveauBugs,
})
