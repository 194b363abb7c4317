import { protocol } from "../../../checker/index.ts"
import { addressSpaceOf, driverMonitors, fileOf, memoryState } from "../../described.ts"
import { selftestBugs } from "./bugs.ts"
import { doubleMap, teardown } from "./concurrent.ts"
import { hugeBugs } from "./hugeBugs.ts"
import { hugeScenarios } from "./hugeConcurrent.ts"
import { hugetlbOneAtATime, readAndStoreAgainstZap, storeAgainstZap, writeAgainstZap } from "./hugetlb.ts"
import { hugetlbBugs, userfaultfdBugs } from "./lastBugs.ts"
import { notModelled } from "./notModelled.ts"
import { hugeOneAtATime, oneAtATime } from "./scenarios.ts"
import { selftestSurvivors } from "./survivors.ts"
import {
  loadTwiceAgainstUnmap,
  readAgainstUnmap,
  readTwiceAgainstClose,
  readTwiceAgainstHandler,
} from "./userfaultfd.ts"

export const selftests = protocol({
  id: "device/selftests",
  title: "The kernel's HMM self tests (tools/testing/selftests/mm/hmm-tests.c), with the outcomes stated there",
  about: {
    purpose:
      "The cases of tools/testing/selftests/mm/hmm-tests.c, run on the modelled driver, with the outcomes that are stated there; those of two threads under every schedule. A case that would fail here and passes on a kernel is a fault of the model.",
    actors: {
      test: "A test of hmm-tests.c: has `task` do one step after the other, starts those who meet, and waits for them.",
      task: "One step of the test: a system call, a command to the device, or a comparison with what is expected.",
      reader: "Has the device read pages of the process (HMM_DMIRROR_READ).",
      readers: "Has the device read two pages at once, one of them by `second`.",
      second: "Has the device read the second page (HMM_DMIRROR_READ).",
      writer: "Has the device write to huge pages of hugetlbfs (HMM_DMIRROR_WRITE).",
      deviceN: "A device: `device0` reads the pages, `device1` has them migrated to its memory.",
      migrator:
        "Has pages migrated to the device's memory, or back to the system's (HMM_DMIRROR_MIGRATE_TO_DEV, ..._TO_SYS).",
      cpuN: "A thread of the process that loads from the pages, or stores to them.",
      storer: "A thread of the process that stores to a page of hugetlbfs.",
      unmapper: "A thread of the process that unmaps half of the pages (munmap).",
      zapper: "A thread of the process that gives huge pages of hugetlbfs back (MADV_DONTNEED).",
      handler: "A thread that fills in missing pages: it reads events of the userfaultfd and answers with UFFDIO_COPY.",
      other: "A thread that unmaps the page, or closes the userfaultfd, while others wait for it to be filled in.",
      "oom-reaper": "The kernel thread that takes a killed process's memory without waiting for its exit.",
    },
    state: {
      hmm_dmirrorN:
        "The memory of a device of the test driver (struct dev_pagemap); `failAlloc` makes its next huge allocation fail.",
      ...memoryState,
      hmm_dmirror: fileOf("The devices' own file"),
      parent: addressSpaceOf("the test, with its open devices"),
      child: addressSpaceOf("a child that a test forks"),
      file: fileOf("The file on a disk that tests map"),
      shmem: fileOf("Shared anonymous memory"),
    },
    monitors: {
      outcome: "How many outcomes were as the test expects them, and the first that was not, in words.",
      window: driverMonitors.window,
      waits: "Who has to wait for a page to be filled in and was not woken yet, and who has gone on without.",
    },
    notModelled: [
      ...notModelled.map(({ id, what, why }) => `${id}: ${what}, for ${why}.`),
      "Signals: a fault that waits for the handler sleeps until it is woken.",
    ],
  },
  // hugetlbfs and userfaultfd as model/mm/hugetlb.ts, model/hmm/rangeFaultHugetlb.ts and model/mm/userfaultfd.ts have them.
  steps: ["*hugetlb*", "__unmap_hugepage_range", "*userfault*", "mfill_atomic*", "READ_ONCE(ctx->released)"],
  scenarios: [
    oneAtATime,
    hugeOneAtATime,
    teardown,
    doubleMap,
    ...hugeScenarios,
    hugetlbOneAtATime,
    writeAgainstZap,
    storeAgainstZap,
    readAndStoreAgainstZap,
    readAgainstUnmap,
    readTwiceAgainstHandler,
    readTwiceAgainstClose,
    loadTwiceAgainstUnmap,
  ],
  bugs: [...selftestBugs, ...hugeBugs, ...hugetlbBugs, ...userfaultfdBugs],
  survivors: selftestSurvivors,
})
