/** What is remembered of a run with a DAX file, as its properties need it. */
import { type Monitor, type Struct, struct } from "../../checker/index.ts"
import type { DaxMapping } from "../../model/dax/daxMapping.ts"
import type { Inode } from "../../model/file/inode.ts"
import { type Content, zeroes } from "../../model/mm/folio.ts"

export type DaxRecord = {
  /** What the page of the file holds, and the private copy of it if one was stored to. */
  shared: Content
  copy: Content | null
  /** A load returned something else. */
  lost: boolean
  lostCopy: boolean
  /** Since the last look for busy blocks, somebody has mapped or pinned one. */
  newSinceScan: boolean
  /** Blocks were freed then. */
  freedUnscanned: boolean
  /** A page beyond the end of the file was mapped. */
  beyond: boolean
  /** Whether the file system sleeps until a block is idle. */
  waiting: boolean
  /** Whether it has slept. */
  slept: boolean
  /** How many pins for good there were, and of blocks. */
  asked: number
  longterm: number
}

export const daxRecord = (contents: Content): Struct<DaxRecord> =>
  struct<DaxRecord>("record", {
    shared: contents,
    copy: null,
    lost: false,
    lostCopy: false,
    newSinceScan: false,
    freedUnscanned: false,
    beyond: false,
    waiting: false,
    slept: false,
    asked: 0,
    longterm: 0,
  })

/** @param mappingOf what the process of that name has mapped: the file, privately or not, or another one */
export const daxMonitor = (
  record: Struct<DaxRecord>,
  file: Inode,
  dax: DaxMapping,
  mappingOf: (mm: string) => "shared" | "private" | "other",
): Monitor => {
  const inserted = (mm: unknown, result: unknown) => {
    if (result !== true || mappingOf(String(mm)) === "other") return
    record.newSinceScan = true
    if (file.state.size < dax.pages.length) record.beyond = true
  }
  return {
    user_store: ({ args, result }) => {
      const mapping = mappingOf(String(args[0]))
      if (typeof result !== "string" || mapping === "other") return
      record[mapping === "private" ? "copy" : "shared"] = result
    },
    user_load: ({ args, result }) => {
      const mapping = mappingOf(String(args[0]))
      if (typeof result !== "string" || mapping === "other") return
      const copied = mapping === "private" && record.copy !== null
      if (copied && result !== record.copy) record.lostCopy = true
      if (!copied && result !== record.shared) record.lost = true
    },
    dma_write: ({ args }) => {
      record.shared = String(args[1])
    },
    dax_busy_page: () => {
      record.newSinceScan = false
    },
    vmf_insert_page_mkwrite: ({ args, result }) => inserted(args[0], result),
    vmf_insert_mixed: ({ args, result }) => inserted(args[0], result),
    "gup_fast_pte_range: recheck": ({ result }) => {
      if (result === true) record.newSinceScan = true
    },
    dax_delete_mapping_entry: () => {
      if (record.newSinceScan) record.freedUnscanned = true
    },
    xfs_bunmapi: () => {
      record.shared = zeroes
      if (record.newSinceScan) record.freedUnscanned = true
    },
    "wait_page_idle: dax_page_is_idle": ({ result }) => {
      record.waiting = result === false
    },
    "xfs_wait_dax_page: filemap_invalidate_lock": () => {
      record.waiting = false
      record.slept = true
    },
    ib_umem_get: ({ result }) => {
      record.asked++
      if (result === true) record.longterm++
    },
  }
}
