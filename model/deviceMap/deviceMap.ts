/**
 * `device_map`: a device that faults on a virtual address of a process asks the VMA's owner, the file system, for the block
 * behind it. To be refused is normal: then the device uses the page cache, as it would without all this.
 */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { assertHeld } from "../sync/holding.ts"
import { mutexLock, mutexUnlock, underMutex } from "../sync/mutex.ts"
import { block, exposeBlock, takeBlock } from "./blockDevice.ts"
import { deviceUnmap } from "./deviceUnmap.ts"
import type { Device, MappedFile } from "./mappedFile.ts"

/** `vm_ops->device_map`, of a file system; `mmap_lock` is held for reading. */
export const deviceMap = procedure(function* (file: MappedFile, device: Device, write: boolean) {
  yield* mutexLock(file.lock)
  const result = yield* mapBlock(file, device, write)
  yield* mutexUnlock(file.lock)
  return result
})

/** The device's page table gets the entry that was granted, if it is valid still: the retry rule of all mirrors. */
export const deviceInstall = (device: Device): Effect.Effect<boolean> =>
  underMutex(device.lock, "device_install", [device.name], () => {
    const { mapping, state } = device
    if (mapping.status !== "granted") return false
    const { window, block, write } = mapping
    state.entry = { window, block, write }
    return true
  })

const mapBlock = procedure(function* (file: MappedFile, device: Device, write: boolean) {
  const extent = yield* step("iomap_begin", [file.name, write], () => {
    assertHeld(file.lock)
    if (file.state.size > 0 && file.state.block === null && (write || file.state.dirty))
      file.state.block = takeBlock(file.bdev, file.name)
    return file.state.block
  })
  if (extent === null || !(yield* mayMap(file, device, write))) return "fall back" as const
  // Its own old one, if it wants to store now: who revokes finds a device by one window only.
  yield* deviceUnmap(file, "mapped anew", (one) => one === device)
  yield* withdrawCopies(file, write)
  if (!file.coherent) yield* deviceUnmap(file, "two devices", (one) => one !== device && one.mapping.write)
  yield* mutexLock(file.bdev.lock)
  const window = yield* step("blkdev_expose", [file.bdev.name, extent], () => exposeBlock(file.bdev, extent))
  if (window !== null) {
    yield* step("device_map", [device.name, write ? "write" : "read"], () => {
      device.mapping.status = "granted"
      device.mapping.write = write
      device.mapping.window = window
      device.mapping.block = extent
    })
  }
  yield* mutexUnlock(file.bdev.lock)
  return window === null ? ("fall back" as const) : ("mapped" as const)
})

/** Whether there is nothing against it: on a fabric without coherence nobody stores to a block that another device maps. */
const mayMap = (file: MappedFile, device: Device, write: boolean): Effect.Effect<boolean> =>
  step("device_map: may map", [device.name, write ? "write" : "read"], () => {
    const others = file.devices.some((one) => one !== device && one.mapping.status !== "none")
    return file.coherent || !write || !others
  })

/** The page cache is a copy: what is dirty of it is written to the block, and a block that a device stores to has none. */
const withdrawCopies = procedure(function* (file: MappedFile, write: boolean) {
  const cached = yield* step("filemap_range_has_page", [file.name], () => file.state.cached !== null)
  if (!cached) return
  yield* writeBack(file)
  if (write) {
    yield* step("invalidate_inode_pages2", [file.name], () => {
      for (const { state } of file.processes) state.pte = "none"
      file.state.cached = null
    })
  }
})

/** `filemap_write_and_wait`, the file's lock held: the page is write-protected wherever it is mapped, and written. */
export const writeBack = procedure(function* (file: MappedFile) {
  yield* step("page_mkclean", [file.name], () => {
    for (const { state } of file.processes) if (state.pte === "write") state.pte = "read"
  })
  yield* step("submit_bio", [file.name], () => {
    const { block: number, cached, dirty } = file.state
    file.state.dirty = false
    if (!dirty || cached === null || number === null) return false
    block(file.bdev, number).content = cached
    return true
  })
})
