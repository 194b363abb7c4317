import { type Scenario, scenario } from "../../../checker/index.ts"
import { hugeProperties } from "./properties.ts"
import { type HugeWorld, hugeWorld } from "./world.ts"

const define = (id: string, write: boolean): Scenario<HugeWorld> =>
  scenario({
    id: `hmm/huge/${id}`,
    summary: `a device ${id}s a huge page, mapped in one piece, while threads of the process split it, discard it or fork`,
    parameters: {
      invalidations: { description: "threads that do one of these, once each", default: 1, min: 0, max: 2 },
    },
    setup: ({ invalidations }) => hugeWorld(invalidations, write),
    properties: hugeProperties,
  })

export const load = define("load", false)
export const store = define("store", true)
