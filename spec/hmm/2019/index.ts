import { protocol } from "../../../checker/index.ts"
import { notifiedState } from "../../described.ts"
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
    actors: {
      cpuN: "A processor that takes a page away once, by truncation, MADV_DONTNEED or reclaim, each under another lock.",
      gpuN: "A device that mirrors the process by HMM: it registers, faults on a page and unregisters, as the scenario says.",
      oom_reaper:
        "The kernel thread that takes the memory of a killed process; it must not sleep, so a mirror may refuse it.",
      exit: "The end of the process (mmput): its mirrors are released, then its pages freed.",
      "srcu/hmmN": "The SRCU callback that frees a struct hmm, when nobody can be in its notifier any more.",
    },
    state: {
      srcu: "The SRCU domain under which the list of notifiers is walked: open sections by fiber, and queued callbacks.",
      ...notifiedState,
      mm: "A small address space (struct mm_struct): users, page table, locks, notifiers, and the pointer to its struct hmm (`hmm`).",
      hmmN: "A struct hmm, of which an address space has one at a time: its notifier, mirrors and ranges, their locks, and the invalidations under way.",
      gpuN: "The device: the driver's lock (`update`), its page table or DMA addresses, its mirror and its range; `result` is a monitor's.",
    },
    monitors: {
      walk: "By fiber: the range of which it has told a struct hmm, the devices that have dropped it, and the callback that runs.",
      life: "By device: whether it has looked at the page table, whether what it saw is stale, and whether its mirror was freed.",
      going: "Each struct hmm whose last reference has gone.",
      slips:
        "By rule: whether it was broken, such as a stale range that counts as valid, or a struct that is freed twice.",
      dropped: "The pages that a callback takes from devices, and whether one of them was left clean.",
    },
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
