/** What is remembered of a run in which a file is mapped and laid out, as its properties need it. */
import { type Monitor, type Struct, struct } from "../../../checker/index.ts"
import type { XfsInode } from "../../../model/lease/xfsFile.ts"
import { type Content, zeroes } from "../../../model/mm/folio.ts"

export type MappedRecord = {
  /** What was last stored by the process, written by the client, or left by a call: what the file should hold. */
  last: Content
  /** Who has stored or written so far. */
  stored: boolean
  written: boolean
  /** Whether the file has been truncated, or has got a hole, and whether the call left a block behind. */
  truncated: boolean
  punched: boolean
  cut: boolean
  kept: boolean
}

export const mappedRecord = (): Struct<MappedRecord> =>
  struct("record", {
    last: "file",
    stored: false,
    written: false,
    truncated: false,
    punched: false,
    cut: false,
    kept: false,
  })

export const mappedMonitor = (record: Struct<MappedRecord>, { extents }: XfsInode): Monitor => {
  const done = () => {
    record.cut = true
    if (extents.some(({ value }) => value !== null)) record.kept = true
  }
  return {
    user_store: ({ result }) => {
      if (typeof result !== "string") return
      record.last = result
      record.stored = true
    },
    bl_submit_bio: ({ args: [name], result }) => {
      if (result !== true) return
      record.last = String(name)
      record.written = true
    },
    xfs_unmap_extent: () => {
      record.last = zeroes
    },
    "xfs_vn_setattr_size: xfs_iunlock": () => {
      done()
      record.truncated = true
    },
    "xfs_file_fallocate: xfs_iunlock": () => {
      done()
      record.punched = true
    },
  }
}
