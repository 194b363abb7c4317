import { protocol } from "../../../checker/index.ts"
import { deviceCard, driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
import { requestsBugs } from "./bugs.ts"
import { requestsScenarios } from "./scenarios.ts"

export const hmmRequests = protocol({
  id: "hmm/requests",
  title: "hmm_range_fault (mm/hmm.c) with requests of single pages, in pieces, and for a time",
  about: {
    purpose:
      "hmm_range_fault as drivers use it: each page with a request of its own, or a default and a mask for all, in pieces, with private pages of the caller's and of others, with pages that are being moved, and for a time. What it reports must be true of the process, and no more may be faulted in than was asked for.",
    actors: {
      cpuN: invalidatingThread,
      gpuN: "A device that asks hmm_range_fault for two pages at once, each to be loaded, stored to, or only looked at.",
      kcompactd: "The kernel thread that moves pages to make room: it migrates the second page.",
    },
    state: {
      ...processState,
      ...swapState,
      gpuN: "The device's page table and its lock, the sequence of its subscription, and the array of requests and answers (`hmm_pfnN`).",
      vram: "The private memory of a device, in which the second page may lie (struct dev_pagemap).",
      cardN: deviceCard,
    },
    monitors: {
      window: driverMonitors.window,
      requests: "What HMM was asked for and has found so far, and what it returned and should not have, in words.",
    },
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
