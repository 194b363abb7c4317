import { protocol } from "../../../checker/index.ts"
import { hmm2019Bugs } from "./bugs.ts"
import { dmaMap, dmaMapBugs } from "./dmaMap.ts"
import { hmm2019Scenarios } from "./scenarios.ts"

export const hmm2019 = protocol({
  id: "hmm/2019",
  title: "HMM as it was in 2018 and 2019 (mm/hmm.c of Linux 5.3): mirrors on one classic notifier",
  scenarios: [...hmm2019Scenarios, dmaMap],
  bugs: [...hmm2019Bugs, ...dmaMapBugs],
})
