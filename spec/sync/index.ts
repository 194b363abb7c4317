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
    actors: {
      readerN:
        "Enters read-side sections, follows the pointer there (rcu_dereference), and leaves them again; it takes no lock.",
      updaterN:
        "Replaces the object, waits for a grace period (synchronize_rcu, synchronize_srcu), and frees the old object.",
      callerN: "Replaces the object and has the old one freed by a callback (call_rcu, call_srcu), without waiting.",
      flusherN: "Waits in a barrier until all callbacks that are queued have run (rcu_barrier, srcu_barrier).",
      "rcu/objectN": "The callback of RCU that frees the object, once every reader that might have found it has left.",
      "srcu/objectN":
        "The callback of SRCU that frees the object, once every reader that might have found it has left.",
      "kworker-gp":
        "The work item that drives SRCU's grace periods (process_srcu): it scans the counters, flips the index, scans again.",
      "kworker-cb": "The work item that runs callbacks whose grace period is over (srcu_invoke_callbacks).",
      rmmod:
        "Unloads the module when nobody uses it any more: waits in a barrier, and takes the domain down (cleanup_srcu_struct).",
    },
    state: {
      objectN: "What the pointer leads to: not used yet, live, or freed; whoever uses a freed one has a bug.",
      gp: "The protected pointer: the name of the object that readers find at present.",
      module: "How many fibers still use the module whose code the callbacks are.",
      lock: "A mutex that correct programs do not take; it is there for bugs that sleep inside a section.",
      rcu: "RCU by its promises alone: the open sections of each reader, who waits for which of them, and the queued callbacks.",
      srcu: "An SRCU domain (struct srcu_struct): by its promises alone, or, in scenarios `sync/srcutree`, the kernel's counters, sequences and work items.",
    },
    monitors: {
      history:
        "Which sections are open, which of them each wait or callback must outlast, and which callbacks ran when they should not.",
    },
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
