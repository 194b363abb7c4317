import { protocol } from "../../../checker/index.ts"
import { gruBugs } from "./bugs.ts"
import { clean, load, oneFault, overlapping, scan } from "./scenarios.ts"
import { gruSurvivors } from "./survivors.ts"

export const gru = protocol({
  id: "driver/gru",
  title: "GRU (drivers/misc/sgi-gru): a TLB that follows a process by a count of invalidations, and PAGEMAP_SCAN",
  about: {
    purpose:
      "GRU is a coprocessor with a TLB that follows a process by the classic notifier. Its driver counts the invalidations under way and keeps no sequence: that one begins and ends between look-up and installation is seen by the hardware, which ignores what is dropped in for a fault from before. PAGEMAP_SCAN beside it write-protects pages in rounds and announces them one by one.",
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
