import { scenario } from "../../../checker/index.ts"
import { hmmProperties } from "./properties.ts"
import { hmmWorld } from "./world.ts"

/** Two reasons to try again, one with the lock held. */
export const rangeFault = scenario({
  id: "hmm/range-fault/lock",
  summary:
    "a device faults on a page, and may have to give up mmap_lock for it, while threads of the process invalidate",
  parameters: {
    invalidations: { description: "threads that invalidate with a system call, once each", default: 1, min: 0, max: 3 },
  },
  setup: hmmWorld,
  properties: hmmProperties,
})
