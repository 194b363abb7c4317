/** Before blocks go: whoever uses them directly is made to stop (fs/xfs/xfs_pnfs.c, fs/xfs/xfs_file.c). */
import * as Effect from "effect/Effect"
import { enterLoop, guardedStep, procedure, step } from "../../checker/program/index.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { type Broken, breakLease } from "./breakLease.ts"
import type { XfsInode } from "./xfsFile.ts"

/** What an attempt to have the blocks to oneself comes to; `retry` where the lock was dropped. */
type Attempt = Broken | "retry"

/** `break_layout`, of an inode that may never have had leases. */
const breakLayout = ({ leases }: XfsInode, block: boolean): Effect.Effect<Broken> =>
  leases === null ? Effect.succeed<Broken>("0") : breakLease(leases, "layout", "write", block)

/**
 * `xfs_break_leased_layouts`, the IOLOCK held for writing: without waiting; who has to wait does so without the lock, and
 * looks again under it, for another layout may have been granted meanwhile.
 *
 * That a signal ends it is not so in the kernel, where the error of the break that waits is overwritten by the next one's.
 */
const breakLeasedLayouts = procedure(function* (file: XfsInode) {
  const head = yield* enterLoop("xfs_break_leased_layouts")
  let result: Attempt = "0"
  for (;;) {
    yield* head(result)
    const broken: Broken = yield* breakLayout(file, false)
    if (broken !== "-EWOULDBLOCK") return result
    yield* upWrite(file.iolock, "xfs_break_leased_layouts: xfs_iunlock", [file.name])
    const waited: Broken = yield* breakLayout(file, true)
    yield* downWrite(file.iolock, "xfs_break_leased_layouts: xfs_ilock", [file.name])
    const error = yield* step("xfs_break_leased_layouts: error", [file.name, waited], () => waited === "-EINTR")
    if (error) return "-EINTR" as const
    result = "retry"
  }
})

/** `xfs_break_dax_layouts`: waits, without the lock, until nobody has a reference to a block's memory. */
const breakDaxLayouts = procedure(function* (file: XfsInode) {
  const busy = yield* step("dax_layout_busy_page", [file.name], () => file.state.pins > 0)
  if (!busy) return "0" as const
  yield* upWrite(file.iolock, "xfs_wait_dax_page: xfs_iunlock", [file.name])
  yield* guardedStep(
    "xfs_wait_dax_page: schedule",
    [file.name],
    () => file.state.pins === 0,
    () => undefined,
  )
  yield* downWrite(file.iolock, "xfs_wait_dax_page: xfs_ilock", [file.name])
  return "retry" as const
})

/**
 * `xfs_break_layouts`, the IOLOCK held for writing: both kinds, again and again until neither had to drop the lock.
 *
 * @param reason BREAK_UNMAP for those that take blocks away, BREAK_WRITE for those that write
 * @returns 0 or -EINTR
 */
export const xfsBreakLayouts = procedure(function* (file: XfsInode, reason: "BREAK_WRITE" | "BREAK_UNMAP") {
  const head = yield* enterLoop("xfs_break_layouts")
  for (;;) {
    yield* head()
    const dax: Attempt = file.dax && reason === "BREAK_UNMAP" ? yield* breakDaxLayouts(file) : "0"
    const leased: Attempt = yield* breakLeasedLayouts(file)
    if (leased === "-EINTR") return leased
    const again = yield* step("xfs_break_layouts: retry", [file.name], () => dax === "retry" || leased === "retry")
    if (!again) return "0" as const
  }
})
