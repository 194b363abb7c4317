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
    actors: {
      cpuN: "A thread: `cpu0` stores to the first huge page in the parent, `cpu1` in the child; `cpu2` takes it from the child or the file.",
      munmapN: "A thread of the parent that unmaps the file: it leaves the page table that it shares with the child.",
      kcompactdN: "The kernel thread that moves a huge page of the file to another place in memory.",
      gpuN: "A device that mirrors the parent: it maps the last huge page.",
    },
    state: {
      hpageN: "A huge page of memory: counts of references and mappings, its lock and its content.",
      pmdN: "A page table of huge pages that processes may share: its entries, and how many share it.",
      parent:
        "The parent's address space: its area, the entry that leads to the page table (`pud`), its CPU's walk cache and TLB, the device's entries.",
      child: "The same of the child; what it maps of the file may be in the same page table.",
      cacheN: "The page cache of the file: the huge page that holds its page N.",
      i_mmap_rwsem: "The lock of the file's mappings, which also keeps the sharing of page tables as it is.",
      hugetlb_fault_mutexN:
        "The mutex under which faults on huge page N of the file are handled (hugetlb_fault_mutex_table).",
    },
    monitors: {
      seen: "What was last stored to the file; the CPU that was sent SIGBUS, if any; those that have met a page on the move.",
    },
    notModelled: [
      "The hugetlb VMA lock of later kernels: here i_mmap_rwsem keeps the sharing as it is, as in 5.16.",
      "A process has one area, the whole file; a hole that is touched is filled in the scenario hugetlb/fill only: elsewhere a fault is given no page, whatever the pool has.",
      "Copy-on-write and reservations.",
      "The look at an entry before the mutex is taken: a fault that meets a page on the move under the mutex is taken once more in the kernel, and waits then; here it waits at once. Nor the moments in which it cannot wait, as the page is nobody's, and is taken once more.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  environment: ["device_map"],
  scenarios: hugetlbScenarios,
  bugs: hugetlbBugs,
  survivors: hugetlbSurvivors,
})
