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
}

export const deviceMapRecord = (last: Content): Struct<DeviceMapRecord> => {
  const begin: DeviceMapRecord = {
    last,
    stale: false,
    denied: false,
    byCache: false,
    byBlock: false,
    faulted: false,
    revoking: [],
    revoked: false,
    unfinished: false,
  }
  return struct("record", begin)
}

export const deviceMapMonitor = (record: Struct<DeviceMapRecord>, file: MappedFile): Monitor => {
  const loaded = (content: unknown) => {
    if (typeof content === "string" && content !== record.last) record.stale = true
  }
  const stored = (content: unknown) => {
    if (typeof content === "string") record.last = content
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
    truncate_inode_pages: () => stored(zeroes),
    "device_unmap: invalidate": ({ fiber, result }) => {
      if (Array.isArray(result) && result.length > 0) record.revoking = [...record.revoking, fiber].sort()
    },
    device_drain: ({ args }) => {
      const { state } = deviceOf(file, String(args[0]))
      record.revoked = true
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
