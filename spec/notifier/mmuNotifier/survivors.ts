import type { Survivors } from "../../../checker/index.ts"

const lastUser =
  "it is the end of the address space that waits there, whoever drops it last; where that is exit, the same mutant is killed"

/** Why mutants of the steps of today's mmu notifier survive. */
export const mmuNotifierSurvivors: Survivors = {
  "swap mn_hlist_release: hlist_del_init_rcu | srcu_read_unlock":
    "the section is there for the callbacks, which have returned; what is unlinked is looked up under the lock of the subscriptions",
  "swap mmu_interval_set_seq | xe_vm_invalidate_vma_submit":
    "the driver's lock is held, under which everybody else looks at the sequence and maps",
  "swap xe_tlb_inval_batch_wait | mutex_unlock":
    "the callback has not returned, so that nothing is freed before the flush; who takes the lock meanwhile finds the sequence set",
  "split mmu_interval_set_seq":
    "the driver's lock is held; who reads the sequence meanwhile without it finds in the end that it has changed, and begins again",
  "split mmu_interval_read_retry": "the driver's lock is held, without which nobody sets the sequence",
  "leave-out unmap_vmas":
    "it says that pages go from now on, which is what a rule about the order goes by; that they go is done behind it",
  "leave-out free_module": "it says when the module's text is gone: one that stays harms nobody",
  "split device_unmap":
    "the driver's lock is held, without which nothing is mapped; what the device takes into its TLB meanwhile goes with the rest",
  "split xe_vm_invalidate_vma_submit":
    "the driver's lock is held; a pass that finishes meanwhile leaves the mark that it is in use, and later invalidations then wait themselves",
  "drop-lock synchronize_srcu: wait_for_completion(srcu) by smmu#": lastUser,
  "drop-lock synchronize_srcu: wait_for_completion(srcu) by both": lastUser,
  "split kvm_mmu_notifier_release": "two releases that both think they are the first both do all of it",
  "split mn_hlist_release: hlist_del_init_rcu":
    "nobody can register any more, and who else changes the list meanwhile takes a notifier off it, too",
}
