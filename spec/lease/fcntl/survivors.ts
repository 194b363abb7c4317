import type { Survivors } from "../../../checker/index.ts"

const locked =
  "flc_lock is held from the step before to the one behind, and what else is read, the opens, is looked at behind the insertion"

/** Why mutants of leases survive. */
export const fcntlSurvivors: Survivors = {
  "split generic_add_lease: smp_mb": locked,
}
