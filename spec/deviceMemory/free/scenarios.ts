import { scenario } from "../../../checker/index.ts"
import { deviceFreeProperties } from "./properties.ts"
import { deviceFreeWorld } from "./world.ts"

export const reuse = scenario({
  id: "device-memory/free/reuse",
  summary: "the last references to a device's page go while its driver hands pages out, in folios of one page or two",
  parameters: {
    holders: { description: "processes with a reference to the page", default: 2, min: 1, max: 3 },
    migrations: { description: "processes that move pages to the device", default: 2, min: 0, max: 3 },
    remove: { description: "whether the device is removed meanwhile", default: 1, min: 0, max: 1 },
  },
  setup: deviceFreeWorld,
  properties: deviceFreeProperties,
})

export const deviceFreeScenarios = [reuse]
