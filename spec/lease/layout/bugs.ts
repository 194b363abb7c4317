/** Seeded bugs of layouts. Where a name is that of an entry of the bug zoo, its references say so. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  changeResult,
  leaveOut,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import type { Segment } from "../../../model/driver/pnfsClient.ts"
import { locksDeleteLock } from "../../../model/lease/lease.ts"
import { keep } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import {
  cached,
  fallingBack,
  generations,
  mapped,
  operations,
  ownWrite,
  race,
  refused,
  rejects,
  segments,
  silent,
  sizes,
  twoKinds,
  twoThreads,
} from "./scenarios.ts"
import type { LayoutWorld } from "./world.ts"

const clientOf = ({ clients }: LayoutWorld, name: unknown) => clients.find((client) => client.name === name)

/** After a wait without the lock nothing is looked at again. */
const noRecheck = (): Replacements => {
  let waited = false
  return {
    "xfs_break_leased_layouts: xfs_ilock": (original) =>
      Effect.tap(original, () =>
        Effect.sync(() => {
          waited = true
        }),
      ),
    "break_lease: list_empty_careful": (original) => Effect.suspend(() => (waited ? Effect.succeed(false) : original)),
    "xfs_break_layouts: retry": leaveOut(false),
  }
}

/** The lease that is overdue goes at once, and nobody keeps its holder from the device. */
const withoutFence = ({ server }: LayoutWorld): Replacements => ({
  "__break_lease: restart": changeBody((operation) => {
    const result = operation.body()
    const overdue = [...server.stateids.values()].filter(({ state }) => state.fenceWork)
    for (const { client, state } of overdue) {
      locksDeleteLock(server.leases, client)
      state.fenceWork = false
    }
    return overdue.length > 0 ? "0" : result
  }),
})

/** The client goes on to use what it was given first. */
const firstExtents = (world: LayoutWorld): Replacements => {
  let first: Segment | null = null
  return {
    pnfs_find_lseg: (original, operation) =>
      Effect.suspend(() => {
        const remembered = first
        if (remembered === null) {
          return Effect.tap(original, (found) =>
            Effect.sync(() => {
              // What the step returns is a segment or null.
              first = found as Segment | null
            }),
          )
        }
        return step(operation.name, operation.args, () => {
          const client = clientOf(world, operation.args[0])
          if (client !== undefined) client.state.inflight++
          return remembered
        })
      }),
  }
}

