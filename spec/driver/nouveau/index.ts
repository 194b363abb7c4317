import { protocol } from "../../../checker/index.ts"
import { nouveauBugs } from "./bugs.ts"
import { faults, lazyfree, oomReaper, overlapping } from "./scenarios.ts"

export const nouveau = protocol({
  id: "driver/nouveau",
  title:
    "nouveau's shared virtual memory: a classic notifier for the page table, a subscription per fault for the sequence",
  about: {
    purpose:
      "A GPU's page table repeats a process's. A classic notifier for the life of the address space clears what the GPU maps; for the sequence that it lacks, every fault of the GPU subscribes to its page and unsubscribes behind. It works because both callbacks take one mutex and the subscription's is called first.",
    notModelled: [
      "The atomic fault (nouveau_atomic_range_fault) and device memory: protocol device has a GPU with both.",
      "The unmanaged range, and the time after which a fault gives up.",
      'Three things are corrected, and put back by seeded bugs "as published": what the GPU maps is dropped when the address space ends, pages that it may store to are said to be dirty, and what the interval tree was told ends where the classic notifier refuses.',
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["nouveau_*"],
  environment: ["gpu_store", "nouveau_svmm_invalidate_range_start: -EAGAIN"],
  scenarios: [faults, overlapping, oomReaper, lazyfree],
  bugs: nouveauBugs,
})
