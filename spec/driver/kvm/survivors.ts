import type { Survivors } from "../../../checker/index.ts"

const held = "the memslots wait a step longer before they are replaced"

/** Why mutants of KVM survive. */
export const kvmSurvivors: Survivors = {
  "swap kvm_mmu_invalidate_end: mmu_invalidate_in_progress | kvm_mmu_notifier_invalidate_range_end":
    "whoever replaces the memslots between does so when the end has looked up what it concerns",
  "swap kvm_mmu_notifier_invalidate_range_end | kvm_mmu_notifier_invalidate_range_start": held,
  "wake-early kvm_flush_remote_tlbs":
    "the invalidation is counted and its range known: no fault installs anything there, and the callback returns behind the flush",
}
