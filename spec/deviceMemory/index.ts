import { protocol } from "../../checker/index.ts"
import { gpuBugs } from "./gpu/bugs.ts"
import { gpuScenarios } from "./gpu/scenarios.ts"
import { devicePairs } from "./pairs.ts"

export const deviceMemory = protocol({
  id: "device",
  title: "Device memory: private, coherent and exclusive pages, and their migration",
  scenarios: [...devicePairs, ...gpuScenarios],
  bugs: gpuBugs,
})
