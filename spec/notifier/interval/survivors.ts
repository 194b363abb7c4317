import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the interval notifier's steps survive. */
export const intervalSurvivors: Survivors = {
  "open-guard mmu_interval_read_begin":
    "the lock is held from one step to the next only behind the bump of the sequence, and what is read is what that wrote",
}
