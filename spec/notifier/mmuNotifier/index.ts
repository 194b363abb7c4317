import { protocol } from "../../../checker/index.ts"
import { mmuNotifierBugs } from "./bugs/index.ts"
import { mmuNotifierScenarios } from "./scenarios/index.ts"
import { mmuNotifierSurvivors } from "./survivors.ts"

export const mmuNotifier = protocol({
  id: "notifier/mmu",
  title: "The mmu notifier of today (mm/mmu_notifier.c): the list under SRCU with the interval tree beside it",
  about: {
    purpose:
      "KVM, IOMMUs and drivers of RDMA keep translations of a process's pages. The mmu notifier calls them before a range is changed and behind it, when a page's use is asked for, when TLBs are flushed, and when the address space ends. How they register while ranges are open, are shared by users, unregister and are freed while callbacks are under way is the hard part, and is modelled from mm/mmu_notifier.c with its list under SRCU and the interval tree beside it.",
    notModelled: [
      "Most of memory management: one area that maps a file privately, with the locks under which a range is announced. Protocol mm has the rest, with devices that stay registered.",
      "TLBs of CPUs; those of devices are there.",
      "What writeback does to a page beyond its write-protection.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_load", "unmap_vmas", "free_module"],
  scenarios: mmuNotifierScenarios,
  bugs: mmuNotifierBugs,
  survivors: mmuNotifierSurvivors,
})
