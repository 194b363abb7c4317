import { protocol } from "../../../checker/index.ts"
import { memoryState } from "../../described.ts"
import { bugs2008 } from "./bugs.ts"
import {
  age,
  counter,
  engine,
  exits,
  rangeList,
  reclaim,
  register,
  registerRangeList,
  unregister,
  unregisterCounter,
  writeback,
} from "./scenarios.ts"
import { survivors2008 } from "./survivors.ts"

export const notifier2008 = protocol({
  id: "notifier/2008",
  title: "The mmu notifiers as proposed in February 2008, and the drivers of that time",
  about: {
    purpose:
      'The mmu notifiers as proposed in February 2008, against the Linux 2.6.24 of that time: callbacks for ranges and single pages under RCU, a second list for drivers that have to sleep, and drivers in the styles of GRU (which counts invalidations), XPMEM (which remembers ranges and asks other partitions) and a DMA engine that hears of single pages only. The model is the design as it can hold; what the mails had is put back by seeded bugs, "as published".',
    actors: {
      cpuN: "A processor that makes one call of the process, munmap, MADV_DONTNEED, exit, or truncation of the file.",
      gruN: "A device that counts the ranges under invalidation, as GRU and KVM did: it faults on a page and stores to it.",
      xpmemN:
        "A device that remembers the ranges under invalidation and may sleep, as XPMEM did: it faults and stores.",
      dmaN: "A DMA engine that hears of single pages only, and so keeps a reference to each that it maps: it faults and stores.",
      kswapd: "Reclaim (shrink_page_list): asks whether the page was used, unmaps it everywhere, and frees it.",
      pdflush: "Writeback: makes the page clean and read-only everywhere (page_mkclean), and writes it to the disk.",
    },
    state: {
      folioN: memoryState.folioN,
      memcg: memoryState.memcg,
      mm: "The address space: its users, and the list of its mmu notifiers.",
      mmap_sem: "The process's semaphore for its areas, the mmap_lock of today.",
      vmaN: "Whether there is an area at page N; it maps the file's page of the same number, shared and for writing.",
      pteN: "The page table entry of page N: the page, whether it may be stored to, dirty and accessed bits.",
      ptl: "The page table's spinlock, under which single pages are invalidated: callbacks there must not sleep.",
      file: "The file that is mapped: its size, its page cache, and what is on the disk.",
      i_mmap_lock:
        "The file's spinlock over its mappings, held where truncation and reclaim go from page to page tables.",
      PageRmapExternalN:
        "The page flag that says that a device may map page frame N, for which only then the rmap notifiers are called.",
      readers: "The fibers inside read-side sections of RCU and of SRCU, which those who free a notifier wait for.",
      sleeping: "The fibers that have called schedule and not gone on since.",
      mmu_rmap_notifier_list: "The list of rmap notifiers, one for the whole machine.",
      gruN: "The device's page table and spinlock, the ranges that it counts, their sequence, and whether its notifier was freed.",
      xpmemN:
        "The device's page table and spinlock, the ranges that it remembers, their sequence, and pages that a worker must give back.",
      "xpmemN-rmap": "Whether the memory of the device's rmap notifier was freed.",
      dmaN: "The device's page table and spinlock, and how often it was told to let a page go.",
    },
    monitors: {
      window:
        "By fiber: the range that it invalidates, the devices that know of its beginning and not of its end, and the callback that runs.",
      fault:
        "By device: the page that it faults on, and whether an invalidation has begun since it looked the page up.",
      unmapped: "The pages of which munmap has announced the end.",
      slips:
        "By rule: whether it was broken, such as a callback before the entry was cleared, or one outside of its section.",
      age: "By fiber: whether the process or a device has said, since it asks for a page's age, that the page was used.",
    },
    notModelled: [
      "TLBs of CPUs: nothing in this design depends on them.",
      "More than one process and one file, which is shared and mapped for writing.",
      "XPMEM's other partitions one by one: they are one, which answers or not.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_store"],
  scenarios: [
    counter,
    rangeList,
    register,
    registerRangeList,
    reclaim,
    age,
    writeback,
    unregister,
    unregisterCounter,
    exits,
    engine,
  ],
  bugs: bugs2008,
  survivors: survivors2008,
})
