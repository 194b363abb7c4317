import { protocol } from "../../../checker/index.ts"
import { driverMonitors, invalidatingThread, processState, swapState } from "../../described.ts"
import { userptrBugs } from "./bugs.ts"
import { overlapping, submit } from "./scenarios.ts"

export const i915Userptr = protocol({
  id: "driver/i915-userptr",
  title:
    "i915 userptr objects (drivers/gpu/drm/i915/gem/i915_gem_userptr.c): a GPU that works on pinned pages of a process",
  about: {
    purpose:
      "A GPU works on pages of a process that its driver pins (i915 userptr objects, Linux 5.13). An invalidation sets a sequence and waits until the GPU is done; the pages are given up at the next submission, which gets them anew. Nothing may be freed under the GPU, and nobody may wait for a fence that its waiter has to signal.",
    actors: {
      cpuN: invalidatingThread,
      clientN:
        "A program that submits work for the GPU on a page of its own memory, and then exits: its object goes last.",
    },
    state: {
      ...processState,
      ...swapState,
      objectN:
        "A userptr object (struct drm_i915_gem_object): its lock, the pinned page, the sequence it was got with, and the fences of work under way.",
    },
    monitors: {
      window: driverMonitors.window,
      gpu: "Whether the GPU has stored at all, and whether it ever did without a pinned page and a fence.",
    },
    notModelled: [
      "notifier_lock: what is done under it, setting and comparing the sequence, is one step each.",
      "Later versions, which let the GPU go on with what is pinned.",
      "Objects of more than one page; the GPU's own address space, but for what is bound there.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["i915_*", "_i915_*", "dma_*", "eb_*", "PF_EXITING"],
  scenarios: [submit, overlapping],
  bugs: userptrBugs,
})
