import { protocol } from "../../../checker/index.ts"
import { requestsBugs } from "./bugs.ts"
import { requestsScenarios } from "./scenarios.ts"

export const hmmRequests = protocol({
  id: "hmm/requests",
  title: "hmm_range_fault (mm/hmm.c) with requests of single pages, in pieces, and for a time",
  steps: ["hmm_*", "kvfree*", "check_stable_address_space", "time_after*"],
  scenarios: requestsScenarios,
  bugs: requestsBugs,
})
