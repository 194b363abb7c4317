/** What properties of layouts need to know of the past, kept by monitors. */
import { type Monitor, type Struct, struct } from "../../../checker/index.ts"
import type { PnfsClient } from "../../../model/driver/pnfsClient.ts"
import type { Clock } from "../../../model/lease/clock.ts"
import type { Export } from "../../../model/lease/nfsdLayouts.ts"
import type { XfsInode } from "../../../model/lease/xfsFile.ts"
import { isWritten } from "../../../model/lease/xfsPnfs.ts"
import { type Content, zeroes } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"

/** What has been seen so far. Counters stop at 2. */
export type Seen = {
  /** Accesses to the device, and those of clients without a lease, or to blocks that were given under an earlier one. */
  accesses: number
  withoutLease: number
  outdated: number
  /** Accesses with a layout of a generation of the device that the client has not looked up. */
  wrongDevice: number
  /** Requests that were let through, and those for a file or of a file system that is not fit for it. */
  exported: number
  unfit: number
  /** Layouts that were given out, and those with pages of the file still cached, or a block that was not there. */
  grants: number
  unclean: number
  /** Local operations that went on, and those while a client had a layout, or a page was pinned, or without a last look under the lock. */
  proceeded: number
  withLayouts: number
  withPins: number
  unchecked: number
  /** Commits, and those without a layout; sizes that were set, and those beyond what was written. */
  commits: number
  uncovered: number
  sizes: number
  beyond: number
  /** Local operations that came to their end uninterrupted, and those that did not do what they were for. */
  done: number
  undone: number
  /** Sizes that clients were right about, and those that the file did not have when the commit was through. */
  valid: number
  ungrown: number
  /** Layouts that were returned, and those of clients that had not committed what they had written. */
  returns: number
  uncommitted: number
  /** Waits for a page that was pinned, and those that came to an end while it was pinned all the time. */
  waits: number
  tooShort: number
}

export interface LayoutRecord {
  readonly seen: Struct<Seen>
  /** What the thread of the server has looked for, and not found, since it last took the IOLOCK. */
  readonly looked: Struct<{ dax: boolean; leases: boolean }>
  /** What is the case by what was called, whatever the file says: references by pins, and the size of a valid commit. */
  readonly called: Struct<{ pins: number; size: number }>
  /** Who waits for pages that have been pinned ever since. */
  readonly pinnedSince: Struct<{ waiters: ReadonlyArray<string> }>
  /** When the first break began to wait and when that thread went on, in ticks; -1 before. */
  readonly waiting: Struct<{ from: number; until: number; interrupted: boolean }>
  /** Where clients may write by the server as well: what was written last, and whether anybody did that, or could not write at all. */
  readonly written: Struct<Written>
}

export type Written = { last: Content; byServer: boolean; denied: boolean }

/** Keeps a record of who writes what, and by which way. */
export const writesMonitor = (written: Struct<Written>): Monitor => ({
  bl_submit_bio: ({ args: [name, , , , , write], result }) => {
    if (write === true && result === true) written.last = String(name)
  },
  iomap_file_buffered_write: ({ args: [, , content] }) => {
    written.last = String(content)
    written.byServer = true
  },
  nfs_writeback_done: ({ args: [, done] }) => {
    if (done !== true) written.denied = true
  },
})

const nothing: Seen = {
  accesses: 0,
  withoutLease: 0,
  outdated: 0,
  wrongDevice: 0,
  exported: 0,
  unfit: 0,
  grants: 0,
  unclean: 0,
  proceeded: 0,
  withLayouts: 0,
  withPins: 0,
  unchecked: 0,
  commits: 0,
  uncovered: 0,
  sizes: 0,
  beyond: 0,
  done: 0,
  undone: 0,
  valid: 0,
  ungrown: 0,
  returns: 0,
  uncommitted: 0,
  waits: 0,
  tooShort: 0,
}

/** The steps by which a thread of the server does what layouts are broken for. */
const proceeds = [
  "truncate_setsize",
  "truncate_pagecache_range",
  "xfs_reflink_remap_blocks",
  "iomap_file_buffered_write",
]

/** Whether a thread has done with the file what it took the lock for, by the step with which it drops that. */
const outcomes = (file: XfsInode, other: XfsInode): { readonly [name: string]: (fiber: string) => boolean } => {
  const isGone = (index: number) => at(file.extents, index).value === null && at(file.cache, index).value === null
  return {
    "xfs_vn_setattr_size: xfs_iunlock": () => file.state.size === 0 && file.extents.every((_, index) => isGone(index)),
    "xfs_file_fallocate: xfs_iunlock": () => isGone(0),
    "xfs_file_remap_range: xfs_iunlock": () =>
      file.extents.every(({ value }, index) => value?.block === at(other.extents, index).value?.block),
    "xfs_file_buffered_write: xfs_iunlock": (fiber) => at(file.cache, 0).value?.content === fiber,
  }
}

