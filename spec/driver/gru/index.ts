import { protocol } from "../../../checker/index.ts"
import { driverMonitors, processState, swapState } from "../../described.ts"
import { gruBugs } from "./bugs.ts"
import { clean, load, oneFault, overlapping, scan } from "./scenarios.ts"
import { gruSurvivors } from "./survivors.ts"

export const gru = protocol({
  id: "driver/gru",
  title: "GRU (drivers/misc/sgi-gru): a TLB that follows a process by a count of invalidations, and PAGEMAP_SCAN",
  about: {
    purpose:
      "GRU is a coprocessor with a TLB that follows a process by the classic notifier. Its driver counts the invalidations under way and keeps no sequence: that one begins and ends between look-up and installation is seen by the hardware, which ignores what is dropped in for a fault from before. PAGEMAP_SCAN beside it write-protects pages in rounds and announces them one by one.",
    actors: {
      cpuN: "A thread of the process that makes one call which takes pages away, or write-protects them in rounds (pagemap_scan).",
      gruN: "A GRU, which executes one instruction for the process: `gru0` stores, others load; its driver handles the TLB miss.",
    },
    state: {
      ...processState,
      ...swapState,
      gms: "GRU's state for the process (struct gru_mm_struct): whether its notifier is registered, the ranges under way, and who waits.",
      gruN: "The GRU's TLB, and the handle of the fault that its instruction has taken (struct gru_tlb_fault_handle).",
    },
    monitors: {
      window: driverMonitors.window,
      handling: "By GRU: whether its driver is handling a fault, mmap_lock held.",
      late: driverMonitors.late,
    },
    notModelled: [
      "ASIDs, and contexts that are not loaded.",
      "Of the hardware, all but its TLB, the faults that it has raised and what it does with an entry that comes late.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["gru_*", "tgh_*", "tfh_*", "atomic_pte_lookup", "do_pagemap_scan*", "pagemap_scan_*"],
  scenarios: [oneFault, load, overlapping, clean, scan],
  bugs: gruBugs,
  survivors: gruSurvivors,
})
