import type { Survivors } from "../../../checker/index.ts"

const spins = "wait_event looks at its condition again and again: who does not sleep spins until it is met"
const late = "who sleeps is woken all the same, a little later"
const locked = "the driver's lock is held, under which everybody else looks"
const recorded = "what comes in a step of its own is the record that the properties keep of it"

/** Why mutants of the interval notifier's steps survive. */
export const intervalSurvivors: Survivors = {
  "leave-out mmu_interval_read_begin: schedule": spins,
  "leave-out mmu_interval_notifier_remove: schedule": spins,
  "open-guard mmu_interval_read_begin: schedule": spins,
  "open-guard mmu_interval_notifier_remove: schedule": spins,
  "lose-wake-up mmu_interval_read_begin: prepare_to_wait": spins,
  "lose-wake-up mmu_interval_notifier_remove: prepare_to_wait": spins,
  "swap wake_up_all | tlb_finish_mmu": late,
  "swap wake_up_all | free_pgtables": late,
  "swap mn_itree_inv_end: deferred_list | wake_up_all":
    "the sequence has changed already, and who is woken to remove a subscription needs the lock, which is held until the list is done",
  "swap mmu_interval_set_seq | device_unmap": locked,
  "swap device_unmap | mutex_unlock":
    "the sequence is set, so that nobody maps between, and the callback has not returned: nothing is freed yet",
  "swap mutex_lock | device_unmap":
    "who tears the mirror down is the one who maps; a callback at the same time only unmaps",
  "swap mmap_write_downgrade | mn_itree_inv_start_range":
    "the lock is held for reading at least from before the announcement to behind its end, either way",
  "split mmu_interval_read_begin": recorded,
  "split mmu_interval_read_retry": recorded,
  "split mn_itree_inv_next": recorded,
  "wake-early mutex_unlock": recorded,
  "wake-early wake_up_all": recorded,
  "split mmu_interval_set_seq": locked,
  "split device_map": locked,
  "split mn_itree_inv_end: deferred_list":
    "the lock of the subscriptions is held, without which nobody defers anything",
  "open-guard mmu_interval_read_begin":
    "the lock is held from one step to the next only behind the bump of the sequence, and what is read is what that wrote",
}
