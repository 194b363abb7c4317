import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of HMM of 2019 survive. */
export const hmm2019Survivors: Survivors = {
  "swap notifiers_decrement | hmm_put":
    "what a last reference frees is freed behind the section in which the callback runs, and nobody has a range any more whose validity were asked",
}
