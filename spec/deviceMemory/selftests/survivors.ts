import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of hugetlbfs and userfaultfd survive in the self tests. */
export const selftestSurvivors: Survivors = {
  "split userfaultfd_release: wake_userfault":
    "the file is closed by then: who comes on a queue meanwhile looks at that once more, and does not sleep",
  "split userfaultfd_release": "who closes the file a second time finds nothing registered",
  "swap mutex_lock | hugetlb_fault: hugetlb_vma_lock_read":
    "mm/userfaultfd.c: mfill_atomic_hugetlb takes the two in that order: who faults only reads under the area's lock, and whoever has that for writing takes no such mutex",
  "wake-early hugetlb_vma_lock_write":
    "who faults already has found nothing mapped, so that whoever zaps meanwhile has nothing to give back",
  "wake-early userfaultfd_release: wake_userfault":
    "who is woken takes itself off the queue, too, before it takes the fault again",
}
