import { protocol } from "../../../checker/index.ts"
import { odpBugs2014 } from "./bugs.ts"
import { accounts, overlapping, register, swappedIn } from "./scenarios.ts"
import { odpSurvivors2014 } from "./survivors.ts"

export const odp2014 = protocol({
  id: "driver/odp2014",
  title: "RDMA's on-demand paging of 2014 (drivers/infiniband/core/umem_odp.c): counters for each piece of memory",
  about: {
    purpose:
      "On-demand paging as it was from 2014 to 2018: one classic notifier for all that a process has registered with a card, and for every piece of memory a count of the invalidations under way and a sequence of those that have ended. A piece registered during an invalidation has no counters of its own, and no fault on it succeeds, until a moment comes in which none is under way.",
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
