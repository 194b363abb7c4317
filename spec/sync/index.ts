import { protocol } from "../../checker/index.ts"
import { gracePeriodBugs, usageBugs } from "./bugs.ts"
import { syncScenarios } from "./scenarios.ts"
import { syncSurvivors } from "./survivors.ts"
import { treeBugs } from "./treeBugs.ts"

export const synchronisation = protocol({
  id: "sync",
  title: "RCU and SRCU: what their grace periods promise, and SRCU's algorithm (kernel/rcu/srcutree.c), which keeps it",
  about: {
    purpose:
      "Readers follow a pointer without a lock; whoever replaces what it points to frees the old object only once everybody who could still see it has left. These are the promises of RCU and SRCU, of grace periods, callbacks and barriers, on which the protocols of the notifiers rest. SRCU's own algorithm, two indices of counters per CPU that a grace period flips and scans, is asked the same questions as the small model that the other protocols use.",
    notModelled: [
      "RCU's own algorithm (kernel/rcu/tree.c): only what it promises.",
      "The tree of srcu_nodes, for the struct is small (SRCU_SIZE_SMALL): callbacks are in the list of the boot CPU.",
      "srcu_gp_mutex and srcu_cb_mutex, which one work item alone takes, and expediting, which only changes how soon a scan is repeated.",
      "srcu_barrier_seq, by which a barrier returns at once if another has done its work, and the one completion of all barriers: each has its own.",
      "Memory is sequentially consistent: what SRCU's barriers A to E order is in order, and their loss does not show.",
    ],
  },
  scenarios: syncScenarios,
  bugs: [...usageBugs, ...gracePeriodBugs, ...treeBugs],
  survivors: syncSurvivors,
})
