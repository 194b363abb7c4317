/** What the kernel has, or had, and the model does not: put back, one by one. */
import { builtIn, changeBody, changeResult, leaveOut, type SeededBug } from "../../../checker/index.ts"
import { bounded, mapped, operations, race, unbounded } from "./scenarios.ts"
import type { LayoutWorld } from "./world.ts"

export const layoutsAsPublished: ReadonlyArray<SeededBug<LayoutWorld>> = [
  {
    id: "mmap-stores-not-synchronised",
    title: "documented behaviour: a process stores through a shared mapping to what a client has a layout of",
    source:
      "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, where mmap is left out because of the locking rules of page faults",
    scenario: mapped.id,
    breaks: "LEASE-LOCAL-STORE",
    at: () => ({ "xfs_fs_map_blocks: recheck": changeResult(() => null) }),
  },
  {
    id: "layout-break-time-zero",
    title: "as before 2026: lm_break sets break_time to 0, and a break waits for the client however long that takes",
    source: "fs/nfsd/nfs4layouts.c: nfsd4_layout_lm_break",
    scenario: bounded.id,
    breaks: "LEASE-BREAK-TIME",
    at: ({ server }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        const { leases } = server.leases
        leases.value = leases.value.map((lease) => ({ ...lease, breakTime: 0 }))
        return result
      }),
    }),
  },
  {
    id: "layout-break-time-kept",
    title: "the old design, and nobody sets break_time to 0: the lease is overdue one day",
    source: "fs/nfsd/nfs4layouts.c: nfsd4_layout_lm_break, we don't want the locks code to timeout the lease for us",
    scenario: unbounded.id,
    breaks: "LEASE-BREAK-UNBOUNDED",
    at: ({ server, ticks }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        const { leases, clock } = server.leases
        const breakTime = clock.state.jiffies + ticks.leaseBreak
        leases.value = leases.value.map((lease) => (lease.unlockPending ? { ...lease, breakTime } : lease))
        return result
      }),
    }),
  },
  {
    id: "break-error-lost",
    title: "as published: a signal ends the wait for a layout, and the wait begins again at once, again and again",
    source: "fs/xfs/xfs_pnfs.c: xfs_break_leased_layouts, whose loop overwrites the error of the break that waits",
    scenario: unbounded.id,
    bound: { leaseBreak: 1, end: 3 },
    breaks: "L-TRUNC",
    at: () => ({ "xfs_break_leased_layouts: error": leaveOut(false) }),
  },
  {
    id: "break-restart-does-not-recall",
    title: "as published: who is woken waits for a layout that was granted meanwhile, without having it recalled",
    source: "fs/locks.c: __break_lease, restart",
    scenario: operations.id,
    breaks: builtIn.deadlock,
    at: ({ server }) => ({
      "__break_lease: restart": changeBody((operation) => {
        const { leases } = server.leases
        const before = leases.value
        const result = operation.body()
        const marked = leases.value.filter(
          ({ owner, unlockPending }) =>
            unlockPending && before.some((lease) => lease.owner === owner && !lease.unlockPending),
        )
        for (const { owner } of marked) {
          const state = server.stateids.get(owner)?.state
          if (state === undefined) continue
          state.recalled = false
          state.callback = "none"
        }
        leases.value = leases.value.map((lease) => before.find(({ owner }) => owner === lease.owner) ?? lease)
        return result
      }),
    }),
  },
  {
    id: "layout-recalled-before-given",
    title: "as before 2025: a layout is given out that counts as recalled already, and its client is never told",
    source:
      "commit fb610c4dbc99 to nfsd4_recall_file_layout, which sets ls_recalled only where there is a layout to recall",
    scenario: race.id,
    bound: { second: 0 },
    breaks: "L-BREAK",
    at: ({ server }) => ({
      nfsd4_insert_layout: changeBody((operation) => {
        const state = server.stateids.get(String(operation.args[0]))?.state
        if (state?.recalled !== true || state.callback !== "none") return operation.body()
        state.recalled = false
        const result = operation.body()
        state.recalled = true
        return result
      }),
    }),
  },
  {
    id: "layout-given-while-breaking",
    title:
      "as published since: a layout is given out under a lease of whose break there was nobody to tell, and nobody is",
    source:
      "fs/nfsd/nfs4layouts.c: nfsd4_recall_file_layout; fs/locks.c: __break_lease, FL_UNLOCK_PENDING: lm_break is called once",
    scenario: race.id,
    bound: { second: 0 },
    breaks: "L-BREAK",
    at: ({ server }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        for (const { state } of server.stateids.values()) {
          if (state.layouts.length === 0 && state.callback === "none") state.recalled = false
        }
        return result
      }),
    }),
  },
  {
    id: "reflink-flag-read-without-lock",
    title: "as published: whether blocks are shared is looked at before the inode is locked",
    source: "fs/xfs/xfs_pnfs.c: xfs_fs_map_blocks, xfs_is_reflink_inode before xfs_ilock",
    scenario: operations.id,
    breaks: "LEASE-NO-STALE-BLOCK",
    at: () => ({ "xfs_fs_map_blocks: recheck": changeResult((result) => (result === "-ENXIO" ? null : result)) }),
  },
]
