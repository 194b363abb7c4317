import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of the steps of buffer objects survive. */
export const ttmSurvivors: Survivors = {
  "leave-out gpu_store": "what a job stores is the program's that submits it: one that stores nothing is allowed",
}
