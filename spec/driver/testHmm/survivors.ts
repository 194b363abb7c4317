import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the self tests' driver survive. */
export const dmirrorSurvivors: Survivors = {
  "leave-out copy_to_user":
    "what a snapshot says is true of the time at which the mutex is held, and that is when it is looked at; the step only forgets it",
}
