import type { Survivors } from "../../checker/index.ts"

const kept =
  "what the section keeps out is the end of two grace periods between the queueing and the request; nobody else asks for so many"

const startedAnew = "srcu_reschedule, which comes next, looks once more and starts the grace period that is wanted"

/** Why mutants of RCU's and SRCU's steps survive. */
export const syncSurvivors: Survivors = {
  "swap mutex_unlock | module_put": "who takes the module down calls srcu_barrier itself first, and waits for the lock",
  "swap __srcu_read_lock: srcu_lock_count | __srcu_read_lock: srcu_idx":
    "a section is open when it is counted: that the next one has looked at the index before is a preemption like any other",
  "swap mutex_lock | __srcu_read_lock_nmisafe: srcu_idx":
    "no section is open before it is counted, and what the index is by then is a preemption like any other",
  "leave-out srcu_gp_end: srcu_gp_start": startedAnew,
  "lose-wake-up srcu_gp_end: srcu_gp_start": startedAnew,
  "drop-lock mutex_lock(srcu.srcu_barrier_mutex) by rmmod":
    "where rmmod takes it nobody else has a barrier of that struct; where two do, by flusherN, the same mutant is killed",
  "swap __srcu_read_lock_nmisafe: srcu_lock_count | srcu_barrier_one_cpu": kept,
  "swap srcu_barrier_one_cpu | __srcu_read_unlock_nmisafe": kept,
}
