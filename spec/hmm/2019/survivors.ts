import type { Survivors } from "../../../checker/index.ts"

const neighbours =
  "who calls two mirrors has the locks of both for a moment, in the order of the list, and nobody else has two"

/** Why mutants of the steps of HMM of 2019 survive. */
export const hmm2019Survivors: Survivors = {
  "swap mutex_unlock | mutex_lock": neighbours,
  "swap mutex_unlock | mutex_trylock": neighbours,
  "swap notifiers_decrement | hmm_put":
    "what a last reference frees is freed behind the section in which the callback runs, and nobody has a range any more whose validity were asked",
}
