/** Truncation and hole punching of a DAX file (fs/xfs/xfs_iops.c: xfs_setattr_size; fs/xfs/xfs_file.c: xfs_file_fallocate). */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import type { Inode } from "../file/inode.ts"
import { unmapMappingRange } from "../file/truncate.ts"
import { pagesOf, type Range } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { daxBreakLayout } from "./breakLayout.ts"
import { blockOf, type DaxMapping, daxPage } from "./daxMapping.ts"

/** `xfs_vn_setattr_size`: layouts are broken, then the size is stored, what is mapped beyond it goes, then the blocks. */
export const daxTruncate = procedure(function* (system: System, file: Inode, dax: DaxMapping, size: number) {
  const beyond = { start: size, end: dax.pages.length }
  yield* mutexLock(file.lock)
  yield* downWrite(file.invalidateLock, "filemap_invalidate_lock", [file.name])
  yield* daxBreakLayout(system, file, dax, beyond)
  yield* step("i_size_write", [file.name, size], () => {
    file.state.size = size
  })
  // Private copies too. All faults of a DAX file are kept out, so once is enough.
  yield* unmapMappingRange(system, file, beyond)
  yield* freeExtents(file, dax, beyond)
  yield* upWrite(file.invalidateLock, "filemap_invalidate_unlock", [file.name])
  yield* mutexUnlock(file.lock)
})

/** `fallocate(FALLOC_FL_PUNCH_HOLE)`: private copies stay. */
export const daxPunchHole = procedure(function* (system: System, file: Inode, dax: DaxMapping, hole: Range) {
  yield* mutexLock(file.lock)
  yield* downWrite(file.invalidateLock, "filemap_invalidate_lock", [file.name])
  yield* daxBreakLayout(system, file, dax, hole)
  yield* freeExtents(file, dax, hole)
  yield* upWrite(file.invalidateLock, "filemap_invalidate_unlock", [file.name])
  yield* mutexUnlock(file.lock)
})

/** `xfs_bunmapi`: the blocks are free, for any file. */
const freeExtents = (file: Inode, dax: DaxMapping, range: Range): Effect.Effect<void> =>
  step("xfs_bunmapi", [file.name, range.start, range.end], () => {
    for (const index of pagesOf(range)) {
      const page = daxPage(dax, index)
      if (page.extent !== null) blockOf(dax.device, page.extent).state.owner = ""
      page.extent = null
    }
  })
