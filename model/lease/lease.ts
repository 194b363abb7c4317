/** Leases on an inode (fs/locks.c): what conflicts with what, and what becomes of those that are overdue. */
import { type Cell, cell, type Struct, struct } from "../../checker/program/index.ts"
import { type SpinLock, spinLock } from "../sync/spinlock.ts"
import type { Clock } from "./clock.ts"

/** FL_LEASE, FL_DELEG, FL_LAYOUT */
export type LeaseKind = "lease" | "delegation" | "layout"

/** F_RDLCK or F_WRLCK */
export type LeaseType = "read" | "write"

/** `struct file_lease` */
export type Lease = {
  /** `flc_owner` */
  readonly owner: string
  readonly kind: LeaseKind
  readonly type: LeaseType
  /** FL_UNLOCK_PENDING, FL_DOWNGRADE_PENDING */
  readonly unlockPending: boolean
  readonly downgradePending: boolean
  /** When it is removed or becomes one to read; 0 is never (`past_time`). */
  readonly breakTime: number
  readonly downgradeTime: number
}

/** What a lease manager does for its leases (`struct lease_manager_operations`), within the steps of fs/locks.c. */
export interface LeaseManager {
  /** `lm_break`: tells the holder. What it returns is what becomes of the lease, `null` if it is to go now. */
  readonly lmBreak: (lease: Lease) => Lease | null
  /** `lm_breaker_timedout`: whether an overdue lease may be removed now. Without it, it may. */
  readonly lmBreakerTimedout?: (lease: Lease) => boolean
}

/** `struct file_lock_context` of an inode, and what leases ask of the inode. */
export interface LeaseContext {
  readonly name: string
  /** `flc_lock` */
  readonly lock: SpinLock
  /** `flc_lease` */
  readonly leases: Cell<ReadonlyArray<Lease>>
  /** `flc_blocked_requests` of the leases: who waits for which owner's. */
  readonly blocked: Cell<ReadonlyArray<{ readonly fiber: string; readonly owner: string }>>
  /** Opens of the inode, by fiber, sorted: `i_readcount` and `i_writecount`. */
  readonly opens: Struct<{ readers: ReadonlyArray<string>; writers: ReadonlyArray<string> }>
  readonly clock: Clock
  /** `lease_break_time`, in ticks. */
  readonly leaseBreakTime: number
  readonly manager: LeaseManager
}

/** Makes the context of an inode without leases. */
export const leaseContext = (
  name: string,
  clock: Clock,
  leaseBreakTime: number,
  manager: LeaseManager,
): LeaseContext => {
  const none: ReadonlyArray<string> = []
  return {
    name,
    lock: spinLock(`${name}.flc_lock`),
    leases: cell<ReadonlyArray<Lease>>(`${name}.flc_lease`, []),
    blocked: cell<ReadonlyArray<{ readonly fiber: string; readonly owner: string }>>(`${name}.flc_blocked`, []),
    opens: struct(`${name}.i_opens`, { readers: none, writers: none }),
    clock,
    leaseBreakTime,
    manager,
  }
}

/** A fresh lease. */
export const leaseAlloc = (owner: string, kind: LeaseKind, type: LeaseType): Lease => ({
  owner,
  kind,
  type,
  unlockPending: false,
  downgradePending: false,
  breakTime: 0,
  downgradeTime: 0,
})

/** `leases_conflict`: layouts concern layouts only, and breaks of delegations no leases. */
export const leasesConflict = (lease: Lease, breaker: Pick<Lease, "kind" | "type">): boolean => {
  if ((lease.kind === "layout") !== (breaker.kind === "layout")) return false
  if (breaker.kind === "delegation" && lease.kind === "lease") return false
  return lease.type === "write" || breaker.type === "write"
}

/** `any_leases_conflict`. Within a step or guard. */
export const anyLeasesConflict = ({ leases }: LeaseContext, breaker: Pick<Lease, "kind" | "type">): boolean =>
  leases.value.some((lease) => leasesConflict(lease, breaker))

/** `past_time`: later than, not at. */
const pastTime = ({ clock }: LeaseContext, then: number): boolean => then !== 0 && clock.state.jiffies > then

/** `time_out_leases`, `flc_lock` held: what is overdue becomes a lease to read, or goes. Within a step. */
export const timeOutLeases = (context: LeaseContext): void => {
  const { leases, manager } = context
  for (const lease of leases.value) {
    if (pastTime(context, lease.downgradeTime)) downgrade(context, lease.owner)
    if (pastTime(context, lease.breakTime) && manager.lmBreakerTimedout?.(lease) !== false) {
      locksDeleteLock(context, lease.owner)
    }
  }
}

/** `lease_modify` with F_RDLCK: the lease is one to read from now on, and who waited for that is woken. Within a step. */
export const downgrade = (context: LeaseContext, owner: string): void => {
  const { leases } = context
  leases.value = leases.value.map((lease) =>
    lease.owner === owner ? { ...lease, type: "read", downgradePending: false, downgradeTime: 0 } : lease,
  )
  wakeUpBlocks(context, owner)
}

/** `lease_modify` with F_UNLCK: the lease goes, and who waited for it is woken. Within a step. */
export const locksDeleteLock = (context: LeaseContext, owner: string): void => {
  const { leases } = context
  leases.value = leases.value.filter((lease) => lease.owner !== owner)
  wakeUpBlocks(context, owner)
}

/** `locks_wake_up_blocks` */
const wakeUpBlocks = ({ blocked }: LeaseContext, owner: string): void => {
  if (blocked.value.some((each) => each.owner === owner)) {
    blocked.value = blocked.value.filter((each) => each.owner !== owner)
  }
}