/** Keeps a record of all that. */
export const layoutRecord = ({
  file,
  other,
  server,
  clients,
  clock,
}: {
  readonly file: XfsInode
  readonly other: XfsInode
  readonly server: Export
  readonly clients: ReadonlyArray<PnfsClient>
  readonly clock: Clock
}): { readonly record: LayoutRecord; readonly monitor: Monitor } => {
  const seen = struct("seen", nothing)
  const looked = struct("looked", { dax: false, leases: false })
  const waiting = struct("waiting", { from: -1, until: -1, interrupted: false })
  const called = struct("called", { pins: 0, size: 0 })
  const pinnedSince = struct<{ waiters: ReadonlyArray<string> }>("pinnedSince", { waiters: [] })
  const written: Struct<Written> = struct("written", { last: zeroes, byServer: false, denied: false })
  const count = (...what: ReadonlyArray<keyof Seen>) => {
    for (const each of what) seen[each] = 1
  }
  const { leases } = server
  const hasLayouts = () => [...server.stateids.values()].some(({ state }) => state.layouts.length > 0 && !state.fenced)
  const dropped = () => {
    looked.dax = false
    looked.leases = false
  }
  const unmaps = (name: string) => name.startsWith("truncate")
  const monitor: Monitor = {
    bl_submit_bio: ({ args: [name, index, block, seqid, generation], result }) => {
      if (result !== true) return
      count("accesses")
      const state = server.stateids.get(String(name))?.state
      if (!leases.leases.value.some(({ owner }) => owner === name)) count("withoutLease")
      const client = clients.find((each) => each.name === name)
      const current = client?.segments.value.some(
        (segment) => segment.index === index && segment.block === block && segment.seqid === seqid,
      )
      if (current !== true || state?.live !== true) count("outdated")
      if (client?.state.device !== generation) count("wrongDevice")
    },
    "xfs_fs_map_blocks: xfs_is_reflink_inode": ({ result }) => {
      if (result !== null) return
      count("exported")
      if (file.mount.state.shutdown || file.state.realtime) count("unfit")
    },
    xfs_bmapi_read: ({ args: [, index], result }) => {
      if (typeof result === "string") return
      count("grants")
      if (at(file.cache, Number(index)).value !== null || at(file.extents, Number(index)).value === null)
        count("unclean")
    },
    ...Object.fromEntries(
      proceeds.map((name) => [
        name,
        () => {
          count("proceeded")
          if (hasLayouts()) count("withLayouts")
          if (!looked.leases || (unmaps(name) && file.dax && !looked.dax)) count("unchecked")
          if (unmaps(name) && called.pins > 0) count("withPins")
        },
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(outcomes(file, other)).map(([name, isDone]): readonly [string, Monitor[string]] => [
        name,
        ({ fiber }) => {
          if (waiting.interrupted) return
          count("done")
          if (!isDone(fiber)) count("undone")
        },
      ]),
    ),
    pin_user_pages: ({ result }) => {
      if (result === true) called.pins++
    },
    unpin_user_page: () => {
      called.pins--
      if (called.pins === 0) pinnedSince.waiters = []
    },
    "xfs_break_leased_layouts: xfs_iunlock": dropped,
    "xfs_wait_dax_page: xfs_iunlock": ({ fiber }) => {
      dropped()
      if (called.pins > 0) pinnedSince.waiters = [...pinnedSince.waiters, fiber].sort()
    },
    "xfs_wait_dax_page: xfs_ilock": ({ fiber }) => {
      count("waits")
      if (pinnedSince.waiters.includes(fiber)) count("tooShort")
    },
    "break_lease: list_empty_careful": ({ fiber }) => {
      if (file.iolock.state.writer === fiber) looked.leases = true
    },
    dax_layout_busy_page: ({ result }) => {
      if (result === false) looked.dax = true
    },
    xfs_iomap_write_unwritten: ({ fiber }) => {
      count("commits")
      if (!leases.leases.value.some(({ owner }) => fiber === owner || fiber === `${owner}-cb`)) count("uncovered")
    },
    "xfs_fs_commit_blocks: xfs_trans_commit": ({ args: [, size] }) => {
      count("sizes")
      if (!isWritten(file, Number(size))) count("beyond")
    },
    xfs_pnfs_validate_isize: ({ args: [, size], result }) => {
      if (result === true) called.size = Number(size)
    },
    "xfs_fs_commit_blocks: out_drop_iolock": () => {
      if (called.size === 0) return
      count("valid")
      if (file.state.size < called.size) count("ungrown")
      called.size = 0
    },
    nfsd4_return_file_layouts: ({ args: [name], result }) => {
      if (result !== true) return
      count("returns")
      if ((clients.find((each) => each.name === name)?.uncommitted.value.length ?? 0) > 0) count("uncommitted")
    },
    __break_lease: ({ args: [, block], result }) => {
      if (block === true && result === "wait" && waiting.from < 0) waiting.from = clock.state.jiffies
    },
    "__break_lease: restart": ({ args: [, woken], result }) => {
      if (result === "wait") return
      waiting.until = clock.state.jiffies
      if (woken === "interrupted") waiting.interrupted = true
    },
  }
  return { record: { seen, looked, called, pinnedSince, waiting, written }, monitor }
}
