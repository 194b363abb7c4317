/** Seeded bugs of hugetlbfs and userfaultfd. */
import { changeResult, leaveOut, moveBehind, type SeededBug } from "../../../checker/index.ts"
import { hugetlbOneAtATime, storeAgainstZap, writeAgainstZap } from "./hugetlb.ts"
import { oneAtATime } from "./scenarios.ts"
import { readAgainstUnmap } from "./userfaultfd.ts"
import type { SelftestWorld } from "./world.ts"

export const hugetlbBugs: ReadonlyArray<SeededBug<SelftestWorld>> = [
  {
    id: "hugetlb-hole-faults-under-lock",
    title:
      "as published: where there is no entry the walk faults with the area's lock held for reading; the fault asks for it once more, behind a zap that waits for it",
    source:
      "mm/pagewalk.c: walk_hugetlb_range, which calls pte_hole under the lock; mm/hmm.c: hmm_vma_walk_hole, unlike hmm_vma_walk_hugetlb_entry, does not drop it; read from the source, where 2026's hmm_record_fault (a posted patch) faults outside of the walk",
    scenario: writeAgainstZap.id,
    breaks: "deadlock",
    at: () => moveBehind("hmm_vma_walk_hole: hugetlb_vma_unlock_read", "hugetlb_fault: hugetlb_vma_unlock_read"),
  },
  {
    id: "hugetlb-cut-inside",
    title: "an area of hugetlbfs may be cut inside a page: munmap of half of it succeeds",
    source: "commit 31383c6865a5 (hugetlb_vm_op_split)",
    scenario: hugetlbOneAtATime.id,
    breaks: "SELFTEST-OUTCOME",
    at: () => ({ hugetlb_vm_op_split: changeResult(() => true) }),
  },
  {
    id: "hugetlb-protected-not-flushed",
    title: "a page of hugetlbfs becomes read-only, and a CPU can store to it through its TLB",
    source: "mm/hugetlb.c: hugetlb_change_protection, flush_hugetlb_tlb_range",
    scenario: hugetlbOneAtATime.id,
    breaks: "SELFTEST-OUTCOME",
    at: () => ({ flush_hugetlb_tlb_range: leaveOut() }),
  },
  {
    id: "hugetlb-freed-behind-lock",
    title:
      "MADV_DONTNEED frees a page of hugetlbfs when it has given back the lock that keeps faults out: a fault finds none",
    source: "commit 2820b0f09be9: hugetlbfs: close race between MADV_DONTNEED and page fault",
    scenario: storeAgainstZap.id,
    breaks: "SELFTEST-OUTCOME",
    at: () => moveBehind("free_pages_and_swap_cache", "hugetlb_vma_unlock_write"),
  },
]

export const userfaultfdBugs: ReadonlyArray<SeededBug<SelftestWorld>> = [
  {
    id: "userfaultfd-queued-behind-look",
    title: "a fault looks whether it has to wait before it is on the queue: the wake-up in between is lost",
    source: "fs/userfaultfd.c: handle_userfault, by inference",
    scenario: readAgainstUnmap.id,
    breaks: "deadlock",
    at: () => moveBehind("handle_userfault: __add_wait_queue", "READ_ONCE(ctx->released)"),
  },
  {
    id: "userfaultfd-unmapped-not-woken",
    title: "a handler that finds the page unmapped (-ENOENT) does not wake who waits for it",
    source: "ioctl_userfaultfd(2): UFFDIO_COPY, UFFDIO_WAKE, by inference",
    scenario: readAgainstUnmap.id,
    breaks: "deadlock",
    at: () => ({ "UFFDIO_WAKE: wake_userfault": leaveOut() }),
  },
  {
    id: "userfaultfd-does-not-sleep",
    title:
      "a fault that has to wait for the handler does not: it is taken again and again, and the handler told as often",
    source: "fs/userfaultfd.c: handle_userfault, schedule; by inference",
    scenario: readAgainstUnmap.id,
    breaks: "USERFAULTFD-WAIT",
    at: () => ({ "handle_userfault: schedule": leaveOut() }),
  },
  {
    id: "userfaultfd-registers-nothing",
    title: "UFFDIO_REGISTER does not mark the area: what is missing there is filled with zeroes",
    source: "fs/userfaultfd.c: userfaultfd_set_vm_flags, by inference",
    scenario: oneAtATime.id,
    bound: { number: 38 },
    breaks: "SELFTEST-OUTCOME",
    at: () => ({ userfaultfd_set_vm_flags: leaveOut() }),
  },
]
