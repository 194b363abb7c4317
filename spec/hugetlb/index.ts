import { protocol } from "../../checker/index.ts"
import { hugetlbBugs } from "./bugs.ts"
import { hugetlbScenarios } from "./scenarios.ts"

export const hugetlb = protocol({
  id: "hugetlb",
  title: "Huge pages of a file whose page table processes share (mm/hugetlb.c of Linux 5.16)",
  scenarios: hugetlbScenarios,
  bugs: hugetlbBugs,
})
