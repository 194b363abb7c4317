import type { Survivors } from "../../checker/index.ts"

const oneBarrier = "no scenario has two barriers at once: the module is taken down when the other one is over"
const kept =
  "what the section keeps out is the end of two grace periods between the queueing and the request; nobody else asks for so many"
const recorded = "the step only reads: what comes in a step of its own is the record that the properties keep of it"
const gone = "nobody else is left when it is taken"
const worker = "while a grace period is under way its worker alone changes the sequence"
const rescheduled = "srcu_reschedule, the next step of the same work, starts the grace period if this one has not"
const found = "what is queued between is found by the run of the work that begins"

/** Why mutants of RCU's and SRCU's steps survive. */
export const syncSurvivors: Survivors = {
  "leave-out mutex_lock": oneBarrier,
  "swap mutex_unlock | module_put": oneBarrier,
  "drop-lock mutex_lock(srcu.srcu_barrier_mutex) by flusher": oneBarrier,
  "swap __srcu_read_lock: srcu_lock_count | __srcu_read_lock: srcu_idx":
    "a section is open when it is counted: that the next one has looked at the index before is a preemption like any other",
  "swap synchronize_srcu | __srcu_read_lock_nmisafe: srcu_idx":
    "the first step is the call, of which the properties take note",
  "swap call_srcu | __srcu_read_lock_nmisafe: srcu_idx":
    "the first step is the call, of which the properties take note",
  "swap __srcu_read_lock_nmisafe: srcu_lock_count | srcu_gp_start_if_needed": kept,
  "swap __srcu_read_lock_nmisafe: srcu_lock_count | srcu_barrier_one_cpu": kept,
  "swap srcu_funnel_gp_start | __srcu_read_unlock_nmisafe": kept,
  "swap srcu_barrier_one_cpu | __srcu_read_unlock_nmisafe": kept,
  "swap __srcu_read_unlock_nmisafe | srcu_barrier: atomic_dec_and_test": kept,
  "swap delete_module | free_module": "where it is so no callback was ever queued",
  "swap rcu_barrier: wait_for_completion | module_put":
    "the module's own code that runs is not modelled, but for its callbacks",
  "swap srcu_barrier: wait_for_completion | module_put":
    "the module's own code that runs is not modelled, but for its callbacks",
  "swap srcu_schedule_cbs_sdp | srcu_gp_end: srcu_gp_start": "the end of the one grace period is behind both",
  "swap srcu_gp_end: srcu_gp_start | srcu_reschedule": rescheduled,
  "wake-early srcu_gp_end: srcu_gp_start": rescheduled,
  "lose-wake-up srcu_gp_end: srcu_gp_start": rescheduled,
  "swap wakeme_after_rcu | rcu_segcblist_add_len": "the waiter is woken a little later",
  "swap srcu_barrier_cb | rcu_segcblist_add_len": "the barrier ends a little later",
  "split rcu_dereference": recorded,
  "split rcu_barrier: wait_for_completion": recorded,
  "split srcu_barrier: wait_for_completion": recorded,
  "split kfree": "the object is the updater's alone: each replaces another one",
  "split rcu_callback": "the object is the callback's alone",
  "split free_module": gone,
  "split cleanup_srcu_struct": gone,
  "wake-early cleanup_srcu_struct": gone,
  "split srcu_invoke_callbacks": found,
  "split process_srcu": found,
  "wake-early srcu_invoke_callbacks": found,
  "wake-early process_srcu": found,
  "split srcu_funnel_gp_start": "who starts a grace period at the same time starts the same one",
  "split rcu_seq_set_state": worker,
  "split srcu_gp_end": worker,
  "split srcu_reschedule": worker,
  "split wakeme_after_rcu":
    "each waiter has a completion of its own in the kernel; only in the model they are in one cell, which one worker writes",
}
