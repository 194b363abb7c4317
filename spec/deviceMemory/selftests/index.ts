import { protocol } from "../../../checker/index.ts"
import { selftestBugs } from "./bugs.ts"
import { doubleMap, teardown } from "./concurrent.ts"
import { hugeBugs } from "./hugeBugs.ts"
import { hugeScenarios } from "./hugeConcurrent.ts"
import { hugetlbOneAtATime, writeAgainstZap } from "./hugetlb.ts"
import { hugetlbBugs, userfaultfdBugs } from "./lastBugs.ts"
import { hugeOneAtATime, oneAtATime } from "./scenarios.ts"
import { readAgainstUnmap } from "./userfaultfd.ts"

export const selftests = protocol({
  id: "device/selftests",
  title: "The kernel's HMM self tests (tools/testing/selftests/mm/hmm-tests.c), with the outcomes stated there",
  steps: ["ASSERT_EQ"],
  scenarios: [
    oneAtATime,
    hugeOneAtATime,
    teardown,
    doubleMap,
    ...hugeScenarios,
    hugetlbOneAtATime,
    writeAgainstZap,
    readAgainstUnmap,
  ],
  bugs: [...selftestBugs, ...hugeBugs, ...hugetlbBugs, ...userfaultfdBugs],
})
