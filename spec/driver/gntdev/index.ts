import { protocol } from "../../../checker/index.ts"
import { addressSpaceOf, driverMonitors, invalidatingThread, memoryState } from "../../described.ts"
import { gntdevBugs } from "./bugs.ts"
import { overlapping, pinned } from "./scenarios.ts"

export const gntdev = protocol({
  id: "driver/gntdev",
  title: "gntdev (drivers/xen/gntdev.c): pages of other domains, given back when nobody refers to them any more",
  about: {
    purpose:
      "Pages that another Xen domain has granted are mapped into a process. An invalidation gives the grant back by a hypercall that takes the process's entry along; while somebody else refers to the page that is put off to a work item. A GPU that has pinned the granted page must never work on what is no longer granted.",
    actors: {
      cpuN: invalidatingThread,
      clientN: "A program that has a GPU work on the page that was granted by another domain, and then exits.",
    },
    state: {
      ...memoryState,
      mm: addressSpaceOf("the process"),
      child: "The address space of the child that a fork would make (struct mm_struct).",
      grant:
        "The mapping of another Xen domain's page (struct gntdev_grant_map): its subscription, whether the grant is mapped, and its file's locks.",
      gpuN: "The GPU's object on the page: its lock, the pinned page, the sequence, and the fences of work under way.",
    },
    monitors: {
      window: driverMonitors.window,
    },
    notModelled: [
      "What is not mapped any more is not faulted in again, and a child gets nothing (VM_DONTCOPY).",
      "The domain that grants, and the event that tells it.",
      "The process's entry counts as a reference, as any entry does.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["unmap_grant_pages", "__gnttab_*", "gnttab_*"],
  scenarios: [pinned, overlapping],
  bugs: gntdevBugs,
})
