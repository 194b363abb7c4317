import type { Survivors } from "../../../checker/index.ts"

const nobodyElse = "what is done one after the other meets nobody in the area"
const holeIsJudged = "what a walk has seen of a hole is judged by the sequence of the notifier, like all that it sees"
const nothingMapped =
  "who faults already has found nothing mapped, so that whoever zaps meanwhile has nothing to give back"
const asksAgain = "who does not sleep takes the fault again, until the page is there or is nobody's to fill in"
const oneFaults =
  "one waits where the area is unmapped: what the queue's lock keeps apart, two that come and go, is put to the test elsewhere"
const leavesItself = "who is woken takes itself off the queue, too, before it takes the fault again"

/** Why mutants of hugetlbfs and userfaultfd survive in the self tests. */
export const selftestSurvivors: Survivors = {
  "leave-out walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "leave-out hugetlb_vma_lock_write: rwsem_add_waiter":
    "who waits to write only keeps those who come later to read from going first",
  "leave-out handle_userfault: schedule": asksAgain,
  "drop-lock hugetlb_vma_lock_write(parent) by task": nobodyElse,
  "open-guard walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "open-guard hugetlb_vma_lock_write": nothingMapped,
  "open-guard handle_userfault: schedule": asksAgain,
  "swap hugetlb_fault: hugetlb_vma_lock_read | hugetlb_fault: huge_ptep_get": nothingMapped,
  "swap userfaultfd_set_vm_flags | mmap_write_unlock":
    "when the area is registered nobody else is there yet, and who finds it registered still finds the file closed",
  "swap mmap_read_lock | mfill_atomic_pte_copy": "the area is looked at once more when the page is mapped",
  "split walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "split hugetlb_fault: hugetlb_vma_lock_read": nothingMapped,
  "split UFFDIO_WAKE: wake_userfault": oneFaults,
  "split userfaultfd_release: wake_userfault":
    "the file is closed by then: who comes on a queue meanwhile looks at that once more, and does not sleep",
  "split userfaultfd_release": "who closes the file a second time finds nothing registered",
  "wake-early hugetlb_vma_lock_write": nothingMapped,
  "wake-early UFFDIO_WAKE: wake_userfault": leavesItself,
  "wake-early userfaultfd_release: wake_userfault": leavesItself,
}
