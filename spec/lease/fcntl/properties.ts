import { actionInvariant, type Property } from "../../../checker/index.ts"
import { leasesConflict } from "../../../model/lease/lease.ts"
import type { FcntlWorld } from "./world.ts"

/** Whether somebody has the file open against a lease of which nobody has been told that it is to go. */
const ignored = ({ leases, opened }: FcntlWorld): boolean =>
  leases.lock.state.holder === "" &&
  leases.leases.value.some(
    (lease) =>
      !lease.unlockPending &&
      !lease.downgradePending &&
      Object.values(opened).some((type) => type !== "" && leasesConflict(lease, { kind: "lease", type })),
  )

const listed = ({ leases }: FcntlWorld) =>
  leases.leases.value.map(({ owner, type, unlockPending, downgradePending }) => ({
    owner,
    type,
    pending: unlockPending || downgradePending,
  }))

export const fcntlProperties: ReadonlyArray<Property<FcntlWorld>> = [
  {
    kind: "invariant",
    id: "LEASE-OPEN",
    statement: "Nobody has a file open against a lease, unless the lease is being broken.",
    source: "fs/locks.c: generic_add_lease, check_conflicting_open; commit 24cbe7845ea5",
    premise: ({ leases, opened }) =>
      leases.leases.value.length > 0 && Object.values(opened).some((type) => type !== ""),
    holds: (world) => !ignored(world),
  },
  {
    kind: "invariant",
    id: "LEASE-BREAK-ONCE",
    statement:
      "The holder of a lease is told once that it is to give it up, and once that it is to be one to read, however many wait for that.",
    source: "fs/locks.c: __break_lease, FL_UNLOCK_PENDING",
    premise: ({ told }) => told.unlock + told.downgrade > 0,
    holds: ({ told }) => told.unlock < 2 && told.downgrade < 2,
  },
  {
    kind: "invariant",
    id: "LEASE-LISTED",
    statement: "What its holder does to a lease is what the list of leases shows then.",
    source: "fs/locks.c: generic_add_lease, generic_delete_lease, lease_modify",
    premise: ({ leases, slips }) => leases.leases.value.length > 0 || slips.lost !== "",
    holds: ({ slips }) => slips.lost === "",
    explain: ({ slips }) => `The list does not show of the lease that ${slips.lost}.`,
  },
  {
    kind: "invariant",
    id: "LEASE-HELD",
    statement: "There is no lease that its holder has given up or was refused.",
    source: "fs/locks.c: generic_delete_lease",
    premise: ({ leases }) => leases.leases.value.length > 0,
    holds: ({ leases, held }) => held.value || leases.leases.value.length === 0,
  },
  {
    kind: "invariant",
    id: "LEASE-TOLD",
    statement: "The holder of a lease that is to be given up, or to be one to read, has been told.",
    source: "fs/locks.c: __break_lease, lm_break; lease_break_callback",
    premise: ({ leases }) => leases.leases.value.some((lease) => lease.unlockPending || lease.downgradePending),
    holds: ({ leases, signal }) =>
      signal.value || leases.leases.value.every((lease) => !lease.unlockPending && !lease.downgradePending),
  },
  {
    kind: "invariant",
    id: "LEASE-BLOCKED",
    statement: "Who is blocked waits for a lease that is there and is to be given up, or to be one to read.",
    source: "fs/locks.c: locks_insert_block, locks_wake_up_blocks",
    premise: ({ leases }) => leases.blocked.value.length > 0,
    holds: ({ leases }) =>
      leases.blocked.value.every(({ owner }) =>
        leases.leases.value.some((lease) => lease.owner === owner && (lease.unlockPending || lease.downgradePending)),
      ),
  },
  {
    kind: "atEnd",
    id: "LEASE-CLOSED",
    statement: "When everybody has closed the file, nobody counts as having it open.",
    source: "include/linux/fs.h: put_file_access, i_readcount and i_writecount",
    holds: ({ leases }) => leases.opens.readers.length + leases.opens.writers.length === 0,
  },
  actionInvariant({
    id: "LEASE-TIME",
    statement: "Time alone takes a lease from nobody before it was asked to give it up.",
    source: "fs/locks.c: time_out_leases",
    observe: listed,
    premise: (before) => before.length > 0,
    holds: (before, after) =>
      before.every(({ type, pending }) => after.every((lease) => pending || lease.type === type)),
  }),
]

/** A break ends. */
export const openEnds: Property<FcntlWorld> = {
  kind: "leadsTo",
  id: "L-BREAK",
  statement: "Who opens a file on which there is a lease is through in the end.",
  source: "fs/locks.c: __break_lease",
  to: ({ opened }, { ended }) => Object.keys(opened).every((fiber) => ended(fiber)),
}

/** How long: to the tick. */
export const exactly: Property<FcntlWorld> = {
  kind: "atEnd",
  id: "LEASE-BREAK-TIME",
  statement:
    "Who breaks the lease of a holder that does nothing waits lease_break_time, and one tick, by which it is overdue.",
  source: "fs/locks.c: __break_lease, past_time",
  premise: ({ waiting }) => waiting.from >= 0,
  holds: ({ waiting, leaseBreakTime, clock }) =>
    waiting.from < 0 || waiting.until - waiting.from === Math.min(leaseBreakTime + 1, clock.end - waiting.from),
  explain: ({ waiting }) => `It has waited ${waiting.until - waiting.from} ticks.`,
}
