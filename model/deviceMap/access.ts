/** Loads and stores of devices, through their own page tables or by the page cache, and of CPUs, by the page cache. */
import type * as Effect from "effect/Effect"
import { enterLoop, procedure, step } from "../../checker/program/index.ts"
import { type Content, zeroes } from "../mm/folio.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { downRead, upRead } from "../sync/rwsem.ts"
import { block, windowOf } from "./blockDevice.ts"
import { deviceInstall, deviceMap } from "./deviceMap.ts"
import { deviceUnmap } from "./deviceUnmap.ts"
import type { Device, MappedFile, Process } from "./mappedFile.ts"

/** What an access comes to: what was loaded or stored, and by which way; or a signal. */
export type Access =
  | { readonly by: "block" | "page cache"; readonly content: Content }
  | { readonly by: "SIGSEGV" | "SIGBUS" }

/**
 * A device loads, or stores `content`. Where its mapping is gone again before it could use it, it does without: otherwise
 * it and others that want the page could take it from each other for ever.
 */
export const deviceAccess = procedure(function* (file: MappedFile, device: Device, content: Content | null) {
  if (yield* beginTransfer(device, content !== null)) return yield* transfer(file, device, content)
  const fault = yield* deviceFault(file, device, content, true)
  if (fault !== "mapped") return fault
  if (yield* beginTransfer(device, content !== null)) return yield* transfer(file, device, content)
  const again = yield* deviceFault(file, device, content, false)
  return again === "mapped" ? ({ by: "SIGBUS" } satisfies Access) : again
})

/** The device's hardware looks the address up in its page table. */
const beginTransfer = (device: Device, write: boolean): Effect.Effect<boolean> =>
  step("dma_begin", [device.name], () => {
    const { entry } = device.state
    if (entry === null || (write && !entry.write)) return false
    device.state.dma = entry
    return true
  })

/**
 * A device's fault, under mmap_lock: the VMA's owner is asked to map the block, and if it refuses, or is not asked, the
 * access is made by the page cache. The device's page table gets its entry behind that, unless it was revoked meanwhile.
 */
const deviceFault = procedure(function* (file: MappedFile, device: Device, content: Content | null, mayMap: boolean) {
  const { process } = device
  yield* downRead(process.mmapLock, "mmap_read_lock", [process.name])
  const vma = yield* step("find_vma", [process.name], () => process.state.vma)
  let result: Access | "mapped" = { by: "SIGSEGV" }
  if (vma) {
    const asked = mayMap ? yield* deviceMap(file, device, content !== null) : "fall back"
    result = asked === "mapped" ? asked : yield* fallBack(file, device, content)
  }
  yield* upRead(process.mmapLock, "mmap_read_unlock", [process.name])
  if (result === "mapped") yield* deviceInstall(device)
  return result
})

/** A transfer that has begun goes through its window, whatever is behind that. */
const transfer = procedure(function* (file: MappedFile, device: Device, content: Content | null) {
  const { state } = device
  const done =
    content === null
      ? yield* step("dma_read", [device.name], () => {
          const seen = state.line ?? behind(file, device)?.content ?? zeroes
          if (!file.coherent) state.line = seen
          return seen
        })
      : yield* step("dma_write", [device.name, content], () => {
          const target = behind(file, device)
          if (!file.coherent) {
            state.line = content
            state.dirty = true
          } else if (target !== null) target.content = content
          return content
        })
  yield* step("dma_end", [device.name], () => {
    state.dma = null
  })
  return { by: "block", content: done } satisfies Access
})

/** The block behind the window of the transfer. Within a step. */
const behind = (file: MappedFile, { state }: Device) => {
  const number = state.dma === null ? null : windowOf(file.bdev, state.dma.window).block
  return number === null ? null : block(file.bdev, number)
}

/** The device uses the page in the page cache, for one access: how it maps that is told elsewhere (HMM). */
const fallBack = procedure(function* (file: MappedFile, device: Device, content: Content | null) {
  yield* mutexLock(file.lock)
  const there = yield* filemapFault(file, content !== null)
  let access: Access = { by: "SIGBUS" }
  if (there) {
    const name = content === null ? "load by the page cache" : "store by the page cache"
    const done = yield* step(name, [device.name, content], () => {
      if (content !== null) file.state.cached = content
      return file.state.cached ?? zeroes
    })
    access = { by: "page cache", content: done }
  }
  yield* mutexUnlock(file.lock)
  return access
})

/**
 * `filemap_fault` and `page_mkwrite`, the file's lock held: the page is in the page cache, which is a copy of the block; so
 * whoever stores to the block stops before it is made, and whoever maps it at all before the copy is stored to.
 *
 * @returns false beyond the end of the file
 */
const filemapFault = procedure(function* (file: MappedFile, write: boolean) {
  const found = yield* step("filemap_get_folio", [file.name], () =>
    file.state.size === 0 ? "SIGBUS" : file.state.cached === null ? "absent" : "cached",
  )
  if (found === "SIGBUS") return false
  if (write) yield* deviceUnmap(file, "page_mkwrite")
  else if (found === "absent") yield* deviceUnmap(file, "filemap_fault", ({ mapping }) => mapping.write)
  if (found === "absent") {
    yield* step("filemap_read_folio", [file.name], () => {
      file.state.cached = file.state.block === null ? zeroes : block(file.bdev, file.state.block).content
    })
  }
  if (write) {
    yield* step("folio_mark_dirty", [file.name], () => {
      file.state.dirty = true
    })
  }
  return true
})

/** A thread of a process loads, or stores `content`. */
export const userAccess = procedure(function* (file: MappedFile, process: Process, content: Content | null) {
  const head = yield* enterLoop("user_access")
  for (;;) {
    yield* head()
    const name = content === null ? "user_load" : "user_store"
    const done = yield* step(name, [process.name, content], () => {
      const { pte } = process.state
      if (pte === "none" || (content !== null && pte !== "write")) return null
      if (content !== null) file.state.cached = content
      return file.state.cached ?? zeroes
    })
    if (done !== null) return { by: "page cache", content: done } satisfies Access
    const fault = yield* userFault(file, process, content !== null)
    if (fault !== "done") return { by: fault } satisfies Access
  }
})

const userFault = procedure(function* (file: MappedFile, process: Process, write: boolean) {
  yield* downRead(process.mmapLock, "mmap_read_lock", [process.name])
  const vma = yield* step("find_vma", [process.name], () => process.state.vma)
  let result: "done" | "SIGSEGV" | "SIGBUS" = "SIGSEGV"
  if (vma) {
    yield* mutexLock(file.lock)
    const there = yield* filemapFault(file, write)
    if (there) {
      yield* step("finish_fault", [process.name, write], () => {
        process.state.pte = write ? "write" : "read"
      })
    }
    yield* mutexUnlock(file.lock)
    result = there ? "done" : "SIGBUS"
  }
  yield* upRead(process.mmapLock, "mmap_read_unlock", [process.name])
  return result
})
