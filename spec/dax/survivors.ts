import type { Survivors } from "../../checker/index.ts"

/** Why mutants of DAX's steps survive. */
export const daxSurvivors: Survivors = {
  "wake-early vmf_insert_page_mkwrite":
    "the entry is locked and the invalidate lock held until the block is mapped: who looks whether it is busy comes behind that",
}
