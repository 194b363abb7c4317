import { protocol } from "../../checker/index.ts"
import { gracePeriodBugs, usageBugs } from "./bugs.ts"
import { syncScenarios } from "./scenarios.ts"
import { syncSurvivors } from "./survivors.ts"
import { treeBugs } from "./treeBugs.ts"

export const synchronisation = protocol({
  id: "sync",
  title: "RCU and SRCU: what their grace periods promise, and SRCU's algorithm (kernel/rcu/srcutree.c), which keeps it",
  scenarios: syncScenarios,
  bugs: [...usageBugs, ...gracePeriodBugs, ...treeBugs],
  survivors: syncSurvivors,
})
