/** Granting leases (fs/locks.c: generic_add_lease), giving them back, and the opens that they conflict with. */
import type * as Effect from "effect/Effect"
import { procedure, self, step } from "../../checker/program/index.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { downgrade, type Lease, type LeaseContext, type LeaseType, locksDeleteLock, timeOutLeases } from "./lease.ts"

/**
 * `check_conflicting_open`: layouts do not care. Who wants to read may not even itself have it open for writing; who
 * wants to write alone may, but nobody else. Within a step.
 */
const conflictingOpen = ({ opens }: LeaseContext, { kind, type, owner }: Lease): boolean => {
  if (kind === "layout") return false
  if (type === "read") return opens.writers.length > 0
  return [...opens.writers, ...opens.readers].some((opener) => opener !== owner)
}

/** Whether the leases that are there leave no room for another: one that is being broken for none. Within a step. */
const refusedByLeases = ({ leases }: LeaseContext, wanted: Lease): boolean =>
  leases.value.some((lease) => lease.owner !== wanted.owner && (wanted.type === "write" || lease.unlockPending))

/**
 * `generic_add_lease`: the lease is put on the list between two looks at who has the file open. Whoever opens it looks
 * at the list without the lock, after having said that it opens it.
 *
 * @returns 0 or -EAGAIN
 */
export const genericAddLease = procedure(function* (context: LeaseContext, wanted: Lease) {
  const { name, lock, leases } = context
  const refused = yield* underLock(lock, "generic_add_lease: check_conflicting_open", [name, wanted.owner], () => {
    timeOutLeases(context)
    if (conflictingOpen(context, wanted) || refusedByLeases(context, wanted)) return true
    keep(lock)
    return false
  })
  if (refused) return "-EAGAIN" as const
  yield* step("locks_insert_lock_ctx", [name, wanted.owner], () => {
    const mine = leases.value.find(({ owner }) => owner === wanted.owner)
    if (mine === undefined) leases.value = [...leases.value, wanted]
    else if (wanted.type === "read") downgrade(context, wanted.owner)
    else leases.value = leases.value.map((lease) => (lease === mine ? { ...mine, type: wanted.type } : lease))
  })
  return yield* step("generic_add_lease: smp_mb", [name, wanted.owner], () => {
    const conflict = conflictingOpen(context, wanted)
    if (conflict) locksDeleteLock(context, wanted.owner)
    release(lock)
    return conflict ? ("-EAGAIN" as const) : ("0" as const)
  })
})

/** Who asks for a lease with fcntl, and what the file is. */
export interface Asker {
  /** Whether `fsuid` is the file's owner, and whether there is CAP_LEASE. */
  readonly owner: boolean
  readonly capLease: boolean
  /** S_ISREG: a regular file, not that of a device. */
  readonly regular: boolean
}

/**
 * `vfs_setlease` and `generic_setlease`: leases are for the owner of a file or who has CAP_LEASE, and on regular files.
 * The kernel's own (nfsd's layouts, `kernel_setlease`) are not asked for rights.
 *
 * @returns 0, -EACCES, -EINVAL or -EAGAIN
 */
export const vfsSetlease = procedure(function* (context: LeaseContext, wanted: Lease, asker: Asker) {
  const { name } = context
  const allowed = yield* step("vfs_setlease", [name, wanted.owner], () => asker.owner || asker.capLease)
  if (!allowed) return "-EACCES" as const
  const possible = yield* step("generic_setlease: S_ISREG", [name], () => asker.regular)
  if (!possible) return "-EINVAL" as const
  return yield* genericAddLease(context, wanted)
})

/** `locks_remove_file`: who closes the file loses the lease that he has had by it. */
export const locksRemoveFile = (context: LeaseContext, owner: string): Effect.Effect<void> =>
  underLock(context.lock, "locks_remove_file", [context.name, owner], () => locksDeleteLock(context, owner))

/** `generic_delete_lease`: the holder gives its lease back; whether it had one. */
export const genericDeleteLease = (context: LeaseContext, owner: string): Effect.Effect<boolean> =>
  underLock(context.lock, "generic_delete_lease", [context.name, owner], () => {
    const had = context.leases.value.some((lease) => lease.owner === owner)
    locksDeleteLock(context, owner)
    return had
  })

/** `generic_setlease` of a holder that is content to read from now on, when it is asked for that or by itself. */
export const downgradeLease = (context: LeaseContext, owner: string): Effect.Effect<void> =>
  underLock(context.lock, "lease_modify", [context.name, owner], () => downgrade(context, owner))

/** `fcntl_getlease`: what the lease is or, while it is being broken, what it is to become (`target_leasetype`). */
export const fcntlGetlease = (context: LeaseContext, owner: string): Effect.Effect<LeaseType | "none"> =>
  underLock(context.lock, "fcntl_getlease", [context.name, owner], () => {
    timeOutLeases(context)
    const lease = context.leases.value.find((each) => each.owner === owner)
    if (lease === undefined || lease.unlockPending) return "none"
    return lease.downgradePending ? "read" : lease.type
  })

/** `do_dentry_open`: says that it opens the file, before it looks whether there is a lease to be broken. */
export const getWriteAccess = (
  { name, opens }: LeaseContext,
  type: LeaseType,
  opener: () => string = self,
): Effect.Effect<void> =>
  step(type === "write" ? "get_write_access" : "i_readcount_inc", [name], () => {
    if (type === "write") opens.writers = [...opens.writers, opener()].sort()
    else opens.readers = [...opens.readers, opener()].sort()
  })

/** `put_file_access` */
export const putFileAccess = ({ name, opens }: LeaseContext, opener: () => string = self): Effect.Effect<void> =>
  step("put_file_access", [name], () => {
    const closing = opener()
    opens.writers = opens.writers.filter((each) => each !== closing)
    opens.readers = opens.readers.filter((each) => each !== closing)
  })
