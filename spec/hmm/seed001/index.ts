import { protocol } from "../../../checker/index.ts"
import { jobBugs } from "./bugs.ts"
import { jobScenarios } from "./scenarios.ts"

export const hmmSeed001 = protocol({
  id: "hmm/seed001",
  title: "Devices that mirror and devices that pin: what either costs reclaim, migration and fork",
  about: {
    purpose:
      "One job of a device on one page: stores to it, by a driver that mirrors and lets go when it is told, and by one that pins the page until it is done. Meanwhile the page is to be reclaimed or moved, or the process forks. What each side may have to pay is counted and bounded.",
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
