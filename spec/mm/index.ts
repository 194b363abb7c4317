import { protocol } from "../../checker/index.ts"
import { coreActors, coreMonitors, coreState, mirror, swapState, walkMonitors } from "../described.ts"
import { collapseBugs } from "./bugs/collapse.ts"
import { cowBugs } from "./bugs/cow.ts"
import { fileBugs } from "./bugs/files.ts"
import { lockBugs } from "./bugs/locks.ts"
import { moveBugs } from "./bugs/moves.ts"
import { pinBugs } from "./bugs/pins.ts"
import { reclaimBugs } from "./bugs/reclaim.ts"
import { switchBugs } from "./bugs/switch.ts"
import { tlbBugs } from "./bugs/tlb.ts"
import { unannounced } from "./bugs/unannounced.ts"
import { described, operations } from "./operations.ts"
import { pairs } from "./pairs.ts"
import { races } from "./scenarios/index.ts"
import { mmSurvivors } from "./survivors.ts"

export const memoryManagement = protocol({
  id: "mm",
  title: "The memory-management core: faults, copy-on-write, fork, pinning, unmapping, reclaim, migration, exit",
  about: {
    purpose:
      "The core with which devices share memory: loads and stores through TLBs, faults and copy-on-write, pins with locks and without, munmap, madvise, mprotect, mremap, fork, exit, truncation, writeback, reclaim, swap, migration, khugepaged and the OOM reaper. Every two of these operations that can meet on a page race, on a machine of two processes with two pages, while a device mirrors the process; some races have three or a machine of their own. No page may be freed that somebody reaches, no store lost, no content seen by who may not, no count wrong.",
    actors: {
      ...coreActors,
      gpuN: "A device that mirrors the process: it accesses the page once, faulting where it has to (`devices` says how many).",
      svaN: "A device that walks the process's own page table through an IOMMU (SVA), and has a TLB: it loads or stores.",
      ftruncateN: "A process that truncates the file to nothing (ftruncate).",
      fallocateN: "A process that punches a hole into the file (fallocate), where its page was.",
      flusherN: "The kernel thread that writes the file's dirty page to the disk.",
      ptraceN: "A debugger that stores to the page by /proc/PID/mem, where the process itself may not (FOLL_FORCE).",
    },
    state: {
      ...coreState,
      ...swapState,
      gpuN: mirror,
      svaN: "What an SVA device has in its TLB of the process's page table, and whether it is bound to that.",
      cpuN: "A CPU that comes to the process and leaves it (cpu_tlbstate): what it has loaded, and how far it has flushed.",
    },
    monitors: {
      ...coreMonitors,
      ...walkMonitors,
    },
    operations: described(operations),
    notModelled: [
      "Entries are told page by page: a huge entry is all the entries of a page table together, and what khugepaged makes as many folios (model/mm/collapse.ts).",
      "A page table has two levels, the lower of which comes and goes; areas are told page by page.",
      "hugetlbfs (protocols hugetlb and device/selftests), userfaultfd (device/selftests; its asynchronous write protection: driver/gru), KSM and NUMA policy; of control groups only who is charged.",
      "Flushes under a page table's lock are one step of all CPUs; those of an mmu_gather are told step by step where CPUs come and go (model/mm/switch.ts).",
      "A read-write semaphore lets any waiter be next, without a queue.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  // What notifiers and mirrors do is mutated in notifier/interval.
  steps: ["**", "!device_*", "!mmu_interval_*", "!mn_itree_*", "!mutex_*", "!wake_up_all"],
  environment: ["exec", "dma_write", "dma_map_page *", "__access_remote_vm: copy_to_user_page", "hardware walk*"],
  survivors: mmSurvivors,
  scenarios: [...pairs, ...races],
  bugs: [
    ...cowBugs,
    ...pinBugs,
    ...moveBugs,
    ...fileBugs,
    ...tlbBugs,
    ...collapseBugs,
    ...switchBugs,
    ...reclaimBugs,
    ...lockBugs,
    ...unannounced,
  ],
})
