/** What must be true of layouts. */
import { actionInvariant, type Property } from "../../../checker/index.ts"
import { contentOnDisk } from "../../../model/lease/xfsFile.ts"
import { at } from "../../../model/mm/range.ts"
import type { Seen } from "./record.ts"
import type { LayoutWorld } from "./world.ts"

/** Said of what monitors have counted: that some of it has happened, and the rest never. */
const never = (
  id: string,
  statement: string,
  source: string,
  premise: keyof Seen,
  wrong: keyof Seen,
): Property<LayoutWorld> => ({
  kind: "invariant",
  id,
  statement,
  source,
  premise: ({ record }) => record.seen[premise] > 0,
  holds: ({ record }) => record.seen[wrong] === 0,
})

/** Blocks that clients may access and that are not, or not only, the file's any more. */
const staleBlocks = ({ clients, file, other }: LayoutWorld): ReadonlyArray<string> =>
  clients
    .filter(({ name }) => !file.mount.device.fenced.value.includes(name))
    .flatMap(({ name, segments }) =>
      segments.value
        .filter(
          ({ index, block }) =>
            at(file.extents, index).value?.block !== block || other.extents.some(({ value }) => value?.block === block),
        )
        .map(
          ({ index, block }) => `${name} may access block ${block} as the file's ${index}, which it is not any more.`,
        ),
    )

const pending = ({ server }: LayoutWorld) =>
  server.leases.leases.value.map(({ owner, unlockPending, downgradePending }) => ({
    owner,
    pending: unlockPending || downgradePending,
  }))

