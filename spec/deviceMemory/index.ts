import { protocol } from "../../checker/index.ts"
import { devicePairs } from "./pairs.ts"
import { deviceRaces } from "./races.ts"

export const deviceMemory = protocol({
  id: "device",
  title: "Device memory: private, coherent and exclusive pages, and their migration",
  scenarios: [...devicePairs, ...deviceRaces],
  bugs: [],
})
