/**
 * Whose a block is, where files are written without the page cache: page faults of DAX (fs/dax.c, fs/xfs/xfs_iomap.c)
 * against truncation, and direct writes to blocks that files share (fs/xfs/xfs_reflink.c). Entries of the process's page
 * table name the blocks themselves.
 */
import { type Cell, enterLoop, guardedStep, procedure, step } from "../../checker/program/index.ts"
import { type Content, zeroes } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import { assertRwsemHeld, downRead, downWrite, type RwSem, upRead, upWrite } from "../sync/rwsem.ts"
import { allocBlock, freeBlock, type XfsInode } from "./xfsFile.ts"

/** A file that is mapped by a process: its `invalidate_lock` (XFS_MMAPLOCK), its entries by page, ILOCK, and its CoW fork. */
export interface DaxFile {
  readonly inode: XfsInode
  readonly invalidateLock: RwSem
  readonly ilock: RwSem
  readonly pte: ReadonlyArray<Cell<number | null>>
  /** `i_cowfp`: the copies of shared blocks that are being written, and not the file's yet. Under ILOCK. */
  readonly cow: ReadonlyArray<Cell<number | null>>
}

/** `dax_iomap_pte_fault` for a store, and the store: the block is looked up, made if it is not there, and mapped. */
export const daxStore = procedure(function* (file: DaxFile, index: number, content: Content) {
  const { inode, pte } = file
  const { blocks } = inode.mount.device
  const head = yield* enterLoop("dax_store")
  for (;;) {
    yield* head()
    const stored = yield* step("user_store", [inode.name, index, content], () => {
      const block = at(pte, index).value
      if (block === null) return false
      at(blocks, block).value = content
      return true
    })
    if (stored) return true
    yield* downRead(file.invalidateLock, "filemap_invalidate_lock_shared", [inode.name])
    const block = yield* getBlock(file, index)
    if (block !== null) {
      yield* step("dax_insert_pfn_mkwrite", [inode.name, index, block], () => {
        at(pte, index).value ??= block
      })
    }
    yield* upRead(file.invalidateLock, "filemap_invalidate_unlock_shared", [inode.name])
    if (block === null) return false
  }
})

/**
 * `xfs_direct_write_iomap_begin` and `xfs_iomap_write_direct`: a block that is new is zeroed before anybody else can find
 * it, under the lock under which it was missing.
 *
 * @returns `null` behind the end of the file
 */
const getBlock = procedure(function* ({ inode, ilock }: DaxFile, index: number) {
  const { extents, mount } = inode
  const found = yield* guardedStep(
    "xfs_bmapi_read",
    [inode.name, index],
    () => ilock.state.writer === "",
    () => (index < inode.state.size ? { block: at(extents, index).value?.block ?? null } : null),
  )
  if (found === null || found.block !== null) return found?.block ?? null
  yield* downWrite(ilock, "xfs_trans_alloc_inode", [inode.name])
  const made = yield* step("xfs_bmapi_write", [inode.name, index], () => {
    const extent = at(extents, index)
    const old = extent.value?.block
    const block = old ?? allocBlock(mount)
    if (block !== null) extent.value = { block, unwritten: false }
    return block === null ? null : { block, fresh: old === undefined }
  })
  if (made?.fresh === true) {
    yield* step("dax_zero_page_range", [inode.name, made.block], () => {
      at(mount.device.blocks, made.block).value = zeroes
    })
  }
  yield* upWrite(ilock, "xfs_trans_commit", [inode.name])
  return made?.block ?? null
})

/** Truncation to nothing: no fault from before the entries are cleared until the blocks are free. */
export const daxTruncate = procedure(function* ({ inode, invalidateLock, pte }: DaxFile) {
  yield* downWrite(invalidateLock, "filemap_invalidate_lock", [inode.name])
  yield* step("i_size_write", [inode.name, 0], () => {
    assertRwsemHeld(invalidateLock)
    inode.state.size = 0
  })
  yield* step("unmap_mapping_range", [inode.name], () => {
    for (const entry of pte) entry.value = null
  })
  yield* step("xfs_itruncate_extents", [inode.name], () => {
    for (const extent of inode.extents) {
      if (extent.value !== null) freeBlock(inode.mount, extent.value.block)
      extent.value = null
    }
  })
  yield* upWrite(invalidateLock, "filemap_invalidate_unlock", [inode.name])
})