export const layoutProperties: ReadonlyArray<Property<LayoutWorld>> = [
  never(
    "LEASE-IO-NEEDS-LEASE",
    "A client's access to the device succeeds only while it has a lease on the file.",
    "LKML 2019-04-26, Direct block mapping through fs for device: before you read/write data, you map the blocks; fs/nfsd/nfs4layouts.c",
    "accesses",
    "withoutLease",
  ),
  never(
    "LEASE-REMAP",
    "A client accesses a block only as it was given with the layout that it has, not as an earlier one said.",
    "LKML 2019-04-26, Direct block mapping through fs for device: to access the file range again, it must renew the lease and remap the file",
    "accesses",
    "outdated",
  ),
  never(
    "LEASE-GEN",
    "A client accesses a block only on a device that it has looked up since the server laid it out anew.",
    "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, device_generation; fs/nfs/blocklayout/blocklayout.c: bl_find_get_deviceid",
    "accesses",
    "wrongDevice",
  ),
  {
    kind: "invariant",
    id: "LEASE-DEVICE",
    statement: "When a client has been given a layout it knows the device of which that speaks, or one of later.",
    source: "fs/nfs/blocklayout/blocklayout.c: bl_find_get_deviceid; fs/nfs/pnfs_dev.c: nfs4_find_get_deviceid",
    premise: ({ clients }) => clients.some(({ segments }) => segments.value.length > 0),
    holds: ({ clients }) =>
      clients.every(
        ({ state, segments }) =>
          state.getting !== "" || segments.value.every(({ generation }) => generation <= state.device),
      ),
  },
  {
    kind: "invariant",
    id: "LEASE-NO-STALE-BLOCK",
    statement:
      "A block that a client may access is the file's and nobody else's: it was not freed, moved or shared, unless the client is kept from the device.",
    source: "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts; LKML 2019-04-26, Direct block mapping through fs for device",
    premise: ({ clients }) => clients.some(({ segments }) => segments.value.length > 0),
    holds: (world) => staleBlocks(world).length === 0,
    explain: (world) => staleBlocks(world).join(" "),
  },
  {
    kind: "invariant",
    id: "LEASE-FORCED-FENCED",
    statement:
      "A client that believes that it has a layout has a lease, or is kept from the device: a lease is removed by force only then.",
    source: "NFSD: Enforce timeout on layout recall, linux-nfs 2026; fs/nfsd/nfs4layouts.c: nfsd4_layout_fence_worker",
    premise: ({ clients }) => clients.some(({ segments }) => segments.value.length > 0),
    holds: ({ clients, server, file }) =>
      clients.every(
        ({ name, segments }) =>
          segments.value.length === 0 ||
          server.leases.leases.value.some(({ owner }) => owner === name) ||
          file.mount.device.fenced.value.includes(name),
      ),
  },
  actionInvariant({
    id: "LEASE-NO-GRANT-WHILE-BREAK",
    statement: "While a lease on the file is being broken no other is granted.",
    source: "fs/locks.c: generic_add_lease",
    observe: pending,
    premise: (before) => before.some((lease) => lease.pending),
    holds: (before, after) =>
      !before.some((lease) => lease.pending) ||
      after.every(({ owner }) => before.some((lease) => lease.owner === owner)),
  }),
  never(
    "LEASE-REMOVED-BEFORE-PROCEED",
    "What layouts are broken for is done while nobody has a layout.",
    "fs/locks.c: __break_lease; fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts",
    "proceeded",
    "withLayouts",
  ),
  never(
    "LEASE-RECHECK",
    "What layouts are broken for is done after a last look for each kind of them, the lock not dropped since.",
    "fs/xfs/xfs_file.c: xfs_break_layouts; commit 69eb5fa10eb2",
    "proceeded",
    "unchecked",
  ),
  never(
    "DAX-IDLE",
    "Blocks that are memory go while nobody has a reference to them.",
    "fs/dax.c: dax_layout_busy_page; commit 69eb5fa10eb2",
    "proceeded",
    "withPins",
  ),
  never(
    "DAX-WAIT",
    "Who has to wait for a page that is pinned takes the lock again only after a moment at which nobody had it pinned.",
    "fs/xfs/xfs_file.c: xfs_wait_dax_page, xfs_break_dax_layouts: ___wait_var_event",
    "waits",
    "tooShort",
  ),
  never(
    "LEASE-PROCEED-DONE",
    "When the server drops the lock it has done what layouts were broken for: what was cut off has no pages and no blocks, a clone has them all, what was written is there.",
    "fs/xfs/xfs_iops.c: xfs_setattr_size; fs/xfs/xfs_bmap_util.c: xfs_free_file_space; fs/xfs/xfs_reflink.c",
    "done",
    "undone",
  ),
  never(
    "LEASE-COMMIT-HELD",
    "What a client has written is committed only while it has a lease: not after its layout has been taken from it.",
    "LKML 2019-04-26, Direct block mapping through fs for device; fs/nfsd/nfs4proc.c: nfsd4_layoutcommit",
    "commits",
    "uncovered",
  ),
  never(
    "LEASE-COMMIT-BEFORE-RELEASE",
    "A client that returns its layout has committed what it has written under it.",
    "LKML 2019-04-26, Direct block mapping through fs for device: the client must finish off its outstanding operations, commit them and release the lease",
    "returns",
    "uncommitted",
  ),
  never(
    "LEASE-ISIZE",
    "A client can make the file grow only to where there is a written block.",
    "fs/xfs/xfs_pnfs.c: xfs_pnfs_validate_isize",
    "sizes",
    "beyond",
  ),
  never(
    "LEASE-GROWN",
    "The file has grown to where a client has committed that it reaches, if that was found valid.",
    "fs/xfs/xfs_pnfs.c: xfs_fs_commit_blocks, i_size_write",
    "valid",
    "ungrown",
  ),
  never(
    "LEASE-EXTENT-CLEAN",
    "When a block is looked up for a client nothing of it is cached, and it is allocated.",
    "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks",
    "grants",
    "unclean",
  ),
  never(
    "LEASE-EXPORTABLE",
    "Blocks are looked up for a client only of files on the device that it knows, and not of a file system that has been shut down by then.",
    "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, xfs_is_shutdown, XFS_IS_REALTIME_INODE",
    "exported",
    "unfit",
  ),
  {
    kind: "invariant",
    id: "LEASE-LOCAL-STORE",
    statement: "While a client has a layout, the server has no page of it that it means to write back over the block.",
    source:
      "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, mmap writes would also benefit from this sort of synchronization",
    premise: ({ clients }) => clients.some(({ segments }) => segments.value.length > 0),
    holds: ({ clients, file }) =>
      clients.every(({ name, segments }) =>
        file.mount.device.fenced.value.includes(name)
          ? true
          : segments.value.every(({ index }) => at(file.cache, index).value?.dirty !== true),
      ),
  },
  {
    kind: "atEnd",
    id: "LOCK-RELEASED",
    statement: "An operation that has ended holds no lock, and no reference to a client's stateid.",
    source: "commit 2bd3fa793aaa: xfs: fix a missing unlock on error in xfs_fs_map_blocks",
    holds: ({ file, server, clients }) =>
      file.iolock.state.writer === "" &&
      server.leases.lock.state.holder === "" &&
      [...server.stateids.values()].every(({ mutex }) => mutex.state.holder === "") &&
      [...server.stateids.values()].every(({ state }) => state.refs === 0) &&
      clients.every(({ state }) => state.getting === "" && state.inflight === 0),
  },
]

