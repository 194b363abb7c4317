/** All those in the kernel who take blocks, windows or addresses back. */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { assertHeld } from "../sync/holding.ts"
import { mutexLock, mutexUnlock, underMutex } from "../sync/mutex.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { block, takeBlock, windowOf } from "./blockDevice.ts"
import { writeBack } from "./deviceMap.ts"
import { deviceUnmap } from "./deviceUnmap.ts"
import type { Device, MappedFile, Process } from "./mappedFile.ts"

/** `ftruncate` to nothing. */
export const truncateMapped = procedure(function* (file: MappedFile) {
  yield* mutexLock(file.lock)
  yield* step("i_size_write", [file.name, 0], () => {
    assertHeld(file.lock)
    file.state.size = 0
  })
  yield* removeBlock(file, "ftruncate")
  yield* mutexUnlock(file.lock)
})

/** `fallocate(FALLOC_FL_PUNCH_HOLE)` */
export const punchMapped = procedure(function* (file: MappedFile) {
  yield* mutexLock(file.lock)
  yield* removeBlock(file, "fallocate")
  yield* mutexUnlock(file.lock)
})

/** What CPUs map goes, what devices map goes, what is cached goes; then the block is free. */
const removeBlock = procedure(function* (file: MappedFile, reason: string) {
  yield* step("unmap_mapping_range", [file.name], () => {
    for (const { state } of file.processes) state.pte = "none"
  })
  yield* deviceUnmap(file, reason)
  yield* step("truncate_inode_pages", [file.name, reason], () => {
    file.state.cached = null
    file.state.dirty = false
  })
  yield* freeBlock(file, (old) => {
    if (old !== null) file.state.block = null
  })
})

/** The file gets another block, or none; the old one is free, and shown by no window. */
const freeBlock = (file: MappedFile, replace: (old: number | null) => void): Effect.Effect<void> =>
  underMutex(file.bdev.lock, "free_blocks", [file.name], () => {
    const old = file.state.block
    replace(old)
    if (old === null || file.state.block === old) return
    block(file.bdev, old).owner = ""
    for (const window of file.bdev.windows) if (window.block === old && !window.moving) window.block = null
  })

/** Writeback of a file system that writes elsewhere (copy on write, logs): the page gets another block. */
export const relocateMapped = procedure(function* (file: MappedFile) {
  yield* mutexLock(file.lock)
  yield* deviceUnmap(file, "writeback")
  yield* writeBack(file)
  yield* freeBlock(file, (old) => {
    const fresh = old === null ? null : takeBlock(file.bdev, file.name)
    if (old === null || fresh === null) return
    block(file.bdev, fresh).content = block(file.bdev, old).content
    file.state.block = fresh
  })
  yield* mutexUnlock(file.lock)
})

/**
 * The block device wants a window for another block. It knows no files: a helper, which does, revokes what goes through
 * the window. No lock of the file system is needed; the mark keeps the window from being given out.
 */
export const moveWindow = procedure(function* (file: MappedFile, window: number, toBlock: number) {
  const { bdev } = file
  yield* underMutex(bdev.lock, "blkdev_move_window: begin", [bdev.name, window], () => {
    windowOf(bdev, window).moving = true
  })
  yield* deviceUnmap(file, "BAR", ({ mapping }) => mapping.window === window)
  yield* underMutex(bdev.lock, "blkdev_move_window: program", [bdev.name, window, toBlock], () => {
    const moved = windowOf(bdev, window)
    moved.block = toBlock
    moved.moving = false
  })
})

/** Memory pressure: the driver's page tables are to be had back. Nothing keeps the device from faulting again. */
export const shrinkDevice = (file: MappedFile, device: Device): Effect.Effect<void> =>
  deviceUnmap(file, "shrinker", (one) => one === device)

/** `munmap`, and what of it concerns devices that work on the process. */
export const munmapMapped = procedure(function* (file: MappedFile, process: Process) {
  yield* downWrite(process.mmapLock, "mmap_write_lock", [process.name])
  yield* step("unmap_vmas", [process.name], () => {
    process.state.vma = false
    process.state.pte = "none"
  })
  yield* deviceUnmap(file, "munmap", (one) => one.process === process)
  yield* upWrite(process.mmapLock, "mmap_write_unlock", [process.name])
})
