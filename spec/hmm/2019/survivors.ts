import type { Survivors } from "../../../checker/index.ts"

const spins = "wait_event looks at its condition again and again: who does not sleep spins until it is met"

/** Why mutants of the steps of HMM of 2019 survive. */
export const hmm2019Survivors: Survivors = {
  "leave-out hmm_range_wait_until_valid: schedule": spins,
  "open-guard hmm_range_wait_until_valid: schedule": spins,
  "lose-wake-up hmm_range_wait_until_valid: prepare_to_wait": spins,
  "drop-lock mutex_lock(gpu#.update) by exit":
    "a range keeps the process from exiting, so that nobody faults while it does: who has the lock then drops what the device maps, too",
}
