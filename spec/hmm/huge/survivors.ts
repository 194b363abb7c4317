import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of huge mappings survive. */
export const hmmHugeSurvivors: Survivors = {
  "leave-out __split_huge_pmd_locked":
    "the page stays huge, and the process and the device take it from each other for longer than executions are followed",
}
