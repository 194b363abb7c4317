/** What goes on at the server itself: truncation, holes, clones and writes (fs/xfs/xfs_iops.c, xfs_file.c, xfs_reflink.c). */
import * as Effect from "effect/Effect"
import { guardedStep, procedure, step } from "../../checker/program/index.ts"
import { truncateInodePages, unmapMappingRange } from "../file/truncate.ts"
import type { Content } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { assertRwsemHeld, downWrite, readWait, upWrite } from "../sync/rwsem.ts"
import { xfsBreakLayouts } from "./xfsBreak.ts"
import { contentOnDisk, type FileMapping, freeBlock, writePage, type XfsInode } from "./xfsFile.ts"

/** What is done under the IOLOCK once nobody uses the blocks directly; -EINTR where a signal came first. */
const withoutLayouts = procedure(function* (
  file: XfsInode,
  name: string,
  reason: "BREAK_WRITE" | "BREAK_UNMAP",
  does: Effect.Effect<void>,
) {
  yield* downWrite(file.iolock, `${name}: xfs_ilock`, [file.name])
  const broken: "0" | "-EINTR" = yield* xfsBreakLayouts(file, reason)
  if (broken === "0") yield* does
  yield* upWrite(file.iolock, `${name}: xfs_iunlock`, [file.name])
  return broken
})

/** `xfs_vn_setattr_size` and `xfs_setattr_size`: the size, what is mapped and cached beyond it, the blocks. */
export const xfsSetattrSize = (file: XfsInode, size: number) => {
  const beyond = { start: size, end: file.extents.length }
  return withoutLayouts(
    file,
    "xfs_vn_setattr_size",
    "BREAK_UNMAP",
    withoutFaults(
      file,
      Effect.gen(function* () {
        yield* step("truncate_setsize", [file.name, size], () => {
          assertSizeLocked(file)
          file.state.size = size
          dropPages(file, beyond)
        })
        if (file.mapping !== null) yield* truncatePagecache(file.mapping, beyond)
        yield* itruncateExtents(file, "xfs_itruncate_extents", beyond, assertSizeLocked)
      }),
    ),
  )
}

/** `xfs_file_fallocate` with FALLOC_FL_PUNCH_HOLE: `xfs_free_file_space`. */
export const xfsPunchHole = (file: XfsInode, hole: Range) =>
  withoutLayouts(
    file,
    "xfs_file_fallocate",
    "BREAK_UNMAP",
    withoutFaults(
      file,
      Effect.gen(function* () {
        yield* step("truncate_pagecache_range", [file.name, hole.start, hole.end], () => dropPages(file, hole))
        if (file.mapping !== null) {
          yield* unmapMappingRange(file.mapping.system, file.mapping.inode, hole, { keepCows: true })
          yield* truncateInodePages(file.mapping.system, file.mapping.inode, hole)
        }
        yield* itruncateExtents(file, "xfs_unmap_extent", hole)
      }),
    ),
  )

/**
 * XFS_MMAPLOCK, where processes map the file. The kernel has it before layouts are broken, and drops it with the IOLOCK to
 * wait for them: to layouts that makes no difference.
 */
const withoutFaults = ({ name, mapping }: XfsInode, does: Effect.Effect<void>): Effect.Effect<void> => {
  if (mapping === null) return does
  const { invalidateLock } = mapping.inode
  return Effect.gen(function* () {
    yield* downWrite(invalidateLock, "filemap_invalidate_lock", [name])
    yield* does
    yield* upWrite(invalidateLock, "filemap_invalidate_unlock", [name])
  })
}

/** `truncate_pagecache`: what is mapped goes, then what is cached, then private copies that a fault has made meanwhile. */
const truncatePagecache = procedure(function* ({ system, inode }: FileMapping, beyond: Range) {
  yield* unmapMappingRange(system, inode, beyond)
  yield* truncateInodePages(system, inode, beyond)
  yield* unmapMappingRange(system, inode, beyond)
})

