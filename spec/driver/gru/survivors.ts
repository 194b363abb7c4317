import type { Survivors } from "../../../checker/index.ts"

const spins = "wait_event looks at its condition again and again: who does not sleep spins until it is met"

/** Why mutants of GRU survive. */
export const gruSurvivors: Survivors = {
  "leave-out gru_user_dropin: schedule": spins,
  "open-guard gru_user_dropin: schedule": spins,
  "lose-wake-up gru_user_dropin: prepare_to_wait": spins,
  "split tgh_invalidate":
    "a fault that is read between the halves finds the invalidation counted; one elsewhere that is made void with it comes again",
  "split gru_load": "a load changes the GRU's own fault handle only, which no driver has before that",
}
