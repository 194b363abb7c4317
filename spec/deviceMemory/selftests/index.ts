import { protocol } from "../../../checker/index.ts"
import { selftestBugs } from "./bugs.ts"
import { doubleMap, teardown } from "./concurrent.ts"
import { hugeBugs } from "./hugeBugs.ts"
import { hugeScenarios } from "./hugeConcurrent.ts"
import { hugetlbOneAtATime, readAndStoreAgainstZap, storeAgainstZap, writeAgainstZap } from "./hugetlb.ts"
import { hugetlbBugs, userfaultfdBugs } from "./lastBugs.ts"
import { notModelled } from "./notModelled.ts"
import { hugeOneAtATime, oneAtATime } from "./scenarios.ts"
import { selftestSurvivors } from "./survivors.ts"
import { readAgainstUnmap, readTwiceAgainstClose, readTwiceAgainstHandler } from "./userfaultfd.ts"

export const selftests = protocol({
  id: "device/selftests",
  title: "The kernel's HMM self tests (tools/testing/selftests/mm/hmm-tests.c), with the outcomes stated there",
  about: {
    purpose:
      "The cases of tools/testing/selftests/mm/hmm-tests.c, run on the modelled driver, with the outcomes that are stated there; those of two threads under every schedule. A case that would fail here and passes on a kernel is a fault of the model.",
    notModelled: [...notModelled.map(({ id, what, why }) => `${id}: ${what}, for ${why}.`)],
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
  ],
  bugs: [...selftestBugs, ...hugeBugs, ...hugetlbBugs, ...userfaultfdBugs],
  survivors: selftestSurvivors,
})
