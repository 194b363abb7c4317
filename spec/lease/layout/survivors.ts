import type { Survivors } from "../../../checker/index.ts"

const later = "a reference that is put a step later keeps the lease that much longer, and who breaks it waits for that"

/** Why mutants of layouts survive. */
export const layoutSurvivors: Survivors = {
  "swap xfs_break_leased_layouts: xfs_iunlock | break_lease: list_empty_careful":
    "what is there is looked at once more under flc_lock, and all of it again with the IOLOCK",
  "swap nfs4_put_stid | pnfs_layoutreturn_done": later,
  "swap bl_end_io | pnfs_layoutcommit_inode":
    "a write that ends behind the commit is committed with the next one, at the latest when the layout is returned",
  "split nfsd4_layoutget: fi_lo_recalls":
    "a recall that comes in between is met where the layout is inserted, as one is that comes behind the look",
  "split nfsd4_layout_fence_worker: nfsd4_close_layout":
    "no lease is granted while another is pending, so that none is lost; one that is given back meanwhile goes when it is overdue",
}
