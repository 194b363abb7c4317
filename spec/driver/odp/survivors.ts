import type { Survivors } from "../../../checker/index.ts"

/** Why mutants of on-demand paging survive. */
export const odpSurvivors: Survivors = {
  "swap mmu_interval_set_seq | mlx5_ib_invalidate_range":
    "the umem's mutex is held, under which who faults asks for the sequence before anything is mapped",
  "swap mlx5r_deref_wait_odp_mkey: wait_for_completion | mlx5r_umr_update_xlt":
    "the child has left the parent's children before either, and what the entry is put to is read there: a last fault on the child, with a reference of its own, changes nothing of that",
  "swap cache_ent_find_and_store | ib_umem_odp_release":
    "the device has forgotten the key: what becomes of that and of the umem are two things",
}
