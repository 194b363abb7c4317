import { protocol } from "../../../checker/index.ts"
import { userptrBugs } from "./bugs.ts"
import { overlapping, submit } from "./scenarios.ts"

export const i915Userptr = protocol({
  id: "driver/i915-userptr",
  title:
    "i915 userptr objects (drivers/gpu/drm/i915/gem/i915_gem_userptr.c): a GPU that works on pinned pages of a process",
  steps: ["i915_*", "_i915_*", "dma_*", "eb_*", "gpu_store", "PF_EXITING"],
  scenarios: [submit, overlapping],
  bugs: userptrBugs,
  survivors: {
    "leave-out gpu_store": "a GPU that does nothing for a request harms nobody: what it computes is not the protocol's",
    "swap mmu_interval_set_seq | PF_EXITING":
      "whether somebody runs in the process is asked by this callback alone, and changes nothing",
    "split gpu_store":
      "the page that the GPU stores to is bound and pinned until its fence is signalled, which comes behind both",
  },
})
