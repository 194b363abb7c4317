import { protocol } from "../../../checker/index.ts"
import { deviceFreeBugs } from "./bugs.ts"
import { deviceFreeScenarios } from "./scenarios.ts"
import { deviceFreeSurvivors } from "./survivors.ts"

export const deviceFree = protocol({
  id: "device-memory/free",
  title: "The freeing of device memory (mm/memremap.c: free_zone_device_folio): what is the driver's again, and when",
  scenarios: deviceFreeScenarios,
  bugs: deviceFreeBugs,
  survivors: deviceFreeSurvivors,
})
