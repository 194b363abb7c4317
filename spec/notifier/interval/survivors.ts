import type { Survivors } from "../../../checker/index.ts"

const spins = "who is not put on the queue does not sleep, and looks at its condition again and again until it is met"

/** Why mutants of the interval notifier's steps survive. */
export const intervalSurvivors: Survivors = {
  "lose-wake-up mmu_interval_read_begin: prepare_to_wait": spins,
  "lose-wake-up mmu_interval_notifier_remove: prepare_to_wait": spins,
  "open-guard mmu_interval_read_begin":
    "the lock is held from one step to the next only behind the bump of the sequence, and what is read is what that wrote",
}
