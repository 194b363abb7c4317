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
  steps: ["dmirror_*", "xa_destroy", "copy_to_user"],
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
