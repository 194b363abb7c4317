import { protocol } from "../../../checker/index.ts"
import { nouveauBugs } from "./bugs.ts"
import { faults, lazyfree, oomReaper, overlapping } from "./scenarios.ts"

export const nouveau = protocol({
  id: "driver/nouveau",
  title:
    "nouveau's shared virtual memory: a classic notifier for the page table, a subscription per fault for the sequence",
  steps: ["nouveau_*", "gpu_store"],
  scenarios: [faults, overlapping, oomReaper, lazyfree],
  bugs: nouveauBugs,
})
