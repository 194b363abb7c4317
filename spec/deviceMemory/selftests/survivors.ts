import type { Survivors } from "../../../checker/index.ts"

const nobodyElse = "what is done one after the other meets nobody in the area"
const holeIsJudged = "what a walk has seen of a hole is judged by the sequence of the notifier, like all that it sees"
const nothingMapped =
  "who faults already has found nothing mapped, so that whoever zaps meanwhile has nothing to give back"
const asksAgain = "who does not sleep takes the fault again, until the page is there or is nobody's to fill in"
const filledTwice = "who is read of once more is filled in for once more, which comes to EEXIST, and woken"
const oneFaults =
  "one thread faults while the handler is at work: what the queue's lock keeps apart, two that come and go, is not put to the test"

/** Why mutants of hugetlbfs and userfaultfd survive in the self tests. */
export const selftestSurvivors: Survivors = {
  "swap hugetlb_fault: hugetlb_vma_lock_read | hugetlb_fault: huge_ptep_get": nothingMapped,
  "leave-out walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "split walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "split hugetlb_fault: hugetlb_vma_lock_read": nothingMapped,
  "drop-lock hugetlb_vma_lock_write(parent) by task": nobodyElse,
  "open-guard walk_hugetlb_range: hugetlb_vma_lock_read": holeIsJudged,
  "open-guard hugetlb_vma_lock_write": nothingMapped,
  "wake-early hugetlb_vma_lock_write": nothingMapped,
  "leave-out hugetlb_vma_lock_write: rwsem_add_waiter":
    "who waits to write only keeps those who come later to read from going first",
  "leave-out handle_userfault: __add_wait_queue":
    "who is on no queue does not sleep, and takes the fault again; that somebody hears of it is no promise here, where mmap_lock has no queue",
  "leave-out handle_userfault: schedule": asksAgain,
  "open-guard handle_userfault: schedule": asksAgain,
  "swap handle_userfault: schedule | handle_userfault: list_del": asksAgain,
  "lose-wake-up userfaultfd_ctx_read": filledTwice,
  "swap userfaultfd_set_vm_flags | mmap_write_unlock":
    "when the area is registered nobody else is there yet, and who finds it registered still finds the file closed",
  "swap mmap_read_lock | mfill_atomic_pte_copy": "the area is looked at once more when the page is mapped",
  "split userfaultfd_ctx_read": oneFaults,
  "split UFFDIO_COPY: wake_userfault": oneFaults,
  "split userfaultfd_release": "who closes the file a second time finds nothing registered",
}