export const layoutBugs: ReadonlyArray<SeededBug<LayoutWorld>> = [
  {
    id: "layout-break-without-recheck",
    title: "who had to drop the lock to wait for a layout does not look again whether another was granted meanwhile",
    source: "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts",
    scenario: race.id,
    breaks: "LEASE-RECHECK",
    at: (_, fiber) => (fiber === "cpu0" ? noRecheck() : {}),
  },
  {
    id: "layout-grant-while-pending",
    title: "a lease is granted while another one is being broken",
    source: "fs/locks.c: generic_add_lease, FL_UNLOCK_PENDING",
    scenario: race.id,
    breaks: "LEASE-NO-GRANT-WHILE-BREAK",
    at: ({ server }) => ({
      "generic_add_lease: check_conflicting_open": changeBody(() => {
        keep(server.leases.lock)
        return false
      }),
    }),
  },
  {
    id: "layout-removed-without-fence",
    title: "a lease that is overdue is removed by force, its holder not fenced",
    source: "what NFSD: Enforce timeout on layout recall, linux-nfs 2026, is careful to avoid",
    scenario: silent.id,
    breaks: "LEASE-FORCED-FENCED",
    at: withoutFence,
  },
  {
    id: "break-timeout-without-fence",
    title: "the same: the block goes to another file while the holder can still access it",
    source: "LKML 2019-04-26, Direct block mapping through fs for device; synthetic",
    references: zoo("breakTimeoutWithoutFence"),
    scenario: silent.id,
    breaks: "LEASE-NO-STALE-BLOCK",
    at: withoutFence,
  },
  {
    id: "layout-stale-extents",
    title: "a client goes on to use the blocks that it was told before it returned its layout",
    source: "LKML 2019-04-26, Direct block mapping through fs for device",
    scenario: operations.id,
    breaks: "LEASE-IO-NEEDS-LEASE",
    at: firstExtents,
  },
  {
    id: "layout-not-remapped",
    title: "a client that has a layout again does not look which blocks it was given this time",
    source: "LKML 2019-04-26, Direct block mapping through fs for device: it must renew the lease and remap the file",
    scenario: operations.id,
    breaks: "LEASE-REMAP",
    at: firstExtents,
  },
  {
    id: "layout-size-beyond-written",
    title: "a commit may make the file grow to where nothing has been written",
    source: "fs/xfs/xfs_pnfs.c: xfs_pnfs_validate_isize",
    scenario: sizes.id,
    breaks: "LEASE-ISIZE",
    at: () => ({ xfs_pnfs_validate_isize: leaveOut(true) }),
  },
  {
    id: "layout-seqid-not-atomic",
    title: "a recall has its number from when it was decided on, and is sent after a layout with a later one",
    source: "commit cc8a55320b5f: nfsd: serialize layout stateid morphing operations",
    references: zoo(43),
    scenario: segments.id,
    breaks: "LEASE-FORCED-FENCED",
    at: ({ server }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        for (const { state } of server.stateids.values()) {
          if (state.callback !== "queued" || state.recallSid > 0) continue
          state.seqid++
          state.recallSid = state.seqid
        }
        return result
      }),
      nfsd4_cb_layout_prepare: changeBody((operation) => {
        const state = server.stateids.get(String(operation.args[0]))?.state
        if (state?.callback !== "queued") return null
        state.callback = "sent"
        return state.recallSid
      }),
    }),
  },
  {
    id: "layout-recall-waits-for-own-write",
    title: "a write through the server counts as one under the layout that the server has to recall for it",
    source: "commit 1983a66f575b: nfsd: don't set a FL_LAYOUT lease for flexfiles layouts",
    references: zoo(67),
    scenario: ownWrite.id,
    breaks: builtIn.deadlock,
    at: (world, fiber) => ({
      "xfs_file_buffered_write: xfs_ilock": (original) =>
        Effect.andThen(
          step("ff_layout_write_pagelist", [fiber], () => {
            const client = clientOf(world, fiber)
            if (client !== undefined && client.segments.value.length > 0) client.state.inflight++
          }),
          original,
        ),
      "xfs_file_buffered_write: xfs_iunlock": (original) =>
        Effect.tap(original, () =>
          step("ff_layout_write_done", [fiber], () => {
            const client = clientOf(world, fiber)
            if (client !== undefined && client.state.inflight > 0) client.state.inflight--
          }),
        ),
    }),
  },
  {
    id: "layoutget-locks-held-across-rpc",
    title: "a client holds the lock under which it asks for layouts while it has the server truncate the file",
    source: "commit 6949493884fe: NFSv4: Don't hold the layoutget locks across multiple RPC calls",
    references: zoo(68),
    scenario: ownWrite.id,
    breaks: builtIn.deadlock,
    at: (world, fiber) => {
      const client = clientOf(world, fiber)
      if (client === undefined) return {}
      return {
        pnfs_clear_first_layoutget: leaveOut(),
        exit: changeBody((operation) => {
          client.state.getting = ""
          return operation.body()
        }),
      }
    },
  },
  {
    id: "break-one-layout-kind-then-proceed",
    title: "after a wait for one kind of layout the other kind is not looked for again",
    source: "commit 69eb5fa10eb2: xfs: prepare xfs_break_layouts() for another layout type",
    references: zoo(80),
    scenario: twoKinds.id,
    breaks: "DAX-IDLE",
    at: () => ({ "xfs_break_layouts: retry": leaveOut(false) }),
  },
  {
    id: "dax-wait-does-not-sleep",
    title: "who finds a page pinned drops the lock and takes it again at once: it spins as long as the pin lasts",
    source: "fs/xfs/xfs_file.c: xfs_wait_dax_page, schedule; by inference",
    scenario: twoKinds.id,
    breaks: "DAX-WAIT",
    at: () => ({ "xfs_wait_dax_page: schedule": leaveOut() }),
  },
  {
    id: "grant-path-leaks-inode-lock",
    title: "where the page cache could not be invalidated the inode stays locked",
    source: "commit 2bd3fa793aaa: xfs: fix a missing unlock on error in xfs_fs_map_blocks",
    references: zoo(101),
    scenario: generations.id,
    breaks: "LOCK-RELEASED",
    at: () => ({ "xfs_fs_map_blocks: out_unlock": leaveOut() }),
  },
  {
    id: "grant-path-leaks-inode-lock-waits",
    title: "the same: whoever wants the lock next waits for ever",
    source: "commit 2bd3fa793aaa: xfs: fix a missing unlock on error in xfs_fs_map_blocks",
    references: zoo(101),
    scenario: generations.id,
    breaks: builtIn.deadlock,
    at: () => ({ "xfs_fs_map_blocks: out_unlock": leaveOut() }),
  },
  {
    id: "commit-after-revoke",
    title: "a commit is accepted from a client whose layout has been taken from it",
    source: "LKML 2019-04-26, Direct block mapping through fs for device; synthetic",
    references: zoo("commitAfterRevoke"),
    scenario: silent.id,
    breaks: "LEASE-COMMIT-HELD",
    at: ({ server }) => ({
      "nfsd4_layoutcommit: nfsd4_preprocess_layout_stateid": changeBody((operation) => {
        const state = server.stateids.get(String(operation.args[0]))?.state
        if (state !== undefined) state.refs++
        return true
      }),
    }),
  },
  {
    id: "layout-return-without-commit",
    title: "a client returns its layout without having committed what it has written",
    source: "LKML 2019-04-26, Direct block mapping through fs for device",
    scenario: operations.id,
    breaks: "LEASE-COMMIT-BEFORE-RELEASE",
    at: () => ({ pnfs_layoutcommit_inode: changeBody(() => []) }),
  },
  {
    id: "layout-device-not-looked-up",
    title: "a client uses a layout with the device as it knows it, be it of another generation",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, device_generation",
    scenario: generations.id,
    breaks: "LEASE-GEN",
    at: (world) => ({
      pnfs_find_lseg: changeBody((operation) => {
        const client = clientOf(world, operation.args[0])
        const segment = client?.segments.value.find(({ index }) => index === operation.args[1])
        if (client === undefined || segment === undefined || client.state.returning) return null
        client.state.inflight++
        return segment
      }),
    }),
  },
  {
    id: "layout-device-lookup-lost",
    title: "a client that is given a layout of a device that it does not know does not keep what it is told of that",
    source: "fs/nfs/blocklayout/blocklayout.c: bl_find_get_deviceid",
    scenario: generations.id,
    breaks: "LEASE-DEVICE",
    at: () => ({ bl_find_get_deviceid: leaveOut() }),
  },
  {
    id: "punched-hole-leaves-page-cache",
    title: "a hole is punched, and the page cache goes on to have what was there",
    source: "fs/xfs/xfs_bmap_util.c: xfs_free_file_space, truncate_pagecache_range",
    scenario: cached.id,
    breaks: "LEASE-PROCEED-DONE",
    at: () => ({ truncate_pagecache_range: leaveOut() }),
  },
  {
    id: "layout-page-cache-kept",
    title: "a layout is given out with pages of the file left in the page cache",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, invalidate_inode_pages2",
    scenario: mapped.id,
    breaks: "LEASE-EXTENT-CLEAN",
    at: () => ({ invalidate_inode_pages2: leaveOut(true) }),
  },
  {
    id: "operation-breaks-no-layouts",
    title: "an operation of the server's own does not ask for layouts",
    source:
      "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, before every operation that can remove blocks from the extent map",
    scenario: operations.id,
    breaks: "LEASE-REMOVED-BEFORE-PROCEED",
    at: (_, fiber) => (fiber === "cpu0" ? { "break_lease: list_empty_careful": leaveOut(false) } : {}),
  },
  {
    id: "layout-fall-back-refused",
    title: "a client that may not write a block by itself does not write it at all",
    source:
      "LKML 2019-04-26, Direct block mapping through fs for device: falling back is always acceptable; fs/nfs/pnfs.c: pnfs_write_through_mds",
    scenario: fallingBack.id,
    breaks: "LEASE-FALLBACK",
    at: () => ({ pnfs_write_through_mds: leaveOut(false) }),
  },
  {
    id: "layout-server-write-unbroken",
    title: "a write by the server does not recall layouts: another client writes to the device beneath the page cache",
    source: "fs/xfs/xfs_file.c: xfs_file_write_checks, xfs_break_layouts with BREAK_WRITE",
    scenario: fallingBack.id,
    breaks: "LEASE-SAME-DATA",
    at: () => ({ "break_lease: list_empty_careful": leaveOut(false) }),
  },
  {
    id: "layout-fence-given-up",
    title: "the device refuses to fence a client, and its lease is removed all the same",
    source:
      "fs/nfsd/nfs4layouts.c: nfsd4_layout_fence_worker retries the fencing operation indefinitely to prevent data corruption",
    scenario: refused.id,
    bound: { failures: 1 },
    breaks: "LEASE-FORCED-FENCED",
    at: () => ({ "nfsd4_scsi_fence_client: pr_preempt": changeResult(() => true) }),
  },
  {
    id: "layout-used-while-returned",
    title: "one thread of the client returns the layout, and does not say so to another that begins an access with it",
    source: "fs/nfs/pnfs.c: _pnfs_return_layout, NFS_LAYOUT_RETURN; pnfs_find_lseg",
    scenario: twoThreads.id,
    breaks: "LEASE-REMAP",
    at: (world) => ({
      _pnfs_return_layout: changeBody(({ args }) => (clientOf(world, args[0])?.segments.value.length ?? 0) > 0),
    }),
  },
  {
    id: "layoutget-leaks-stateid",
    title: "a LAYOUTGET that is not given a lease keeps its reference to the stateid",
    source: "fs/nfsd/nfs4proc.c: nfsd4_layoutget, nfs4_put_stid",
    scenario: race.id,
    breaks: "LOCK-RELEASED",
    at: () => ({ "nfsd4_layoutget: nfs4_put_stid": leaveOut() }),
  },
  {
    id: "commit-forgets-size",
    title: "a commit finds the size of the client valid, and the file stays as small as it was",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_commit_blocks, i_size_write",
    scenario: sizes.id,
    breaks: "LEASE-GROWN",
    at: () => ({ "xfs_fs_commit_blocks: xfs_trans_commit": leaveOut() }),
  },
  {
    id: "layout-given-of-realtime-file",
    title: "a layout is given of a file whose blocks are on another device",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, XFS_IS_REALTIME_INODE",
    scenario: rejects.id,
    breaks: "LEASE-EXPORTABLE",
    at: ({ file }) => ({
      "xfs_fs_map_blocks: xfs_is_reflink_inode": changeBody(({ body }) => (file.state.realtime ? null : body())),
    }),
  },
  {
    id: "layout-given-after-shutdown",
    title: "a file system that has been shut down gives layouts",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, xfs_is_shutdown",
    scenario: rejects.id,
    breaks: "LEASE-EXPORTABLE",
    at: () => ({
      "xfs_fs_map_blocks: xfs_is_reflink_inode": changeBody(({ body }) => {
        const refused = body()
        return refused === "-EIO" ? null : refused
      }),
    }),
  },
]
