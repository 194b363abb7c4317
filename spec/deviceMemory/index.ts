import { protocol } from "../../checker/index.ts"
import { coherentBugs } from "./coherent/bugs.ts"
import { coherentPairs } from "./coherent/pairs.ts"
import { acceptance } from "./coherent/seed000.ts"
import { seed003 } from "./coherent/seed003.ts"
import { devicePairs } from "./pairs.ts"

export const deviceMemory = protocol({
  id: "device",
  title: "Device memory: private, coherent and exclusive pages, and their migration",
  scenarios: [...devicePairs, ...coherentPairs, ...seed003, acceptance],
  bugs: coherentBugs,
})