/** Unmaps pages and takes them out of a page cache that is told in short. Within a step. */
const dropPages = (file: XfsInode, range: Range): void => {
  if (file.mapping !== null) return
  for (const index of pagesOf(range)) {
    at(file.mapped, index).value = false
    at(file.cache, index).value = null
  }
}

/** As `xfs_itruncate_extents` asserts. Within a step. */
const assertIolocked = ({ iolock }: XfsInode): void => assertRwsemHeld(iolock)

/** As `xfs_setattr_size` asserts: the IOLOCK and, where processes map the file, the MMAPLOCK. Within a step. */
const assertSizeLocked = (file: XfsInode): void => {
  assertIolocked(file)
  if (file.mapping !== null) assertRwsemHeld(file.mapping.inode.invalidateLock)
}

/** Gives the blocks of a range back. */
const itruncateExtents = (
  file: XfsInode,
  name: string,
  range: Range,
  expectLocked: (file: XfsInode) => void = assertIolocked,
): Effect.Effect<void> =>
  step(name, [file.name, range.start, range.end], () => {
    expectLocked(file)
    for (const index of pagesOf(range)) {
      const extent = at(file.extents, index)
      if (extent.value === null) continue
      freeBlock(file.mount, extent.value.block)
      extent.value = null
    }
  })

/** `xfs_file_remap_range`: the clone shares the file's blocks, which from then on nobody may write in place. */
export const xfsReflinkRemap = (file: XfsInode, clone: XfsInode) =>
  withoutLayouts(
    file,
    "xfs_file_remap_range",
    "BREAK_WRITE",
    step("xfs_reflink_remap_blocks", [file.name, clone.name], () => {
      for (const [index, page] of file.cache.entries()) {
        if (page.value?.dirty === true && writePage(file, index, page.value.content)) {
          page.value = { ...page.value, dirty: false }
        }
        const target = at(clone.extents, index)
        if (target.value !== null) freeBlock(clone.mount, target.value.block)
        target.value = at(file.extents, index).value
      }
      file.state.reflink = true
      clone.state.reflink = true
      clone.state.size = file.state.size
    }),
  )

/** `xfs_file_buffered_write`: layouts are broken for writes as well, although no block goes. */
export const xfsFileBufferedWrite = (file: XfsInode, index: number, content: Content) =>
  withoutLayouts(
    file,
    "xfs_file_buffered_write",
    "BREAK_WRITE",
    step("iomap_file_buffered_write", [file.name, index, content], () => {
      at(file.cache, index).value = { content, dirty: true }
      file.state.size = Math.max(file.state.size, index + 1)
    }),
  )

/** A store through a shared mapping: `xfs_filemap_page_mkwrite` breaks no layouts. */
export const mmapStore = (file: XfsInode, index: number, content: Content): Effect.Effect<void> =>
  step("mmap_store", [file.name, index, content], () => {
    at(file.cache, index).value = { content, dirty: true }
    at(file.mapped, index).value = true
  })

/** `munmap` of a shared mapping: what was stored stays in the page cache. */
export const munmapFile = (file: XfsInode): Effect.Effect<void> =>
  step("munmap", [file.name], () => {
    file.state.mmapWritable--
    for (const mapped of file.mapped) mapped.value = false
  })

/** `xfs_file_read_iter`: what a process of the server reads, which breaks no layouts. */
export const xfsFileBufferedRead = (file: XfsInode, index: number): Effect.Effect<Content> =>
  guardedStep(
    "xfs_file_buffered_read",
    [file.name, index],
    () => file.iolock.state.writer === "",
    () => {
      const cached = at(file.cache, index)
      cached.value ??= { content: contentOnDisk(file, index), dirty: false }
      return cached.value.content
    },
    readWait(file.iolock),
  )

/** A file that grows by a block, whichever is free. */
export const xfsAppend = (file: XfsInode, content: Content): Effect.Effect<void> =>
  step("xfs_bmapi_write", [file.name, content], () => {
    const index = file.state.size
    if (index < file.extents.length && writePage(file, index, content)) file.state.size = index + 1
  })
