import { protocol } from "../../../checker/index.ts"
import { driverMonitors, processState, swapState } from "../../described.ts"
import { dmirrorBugs } from "./bugs.ts"
import {
  exclusive,
  faults,
  lazyfree,
  migrateBack,
  migration,
  oomReaper,
  orderedReads,
  overlapping,
  privateFault,
  session,
  snapshot,
  twoFaults,
  zappedMigration,
} from "./scenarios.ts"

export const testHmm = protocol({
  id: "driver/test-hmm",
  title: "The driver of the HMM self tests (lib/test_hmm.c): a page table in software that shadows a process's",
  about: {
    purpose:
      "lib/test_hmm.c is the kernel's own example of a driver on HMM: a page table in software that shadows a process's, private memory with migration both ways, exclusive access, and snapshots. It is checked against everything that the process can do meanwhile. Where the driver as published does not hold it is corrected, and seeded bugs put back what it does.",
    actors: {
      cpuN: "A thread of the process that makes one system call which takes pages away, or that stores to or loads from pages.",
      cpu: "A thread of the process, which gives pages up or uses them while the device has them.",
      read: "The device reads the last page through its table, faulting where that is empty (HMM_DMIRROR_READ).",
      reads: "The device reads the first page, the second, and the first again, to see stores in their order.",
      write: "The device writes to the last page, faulting where its table does not allow that (HMM_DMIRROR_WRITE).",
      snapshot: "The driver reports what the process's page table allows, without faulting (HMM_DMIRROR_SNAPSHOT).",
      session:
        "A process opens the device's file, which subscribes, has the device write to a page, and closes the file.",
      migrate: "The driver moves the last page to the device's memory (HMM_DMIRROR_MIGRATE_TO_DEV).",
      "migrate-back": "The driver moves all pages back to system memory (HMM_DMIRROR_MIGRATE_TO_SYS).",
      exclusive: "The driver makes the last page the device's alone, for atomic accesses (HMM_DMIRROR_EXCLUSIVE).",
      others: "Somebody else, who takes a free page of memory, so that there may be none to move a page to.",
      "oom-reaper": "The kernel thread that takes a killed process's memory without waiting for its exit.",
    },
    state: {
      ...processState,
      ...swapState,
      devmem:
        "The device's memory (struct dev_pagemap): how many of its pages are given out, and whether it is being taken away.",
      dmirror:
        "The device's file (struct dmirror): its mutex, its page table (`ptN`), and the subscriptions of it, of snapshots and migrations.",
    },
    monitors: {
      window: driverMonitors.window,
      storedN:
        "What the device has stored to page N last; empty if nothing, or if the process has given the page up since.",
      seen: "What `reads` has found in the second page, and then in the first.",
      closing: "Whether the file is being closed: nobody uses the device's table any more.",
      freed: "Whether the file was closed and its memory given back.",
      slip: "The last thing that was done and may not be, in words: a callback after the end, or a snapshot that faults.",
      current: driverMonitors.current,
      forgotten: driverMonitors.forgotten,
      unlocked: driverMonitors.unlocked,
    },
    notModelled: [
      "The time after which a fault gives up; huge pages, which protocol device/selftests has.",
      "Hardware: a load or store of the device is one look at its page table.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: ["dmirror_*", "xa_destroy"],
  environment: ["copy_to_user"],
  scenarios: [
    faults,
    twoFaults,
    overlapping,
    snapshot,
    session,
    orderedReads,
    migration,
    zappedMigration,
    privateFault,
    migrateBack,
    exclusive,
    oomReaper,
    lazyfree,
  ],
  bugs: dmirrorBugs,
})
