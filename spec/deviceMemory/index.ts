import { protocol } from "../../checker/index.ts"
import { exclusiveBugs } from "./bugs/exclusive.ts"
import { migrationBugs } from "./bugs/migration.ts"
import { pageBugs } from "./bugs/pages.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { coherentBugs } from "./coherent/bugs.ts"
import { coherentPairs } from "./coherent/pairs.ts"
import { acceptance } from "./coherent/seed000.ts"
import { seed003 } from "./coherent/seed003.ts"
import { gpuBugs } from "./gpu/bugs.ts"
import { gpuScenarios } from "./gpu/scenarios.ts"
import { devicePairs } from "./pairs.ts"
import { deviceRaces } from "./races.ts"

export const deviceMemory = protocol({
  id: "device",
  title: "Device memory: private, coherent and exclusive pages, and their migration",
  scenarios: [...devicePairs, ...deviceRaces, ...gpuScenarios, ...coherentPairs, ...seed003, acceptance],
  bugs: [...migrationBugs, ...pageBugs, ...exclusiveBugs, ...unannounced, ...gpuBugs, ...coherentBugs],
})