/**
 * A direct write to a block that another file may share (`xfs_direct_write_iomap_begin`, `xfs_reflink_allocate_cow`): a
 * shared one is not written in place, but a copy of it, which becomes the file's when it has been written. For the room
 * that a copy takes ILOCK has to be dropped, so that who writes to the same block at the same time, the IOLOCK being
 * shared, may have had it copied meanwhile, or be through with that: both forks are looked at again.
 *
 * @param sharers the other files of the file system
 */
export const directWrite = procedure(function* (
  { inode, ilock, cow }: DaxFile,
  index: number,
  content: Content,
  sharers: ReadonlyArray<XfsInode>,
) {
  const { extents, mount } = inode
  // The reference count of the block.
  const isShared = (block: number) =>
    [inode, ...sharers].filter((each) => each.extents.some(({ value }) => value?.block === block)).length > 1
  const extentAt = () => at(extents, index).value?.block ?? null
  const findCow = (name: string) => step(name, [inode.name, index], () => at(cow, index).value)
  yield* downWrite(ilock, "xfs_ilock_for_iomap", [inode.name])
  const first = yield* step("xfs_bmapi_read: imap", [inode.name, index], () => {
    assertRwsemHeld(ilock)
    const block = extentAt()
    return block === null ? null : { block, shared: isShared(block) }
  })
  let copy = first?.shared === true ? yield* findCow("xfs_find_trim_cow_extent") : null
  let block = first?.block ?? null
  if (first?.shared === true && copy === null) {
    yield* upWrite(ilock, "xfs_reflink_fill_cow_hole: xfs_iunlock", [inode.name])
    yield* downWrite(ilock, "xfs_trans_alloc_inode", [inode.name])
    block = yield* step("xfs_reflink_fill_cow_hole: xfs_bmapi_read", [inode.name, index], extentAt)
    const known = block
    copy = yield* findCow("xfs_reflink_fill_cow_hole: xfs_find_trim_cow_extent")
    copy ??= yield* step("xfs_reflink_trim_around_shared", [inode.name, index, known], () => {
      const fresh = known !== null && isShared(known) ? allocBlock(mount) : null
      if (fresh !== null) at(cow, index).value = fresh
      return fresh
    })
  }
  yield* upWrite(ilock, "xfs_direct_write_iomap_begin: xfs_iunlock", [inode.name])
  const target = copy ?? block
  if (target === null) return
  yield* step("submit_bio", [inode.name, target, content], () => {
    at(mount.device.blocks, target).value = content
  })
  if (copy !== null) yield* reflinkEndCow({ inode, ilock, cow }, index, isShared)
})

/** `xfs_reflink_end_cow`, when the copy has been written: it is the file's now, and the old block one file less has. */
const reflinkEndCow = procedure(function* (
  { inode, ilock, cow }: Pick<DaxFile, "inode" | "ilock" | "cow">,
  index: number,
  isShared: (block: number) => boolean,
) {
  yield* downWrite(ilock, "xfs_reflink_end_cow: xfs_ilock", [inode.name])
  yield* step("xfs_reflink_end_cow", [inode.name, index], () => {
    const copy = at(cow, index)
    const extent = at(inode.extents, index)
    // Another that wrote to the same copy may have been first.
    if (copy.value === null) return
    const old = extent.value?.block
    if (old !== undefined && !isShared(old)) freeBlock(inode.mount, old)
    extent.value = { block: copy.value, unwritten: false }
    copy.value = null
  })
  yield* upWrite(ilock, "xfs_reflink_end_cow: xfs_iunlock", [inode.name])
})
