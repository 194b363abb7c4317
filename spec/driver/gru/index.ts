import { protocol } from "../../../checker/index.ts"
import { gruBugs } from "./bugs.ts"
import { clean, oneFault, overlapping, scan } from "./scenarios.ts"

export const gru = protocol({
  id: "driver/gru",
  title: "GRU (drivers/misc/sgi-gru): a TLB that follows a process by a count of invalidations, and PAGEMAP_SCAN",
  steps: ["gru_*", "tgh_*", "tfh_*", "atomic_pte_lookup", "do_pagemap_scan*", "pagemap_scan_*"],
  scenarios: [oneFault, overlapping, clean, scan],
  bugs: gruBugs,
})
