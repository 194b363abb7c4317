import { protocol } from "../../checker/index.ts"
import { deviceMapBugs } from "./bugs.ts"
import { deviceMapScenarios } from "./scenarios.ts"

export const deviceMap = protocol({
  id: "device-map",
  title: "device_map and device_unmap (proposed 2019): blocks of files for devices, by way of the VMA",
  scenarios: deviceMapScenarios,
  bugs: deviceMapBugs,
})
