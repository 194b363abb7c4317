/** Handing out blocks (fs/xfs/xfs_pnfs.c): what a server of files lets clients do behind its back, and takes note of. */
import type * as Effect from "effect/Effect"
import { choose, procedure, step } from "../../checker/program/index.ts"
import { invalidateInodePages2 as invalidateMapped } from "../file/invalidate.ts"
import { writeback } from "../file/writeback.ts"
import { at } from "../mm/range.ts"
import { assertRwsemHeld, downWrite, upWrite } from "../sync/rwsem.ts"
import { allocBlock, type Extent, writePage, type XfsInode, type XfsMount } from "./xfsFile.ts"

/** What the client is told of a block of a file; `extent` is `null` for a hole. */
export type Iomap = { readonly index: number; readonly extent: Extent | null; readonly generation: number }

/** `xfs_fs_get_uuid`: which device it is, of which generation. */
export const xfsFsGetUuid = ({ state }: XfsMount): Effect.Effect<number> =>
  step("xfs_fs_get_uuid", [], () => state.generation)

/** `filemap_write_and_wait`: what is dirty goes to the disk; it stays mapped, clean. */
const filemapWriteAndWait = procedure(function* (file: XfsInode) {
  const { mapping } = file
  if (mapping === null) yield* writeCached(file)
  else for (const index of mapping.inode.cache.keys()) yield* writeback(mapping.system, mapping.inode, index)
})

/** @returns how many pages it wrote */
const writeCached = (file: XfsInode): Effect.Effect<number> =>
  step("filemap_write_and_wait", [file.name], () => {
    let written = 0
    for (const [index, page] of file.cache.entries()) {
      if (page.value?.dirty !== true || !writePage(file, index, page.value.content)) continue
      page.value = { ...page.value, dirty: false }
      at(file.mapped, index).value = false
      written++
    }
    return written
  })

/** `invalidate_inode_pages2`: unmaps and drops what is cached, all but what was made dirty again; whether that was all. */
const invalidateInodePages2 = ({ mapping, ...file }: XfsInode): Effect.Effect<boolean> =>
  mapping === null ? dropCached(file) : invalidateMapped(mapping.system, mapping.inode)

const dropCached = (file: Omit<XfsInode, "mapping">): Effect.Effect<boolean> =>
  step("invalidate_inode_pages2", [file.name], () => {
    for (const [index, page] of file.cache.entries()) {
      at(file.mapped, index).value = false
      if (page.value?.dirty === false) page.value = null
    }
    return file.cache.every(({ value }) => value === null)
  })

/** `mapping_writably_mapped`. Within a step. */
const isWritablyMapped = ({ name, state, mapping }: XfsInode): boolean => {
  if (mapping === null) return state.mmapWritable > 0
  const areas = [...mapping.system.mms.values()].flatMap(({ vma }) => vma.map(({ value }) => value))
  return areas.some((vma) => vma !== null && vma.file === name && vma.shared && vma.prot === "rw")
}

/** What can go wrong: a file system that was shut down, a file that cannot be exported, one in use, no room. */
export type MapError = "-EIO" | "-ENXIO" | "-EBUSY" | "-ENOSPC"

/**
 * `xfs_fs_map_blocks`: with nothing of the file in the page cache and, for writes, a block that will be there after a
 * crash as well.
 *
 * @param mayFail whether to explore that pages could not be invalidated
 */
export const xfsFsMapBlocks = procedure(function* (file: XfsInode, index: number, write: boolean, mayFail: boolean) {
  const { state } = file
  const unfit = yield* step("xfs_fs_map_blocks: xfs_is_reflink_inode", [file.name], (): MapError | null =>
    file.mount.state.shutdown ? "-EIO" : state.realtime || state.reflink ? "-ENXIO" : null,
  )
  if (unfit !== null) return unfit
  yield* downWrite(file.iolock, "xfs_fs_map_blocks: xfs_ilock", [file.name])
  const mapped: Iomap | MapError = yield* mapLocked(file, index, write, mayFail)
  if (typeof mapped === "string") {
    yield* upWrite(file.iolock, "xfs_fs_map_blocks: out_unlock", [file.name])
    return mapped
  }
  yield* upWrite(file.iolock, "xfs_fs_map_blocks: xfs_iunlock", [file.name])
  return mapped
})

/** What `xfs_fs_map_blocks` does under the IOLOCK. */
const mapLocked = procedure(function* (file: XfsInode, index: number, write: boolean, mayFail: boolean) {
  const { state, mount } = file
  // Not in the kernel, where stores through mmap are not synchronised with layouts at all. And it looks at the flag of
  // shared blocks before it has the lock, so that a clone may come between.
  const refused = yield* step("xfs_fs_map_blocks: recheck", [file.name], (): MapError | null => {
    assertRwsemHeld(file.iolock)
    return state.reflink ? "-ENXIO" : isWritablyMapped(file) ? "-EBUSY" : null
  })
  if (refused !== null) return refused
  yield* filemapWriteAndWait(file)
  const invalidated = yield* invalidateInodePages2(file)
  const fails = mayFail && (yield* choose("invalidate_inode_pages2: fails", [false, true]))
  if (!invalidated || fails) return "-EBUSY" as const
  return yield* step("xfs_bmapi_read", [file.name, index, write], () => {
    const extent = at(file.extents, index)
    if (extent.value === null && write) {
      // xfs_iomap_write_direct, and xfs_log_force_inode for it.
      const block = allocBlock(mount)
      if (block === null) return "-ENOSPC" as const
      extent.value = { block, unwritten: true }
    }
    return { index, extent: extent.value, generation: mount.state.generation }
  })
})

/**
 * `xfs_fs_commit_blocks`: what the client has written is no longer read as zeroes, and the file may have grown.
 *
 * @param size what the client says that the file's size is now, in blocks; `null` where it does not change it
 * @returns 0 or -EIO
 */
export const xfsFsCommitBlocks = procedure(function* (
  file: XfsInode,
  indices: ReadonlyArray<number>,
  size: number | null,
) {
  const { state } = file
  yield* downWrite(file.iolock, "xfs_fs_commit_blocks: xfs_ilock", [file.name])
  if (file.mapping !== null) yield* invalidateInodePages2(file)
  const grows = yield* step("xfs_iomap_write_unwritten", [file.name, ...indices], () => {
    assertRwsemHeld(file.iolock)
    const limit = Math.max(state.size, size ?? 0)
    for (const index of indices) {
      const extent = at(file.extents, index)
      if (index >= limit || extent.value === null) continue
      if (file.mapping === null) at(file.cache, index).value = null
      extent.value = { ...extent.value, unwritten: false }
    }
    return size !== null && size > state.size
  })
  const valid = size === null || !grows || (yield* validateIsize(file, size))
  if (valid && size !== null && grows) {
    yield* step("xfs_fs_commit_blocks: xfs_trans_commit", [file.name, size], () => {
      state.size = size
    })
  }
  yield* upWrite(file.iolock, "xfs_fs_commit_blocks: out_drop_iolock", [file.name])
  return valid ? ("0" as const) : ("-EIO" as const)
})

/** `xfs_pnfs_validate_isize`: the last block is there and has been written. */
const validateIsize = (file: XfsInode, size: number): Effect.Effect<boolean> =>
  step("xfs_pnfs_validate_isize", [file.name, size], () => isWritten(file, size))

/** Whether a file of that size would end inside a written extent. */
export const isWritten = ({ extents }: XfsInode, size: number): boolean => extents[size - 1]?.value?.unwritten === false
