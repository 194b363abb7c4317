import { protocol } from "../../../checker/index.ts"
import { requestsBugs } from "./bugs.ts"
import { requestsScenarios } from "./scenarios.ts"

export const hmmRequests = protocol({
  id: "hmm/requests",
  title: "hmm_range_fault (mm/hmm.c) with requests of single pages, in pieces, and for a time",
  about: {
    purpose:
      "hmm_range_fault as drivers use it: each page with a request of its own, or a default and a mask for all, in pieces, with private pages of the caller's and of others, with pages that are being moved, and for a time. What it reports must be true of the process, and no more may be faulted in than was asked for.",
    notModelled: [
      "Huge pages: protocol hmm/huge.",
      "DMA addresses: protocol hmm/dma.",
      "Time is a choice: whether it has run out is asked for where the kernel asks.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["hmm_*", "kvfree*", "check_stable_address_space", "time_after*"],
  scenarios: requestsScenarios,
  bugs: requestsBugs,
})
