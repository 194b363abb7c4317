/** The invariants of hmm_range_fault: what it returns, and whether the lock is held then. */
import type { Property } from "../../../checker/index.ts"
import type { HmmWorld } from "./world.ts"

export const hmmProperties: ReadonlyArray<Property<HmmWorld>> = [
  {
    kind: "invariant",
    id: "HMM-LOCK",
    statement: "When hmm_range_fault returns, mmap_lock is held, unless it says that it was dropped.",
    source: "mm/hmm.c: hmm_range_fault; commit 2bcbeaefde2f",
    holds: ({ record }) => record.state.lock === "",
    explain: ({ record }) => record.state.lock,
  },
  {
    kind: "invariant",
    id: "HMM-LOCK-BALANCE",
    statement: "Who calls it neither locks mmap_lock twice nor unlocks what is not locked.",
    source: "Documentation/mm/hmm.rst; commit 2bcbeaefde2f",
    premise: ({ record }) => record.state.held !== 0,
    holds: ({ record }) => record.state.held === 0 || record.state.held === 1,
    explain: ({ record }) => `The device's fiber holds mmap_lock ${record.state.held} times.`,
  },
  {
    kind: "atEnd",
    id: "HMM-LOCK-END",
    statement: "When everything has ended, nobody holds mmap_lock.",
    source: "Documentation/mm/hmm.rst; commit 2bcbeaefde2f",
    holds: ({ mm }) => mm.mmapLock.state.readers.length === 0 && mm.mmapLock.state.writer === "",
  },
  {
    kind: "invariant",
    id: "HMM-REQ-OK",
    statement: "A page that is returned for a request to write is writable.",
    source: "Documentation/mm/hmm.rst: HMM_PFN_REQ_WRITE",
    holds: ({ record }) => record.state.request === "",
    explain: ({ record }) => record.state.request,
  },
  {
    kind: "invariant",
    id: "HMM-WRITE-BIT",
    statement: "A page is said to be writable only if its entry was when it was read.",
    source: "mm/hmm.c: pte_to_hmm_pfn_flags",
    holds: ({ record }) => record.state.right === "",
    explain: ({ record }) => record.state.right,
  },
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, the fault of a device comes to the end of its retries.",
    source: "Documentation/mm/hmm.rst",
    to: ({ device }, { ended }) => ended(device.name),
  },
]
