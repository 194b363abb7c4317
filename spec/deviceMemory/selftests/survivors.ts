import type { Survivors } from "../../../checker/index.ts"

const holeIsJudged = "what a walk has seen of a hole is judged by the sequence of the notifier, like all that it sees"
const nothingMapped =
  "who faults already has found nothing mapped, so that whoever zaps meanwhile has nothing to give back"
const asksAgain = "who does not sleep takes the fault again, until the page is there or is nobody's to fill in"
const oneFaults =
  "one waits where the area is unmapped: what the queue's lock keeps apart, two that come and go, is put to the test elsewhere"
const leavesItself = "who is woken takes itself off the queue, too, before it takes the fault again"

/** Why mutants of hugetlbfs and userfaultfd survive in the self tests. */
export const selftestSurvivors: Survivors = {
  "leave-out hugetlb_vma_lock_write: rwsem_add_waiter":
    "who waits to write only keeps those who come later to read from going first",
  "leave-out handle_userfault: schedule": asksAgain,
  "open-guard handle_userfault: schedule": asksAgain,
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
