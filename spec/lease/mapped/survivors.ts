import type { Survivors } from "../../../checker/index.ts"

const released = "of two locks that are given up one after the other it does not matter which is the first"
const alone = "whoever changes the file's blocks holds the IOLOCK for writing, and no client has a layout any more"

/** Why mutants of mapped files survive. */
export const mappedSurvivors: Survivors = {
  "swap truncate_setsize | unmap_mapping_range":
    "a page that a fault maps again before it sees the new size is unmapped once more when it leaves the page cache",
  "swap i_mmap_unlock_read | xfs_itruncate_extents": "i_mmap_rwsem keeps nobody from the blocks, nor needs them",
  "swap filemap_invalidate_unlock | xfs_vn_setattr_size: xfs_iunlock": released,
  "swap filemap_invalidate_unlock | xfs_file_fallocate: xfs_iunlock": released,
  "swap truncate_inode_folio | xfs_unmap_extent":
    "the page is locked, unmapped and clean, and the invalidate lock keeps others from reading the block anew",
  "split xfs_itruncate_extents": alone,
  "split xfs_unmap_extent": alone,
  "split filemap_invalidate_unlock": "only who holds the lock changes who that is: it is given up a step later",
}
