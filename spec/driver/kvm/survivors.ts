import type { Survivors } from "../../../checker/index.ts"

const held = "the memslots wait a step longer before they are replaced"

/** Why mutants of KVM survive. */
export const kvmSurvivors: Survivors = {
  "swap kvm_mmu_invalidate_end: mmu_invalidate_in_progress | kvm_mmu_notifier_invalidate_range_end":
    "whoever replaces the memslots between does so when the end has looked up what it concerns",
  "swap kvm_mmu_notifier_invalidate_range_end | kvm_mmu_notifier_invalidate_range_start": held,
  "swap kvm_flush_remote_tlbs | try_to_unmap_one: ptep_get_and_clear":
    "reclaim defers its own flush only where the process runs on two CPUs, which is beyond the budget: until that flush the page is nobody else's, and the guests' TLBs are flushed before it",
  "wake-early kvm_flush_remote_tlbs":
    "the invalidation is counted and its range known: no fault installs anything there, and the callback returns behind the flush",
}
