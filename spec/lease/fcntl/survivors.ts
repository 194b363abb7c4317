import type { Survivors } from "../../../checker/index.ts"

const locked =
  "flc_lock is held from the step before to the one behind, and what else is read, the opens, is looked at behind the insertion"

/** Why mutants of leases survive. */
export const fcntlSurvivors: Survivors = {
  "split generic_add_lease: smp_mb": locked,
  "leave-out do_dentry_open": "it says when the file is open: what an open does to leases is done before",
}
