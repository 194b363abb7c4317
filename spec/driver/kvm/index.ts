import { protocol } from "../../../checker/index.ts"
import { kvmBugs } from "./bugs.ts"
import {
  aging,
  calls,
  exit,
  lockless,
  memslots,
  memslotsMove,
  overlapping,
  pfnCache,
  retries,
  zapAll,
} from "./scenarios.ts"
import { kvmSurvivors } from "./survivors.ts"

export const kvm = protocol({
  id: "driver/kvm",
  title: "KVM: guests whose page table follows the process that runs them, by counts and a sequence",
  about: {
    purpose:
      "A virtual machine's second-stage page table follows the process that runs it. KVM counts the invalidations under way, remembers the range that they cover together, and keeps a sequence of those that have ended; a fault that finds either changed is retried. Beside it go ageing, the end of the process, changes of memslots, the tearing down of a whole page table, and KVM's own accesses through cached translations.",
    notModelled: [
      "The levels of the second-stage page table: it is an array by guest page.",
      "mmu_lock is a spinlock, with which two faults exclude each other; on x86 they share it.",
      "SRCU around memslots: a reader takes them in one step. Dirty logging and nested guests.",
      "No huge pages take part.",
      "Memory is sequentially consistent: a barrier that is missing does not show.",
    ],
  },
  steps: [
    "kvm_*",
    "__kvm_*",
    "kvmppc_*",
    "mmu_invalidate_*",
    "mmu_notifier_retry_cache*",
    "is_page_fault_stale",
    "tdp_*",
    "hva_to_pfn*",
    "gfn_to_pfn*",
    "*lock_rmap",
  ],
  environment: ["guest_*"],
  scenarios: [calls, overlapping, lockless, exit, aging, memslots, memslotsMove, zapAll, pfnCache, retries],
  bugs: kvmBugs,
  survivors: kvmSurvivors,
})