/** The thread of the server comes to its end, whatever others do. */
export const breakEnds: Property<LayoutWorld> = {
  kind: "leadsTo",
  id: "L-TRUNC",
  statement: "What the server does with a file that clients have layouts of comes to its end.",
  source: "fs/xfs/xfs_file.c: xfs_break_layouts",
  to: (_, { ended }) => ended("cpu0"),
}

/** A lease is broken in the end. */
export const leaseBroken: Property<LayoutWorld> = {
  kind: "leadsTo",
  id: "L-BREAK",
  statement: "A lease that is being broken is gone in the end.",
  source: "fs/locks.c: __break_lease",
  from: (world) => pending(world).some((lease) => lease.pending),
  to: (world) => !pending(world).some((lease) => lease.pending),
}

/** Whether somebody has waited for a client that was given something and keeps it. */
const isSilent = ({ record, clients }: LayoutWorld) =>
  record.waiting.from >= 0 && clients.some(({ segments }) => segments.value.length > 0)

const waited = ({ record }: LayoutWorld) => record.waiting.until - record.waiting.from

/** How long the fenced design has a thread wait for a client that never answers: to the tick. */
export const exactly: Property<LayoutWorld> = {
  kind: "atEnd",
  id: "LEASE-BREAK-TIME",
  statement:
    "Who breaks the layout of a client that never answers waits lease_break_time, the one tick by which a lease has to be overdue, and as long as fencing takes, all attempts and the pauses between them.",
  source: "fs/locks.c: __break_lease, past_time; NFSD: Enforce timeout on layout recall, linux-nfs 2026",
  premise: isSilent,
  holds: (world) => {
    const { ticks } = world
    const { failures = 0 } = ticks
    // Pauses of one tick, two, four and so on.
    const time = ticks.leaseBreak + 1 + (failures + 1) * ticks.fence + 2 ** failures - 1
    // A run may end before that time has passed.
    return !isSilent(world) || waited(world) === Math.min(time, ticks.end)
  },
  explain: (world) => `It has waited ${waited(world)} ticks.`,
}

/** And the old design: for ever. */
export const forEver: Property<LayoutWorld> = {
  kind: "atEnd",
  id: "LEASE-BREAK-UNBOUNDED",
  statement:
    "As break_time is 0, who breaks the layout of a client that never answers waits until it is interrupted, whenever that is, and has not done anything then.",
  source: "fs/nfsd/nfs4layouts.c: nfsd4_layout_lm_break, before 2026",
  premise: isSilent,
  holds: (world) => {
    const { ticks, record } = world
    return (
      !isSilent(world) ||
      (record.waiting.interrupted && waited(world) === ticks.end - record.waiting.from && record.seen.proceeded === 0)
    )
  },
  explain: (world) => `It has waited ${waited(world)} ticks.`,
}

/** Of clients that write by the server what they may not write themselves. */
export const fallBack: ReadonlyArray<Property<LayoutWorld>> = [
  {
    kind: "invariant",
    id: "LEASE-FALLBACK",
    statement: "A client that is refused a layout, or has lost it, writes by the server.",
    source:
      "fs/nfs/pnfs.c: pnfs_do_write, pnfs_write_through_mds; LKML 2019-04-26, Direct block mapping through fs for device: falling back is always acceptable",
    premise: ({ record }) => record.written.byServer || record.written.denied,
    holds: ({ record }) => !record.written.denied,
  },
  {
    kind: "atEnd",
    id: "LEASE-SAME-DATA",
    statement: "In the end the file holds what was written last, be it to the device or by the server.",
    source: "fs/xfs/xfs_file.c: xfs_file_buffered_write breaks layouts; fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks",
    premise: ({ record }) => record.written.byServer && record.seen.accesses > 0,
    holds: ({ record, file }) => (at(file.cache, 0).value?.content ?? contentOnDisk(file, 0)) === record.written.last,
    explain: ({ record, file }) =>
      `It holds ${at(file.cache, 0).value?.content ?? contentOnDisk(file, 0)}; ${record.written.last} was written last.`,
  },
]
