import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of on-demand paging survive. */
export const odpSurvivors: Survivors = {
  "swap cache_ent_find_and_store | ib_umem_odp_release":
    "the device has forgotten the key: what becomes of that and of the umem are two things",
  "swap mlx5r_deref_odp_mkey | mutex_unlock":
    "who waits for the reference, to deregister the parent, waits a step longer",
}
