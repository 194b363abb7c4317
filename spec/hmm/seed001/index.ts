import { protocol } from "../../../checker/index.ts"
import { jobBugs } from "./bugs.ts"
import { jobScenarios } from "./scenarios.ts"

export const hmmSeed001 = protocol({
  id: "hmm/seed001",
  title: "Devices that mirror and devices that pin: what either costs reclaim, migration and fork",
  steps: ["device_store"],
  scenarios: jobScenarios,
  bugs: jobBugs,
})
