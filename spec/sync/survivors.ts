import type { Survivors } from "../../checker/index.ts"

const kept =
  "what the section keeps out is the end of two grace periods between the queueing and the request; nobody else asks for so many"

/** Why mutants of RCU's and SRCU's steps survive. */
export const syncSurvivors: Survivors = {
  "swap mutex_unlock | module_put": "who takes the module down calls srcu_barrier itself first, and waits for the lock",
  "swap __srcu_read_lock: srcu_lock_count | __srcu_read_lock: srcu_idx":
    "a section is open when it is counted: that the next one has looked at the index before is a preemption like any other",
  "swap __srcu_read_lock_nmisafe: srcu_lock_count | srcu_barrier_one_cpu": kept,
  "swap srcu_barrier_one_cpu | __srcu_read_unlock_nmisafe": kept,
}
