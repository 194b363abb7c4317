import { protocol } from "../../../checker/index.ts"
import { hmm2019Bugs } from "./bugs.ts"
import { dmaMap, dmaMapBugs } from "./dmaMap.ts"
import { hmm2019Scenarios } from "./scenarios.ts"
import { hmm2019Survivors } from "./survivors.ts"

export const hmm2019 = protocol({
  id: "hmm/2019",
  title: "HMM as it was in 2018 and 2019 (mm/hmm.c of Linux 5.3): mirrors on one classic notifier",
  about: {
    purpose:
      "HMM as Linux 5.3 had it, and its documentation: mirrors on one classic notifier, ranges with flags that say whether they are valid, and waiting for them. The interval notifier replaced it. The model is what can hold; seeded bugs put back what was published, documented and posted.",
    notModelled: [
      "Device memory, which HMM of that time had too.",
      "The time-out of hmm_range_wait_until_valid.",
      "The core beyond a small address space: one area, pages that are there until somebody takes them away, and the locks under which that is announced.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: [
    "hmm_*",
    "kref_*",
    "kmalloc*",
    "kfree*",
    "mirror->hmm",
    "range->hmm",
    "*mirrors_sem*",
    "list_del*",
    "notifiers_decrement",
    "sync_cpu_device_pagetables*",
    "handle_mm_fault",
    "device_*",
    "dma_*",
    "set_page_dirty",
    "mutex_*",
    "mmap_*",
    "i_mmap_*",
    "anon_vma_*",
    "zap_pte_range",
    "mmu_notifier_unregister_no_release",
  ],
  scenarios: [...hmm2019Scenarios, dmaMap],
  bugs: [...hmm2019Bugs, ...dmaMapBugs],
  survivors: hmm2019Survivors,
})
