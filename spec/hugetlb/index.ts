import { protocol } from "../../checker/index.ts"
import { hugetlbBugs } from "./bugs.ts"
import { hugetlbScenarios } from "./scenarios.ts"
import { hugetlbSurvivors } from "./survivors.ts"

export const hugetlb = protocol({
  id: "hugetlb",
  title: "Huge pages of a file whose page table processes share (mm/hugetlb.c of Linux 5.16)",
  about: {
    purpose:
      "Processes that map the same part of a file of huge pages share its page table (mm/hugetlb.c of Linux 5.16). Unmapping it for one of them means to leave the table, which the others keep: TLBs have to be flushed before the locks are dropped that keep the sharing as it is, or a CPU walks a table, or reaches a page, that is somebody else's by then. A device mirrors one of the processes while a page migrates. Two that touch a hole at once must not be told that the pool is empty because each has wanted a page.",
    notModelled: [
      "The hugetlb VMA lock of later kernels: here i_mmap_rwsem keeps the sharing as it is, as in 5.16.",
      "A process has one area, the whole file; a hole that is touched is filled in the scenario hugetlb/fill only: elsewhere a fault is given no page, whatever the pool has.",
      "Copy-on-write and reservations.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_map"],
  scenarios: hugetlbScenarios,
  bugs: hugetlbBugs,
  survivors: hugetlbSurvivors,
})
