import { protocol } from "../../../checker/index.ts"
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
