import { protocol } from "../../../checker/index.ts"
import { mmuNotifierBugs } from "./bugs/index.ts"
import { mmuNotifierScenarios } from "./scenarios/index.ts"

export const mmuNotifier = protocol({
  id: "notifier/mmu",
  title: "The mmu notifier of today (mm/mmu_notifier.c): the list under SRCU with the interval tree beside it",
  scenarios: mmuNotifierScenarios,
  bugs: mmuNotifierBugs,
})
