import { protocol } from "../../../checker/index.ts"
import { addressSpaceOf, memoryState } from "../../described.ts"
import { ttmBugs } from "./bugs.ts"
import { ttmScenarios } from "./scenarios.ts"

export const ttm = protocol({
  id: "driver/ttm",
  title: "TTM (drivers/gpu/drm/ttm): memory of a device that processes map without pages (VM_PFNMAP)",
  about: {
    purpose:
      "A GPU's driver moves buffer objects between the device's memory and the system's, and processes map them wherever they lie. There are no pages that the core could ask who maps them: the driver reserves an object, unmaps it by its place in the device's file, waits for the device's jobs, copies it and gives the old memory up. A page fault maps it again, where it lies by then.",
    actors: {
      "thread.mmN": "A thread of process `mmN` that stores to the object through its mapping, and loads what is there.",
      submitN: "Submits a job for the GPU: the object is reserved, moved to the device's memory, and given a fence.",
      "job.submitN": "The job on the GPU: it stores to the object's memory, and then signals its fence.",
      munmapN: "A thread of the first process that unmaps the object.",
      dioN: "Direct I/O, which would pin the page of the mapping (pin_user_pages) and write to it: special mappings refuse that.",
    },
    state: {
      ...memoryState,
      boN: "A buffer object (struct ttm_buffer_object): its reservation lock, the memory in which it lies, and fences of jobs under way.",
      gpu: "The device's file that processes map, with its locks, and which object has the device's memory (`vram.owner`).",
      mmN: addressSpaceOf("a process that maps an object"),
    },
    monitors: {
      record: "What each object should hold, and whether a load has found something else.",
    },
    notModelled: [
      "Objects are one page; the device's memory has room for one. Eviction by an asynchronous copy (moving fences), swapping out, and objects that several devices share.",
      "A fault that finds the object reserved a second time waits under mmap_lock (FAULT_FLAG_TRIED); here it drops the lock each time.",
      "Entries for reading only: mprotect of such areas, private mappings of them, and fork.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["ttm_*", "vmf_insert_pfn_prot", "tlb_end_vma", "dma_*"],
  scenarios: ttmScenarios,
  bugs: ttmBugs,
})
