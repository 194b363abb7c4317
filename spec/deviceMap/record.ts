/** What is remembered of a run with device mappings, as its properties need it. */
import { type Monitor, type Struct, struct } from "../../checker/index.ts"
import { deviceOf, type MappedFile } from "../../model/deviceMap/mappedFile.ts"
import { type Content, zeroes } from "../../model/mm/folio.ts"

export type DeviceMapRecord = {
  /** What was stored to the page last. */
  last: Content
  /** A load returned something else. */
  stale: boolean
  /** An access was denied although the page is there. */
  denied: boolean
  /** Whether the file has been truncated to nothing, and whether the page was loaded or stored to behind that. */
  truncated: boolean
  beyond: boolean
  /** Whether accesses went by the page cache, and by the block. */
  byCache: boolean
  byBlock: boolean
  /** Whether anybody has wanted the page in the page cache. */
  faulted: boolean
  /** Revocations under way, by fiber. */
  revoking: ReadonlyArray<string>
  /** Whether any has been done; whether one returned although the device could go on. */
  revoked: boolean
  unfinished: boolean
  /** Devices with a mapping that was granted and that nobody has revoked; whether one of them could not use it. */
  granted: ReadonlyArray<string>
  lost: boolean
  /** Whether the block device has wanted another block behind a window. */
  moved: boolean
  /** Processes that have unmapped the address. */
  unmapped: ReadonlyArray<string>
}

export const deviceMapRecord = (last: Content): Struct<DeviceMapRecord> => {
  const begin: DeviceMapRecord = {
    last,
    stale: false,
    denied: false,
    truncated: false,
    beyond: false,
    byCache: false,
    byBlock: false,
    faulted: false,
    revoking: [],
    revoked: false,
    unfinished: false,
    granted: [],
    lost: false,
    moved: false,
    unmapped: [],
  }
  return struct("record", begin)
}

export const deviceMapMonitor = (record: Struct<DeviceMapRecord>, file: MappedFile): Monitor => {
  const loaded = (content: unknown) => {
    if (typeof content !== "string") return
    if (content !== record.last) record.stale = true
    if (record.truncated) record.beyond = true
  }
  const stored = (content: unknown) => {
    if (typeof content !== "string") return
    record.last = content
    if (record.truncated) record.beyond = true
  }
  return {
    dma_read: ({ result }) => loaded(result),
    dma_write: ({ result }) => stored(result),
    user_load: ({ result }) => loaded(result),
    user_store: ({ result }) => stored(result),
    "load by the page cache": ({ result }) => loaded(result),
    "store by the page cache": ({ result }) => stored(result),
    filemap_get_folio: () => {
      record.faulted = true
    },
    truncate_inode_pages: ({ args }) => {
      record.last = zeroes
      if (args[1] === "ftruncate") record.truncated = true
    },
    mmap_write_unlock: ({ args }) => {
      record.unmapped = [...record.unmapped, String(args[0])].sort()
    },
    "device_unmap: invalidate": ({ fiber, result }) => {
      if (!Array.isArray(result) || result.length === 0) return
      record.revoking = [...record.revoking, fiber].sort()
      record.granted = record.granted.filter((name) => !result.includes(name))
    },
    blkdev_expose: ({ fiber, result }) => {
      if (result !== null) record.granted = [...record.granted, fiber].sort()
    },
    device_install: ({ fiber, result }) => {
      if (result !== true && record.granted.includes(fiber)) record.lost = true
    },
    "blkdev_move_window: begin": () => {
      record.moved = true
    },
    device_drain: ({ args }) => {
      const { name, state } = deviceOf(file, String(args[0]))
      record.revoked = true
      record.granted = record.granted.filter((other) => other !== name)
      if (state.entry !== null || state.dma !== null) record.unfinished = true
    },
    "device_unmap: done": ({ fiber }) => {
      record.revoking = record.revoking.filter((name) => name !== fiber)
    },
    "device_access: done": ({ args }) => {
      const [name, by] = args
      if (by === "page cache") record.byCache = true
      if (by === "block") record.byBlock = true
      if (by === "SIGBUS" && file.state.size > 0) record.denied = true
      if (by === "SIGSEGV" && deviceOf(file, String(name)).process.state.vma) record.denied = true
    },
  }
}
