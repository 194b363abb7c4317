import { protocol } from "../../../checker/index.ts"
import { driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
import { odpBugs2014 } from "./bugs.ts"
import { accounts, overlapping, register, swappedIn } from "./scenarios.ts"
import { odpSurvivors2014 } from "./survivors.ts"

export const odp2014 = protocol({
  id: "driver/odp2014",
  title: "RDMA's on-demand paging of 2014 (drivers/infiniband/core/umem_odp.c): counters for each piece of memory",
  about: {
    purpose:
      "On-demand paging as it was from 2014 to 2018: one classic notifier for all that a process has registered with a card, and for every piece of memory a count of the invalidations under way and a sequence of those that have ended. A piece registered during an invalidation has no counters of its own, and no fault on it succeeds, until a moment comes in which none is under way.",
    actors: {
      nicN: "A queue of the network adapter with a region of its own: registers it if it is not, and accesses a page by RDMA.",
      cpuN: invalidatingThread,
    },
    state: {
      ...processState,
      ...swapState,
      umem_rwsem: "The semaphore that callbacks hold for reading and whoever adds a region for writing.",
      context:
        "The process's state (struct ib_ucontext): the invalidations under way, its regions, and those that still wait for counters of their own.",
      mrN: "A region (struct ib_umem with its odp_data): its mutex, counters of invalidations, pages, and the device's translations.",
    },
    monitors: {
      window: driverMonitors.window,
      missed: "By fiber: the regions that came while its invalidation was under way, and so have not seen its start.",
      unlocked: driverMonitors.unlocked,
    },
    notModelled: [
      "The first registration: the notifier is there before everything else.",
      "A fault on a piece without counters of its own, which never succeeds.",
      "Deregistration and implicit regions: protocol odp has those of today.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["ib_*", "mlx5_*", "pagefault_*", "*umem_rwsem", "rdma_*", "wait_for_completion_timeout"],
  scenarios: [overlapping, swappedIn, register, accounts],
  bugs: odpBugs2014,
  survivors: odpSurvivors2014,
})
