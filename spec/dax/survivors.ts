import type { Survivors } from "../../checker/index.ts"

/** Why mutants of DAX's steps survive. */
export const daxSurvivors: Survivors = {
  "swap dax_delete_mapping_entry | xfs_bunmapi":
    "the invalidate lock is held for writing, without which nobody faults and nobody else truncates",
}
