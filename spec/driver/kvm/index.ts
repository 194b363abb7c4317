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

export const kvm = protocol({
  id: "driver/kvm",
  title: "KVM: guests whose page table follows the process that runs them, by counts and a sequence",
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
    "guest_*",
  ],
  scenarios: [calls, overlapping, lockless, exit, aging, memslots, memslotsMove, zapAll, pfnCache, retries],
  bugs: kvmBugs,
})
