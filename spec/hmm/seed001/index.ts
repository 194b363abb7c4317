import { protocol } from "../../../checker/index.ts"
import { driverMonitors, processState, swapState } from "../../described.ts"
import { jobBugs } from "./bugs.ts"
import { jobScenarios } from "./scenarios.ts"

export const hmmSeed001 = protocol({
  id: "hmm/seed001",
  title: "Devices that mirror and devices that pin: what either costs reclaim, migration and fork",
  about: {
    purpose:
      "One job of a device on one page: stores to it, by a driver that mirrors and lets go when it is told, and by one that pins the page until it is done. Meanwhile the page is to be reclaimed or moved, or the process forks. What each side may have to pay is counted and bounded.",
    actors: {
      job: "A device's job that stores to the page: through a mirror, faulting where it must; or pinning the page first.",
      kswapd: "The kernel thread that reclaims memory: it would take the page.",
      kcompactd: "The kernel thread that moves pages to make room: it would move the page.",
      cpuN: "A thread of the process that forks, and then stores to the page.",
    },
    state: {
      ...processState,
      ...swapState,
      job: "The mirroring device's lock, page table and subscription; the cells from `mapped` on are kept by a monitor.",
    },
    monitors: {
      window: driverMonitors.window,
      cost: "How often the device got the page and lost it, what reclaim and migration came to, and the pages that were copied.",
      pinned: "The page that the job has pinned, while it has.",
    },
    notModelled: [
      "What things cost in time: faults, copies and moves are counted, not measured.",
      "Pins that are not for good (without FOLL_LONGTERM), and devices that cannot fault at all.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["device_store"],
  scenarios: jobScenarios,
  bugs: jobBugs,
})
