/**
 * The context of an inode's locks and leases (fs/locks.c: locks_get_lock_context): made by whoever wants it first, put
 * in its place by cmpxchg, and found there without a lock.
 */
import { type Cell, cell, procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"

/** `struct file_lock_context`, as one fiber may allocate it. */
export interface AllocatedContext {
  readonly state: Struct<{
    /** Memory as it comes, a context with empty lists, or memory that was given back. */
    is: "junk" | "context" | "freed"
    /** `flc_lease`, by owner. */
    leases: ReadonlyArray<string>
  }>
}

/** An inode, and the contexts that were made for it, by who made them. */
export interface LockedInode {
  /** `i_flctx` */
  readonly flctx: Cell<string | null>
  readonly contexts: ReadonlyMap<string, AllocatedContext>
}

/** Makes an inode that nobody has had a lock on, for fibers that may make its context. */
export const lockedInode = (makers: ReadonlyArray<string>): LockedInode => {
  const none: ReadonlyArray<string> = []
  const junk: { is: "junk" | "context" | "freed"; leases: ReadonlyArray<string> } = { is: "junk", leases: none }
  return {
    flctx: cell<string | null>("i_flctx", null),
    contexts: new Map(makers.map((maker) => [maker, { state: struct(`${maker}.flctx`, junk) }])),
  }
}

/** The context that somebody has made. Within a step. */
export const contextOf = ({ contexts }: LockedInode, maker: string): AllocatedContext["state"] => {
  const found = contexts.get(maker)
  if (found === undefined) throw new RangeError(`${maker} makes no contexts`)
  return found.state
}

/** `locks_get_lock_context`: whose context it is. */
const locksGetLockContext = procedure(function* (inode: LockedInode) {
  const { flctx } = inode
  const there = yield* step("locks_get_lock_context: smp_load_acquire", [], () => flctx.value)
  if (there !== null) return there
  yield* step("INIT_LIST_HEAD", [], () => {
    contextOf(inode, self()).is = "context"
  })
  const before = yield* step("cmpxchg", [], () => {
    const old = flctx.value
    flctx.value ??= self()
    return old
  })
  if (before === null) return yield* step("locks_get_lock_context: out", [], self)
  yield* step("kmem_cache_free", [], () => {
    contextOf(inode, self()).is = "freed"
  })
  return before
})

/** `generic_add_lease`, as far as it concerns the context. */
export const addLease = procedure(function* (inode: LockedInode) {
  const whose = yield* locksGetLockContext(inode)
  yield* step("locks_insert_lock_ctx", [whose], () => {
    const context = contextOf(inode, whose)
    context.leases = [...context.leases, self()].sort()
    return context.is
  })
})

/** `break_lease`: no lock is taken to see whether there is anything to be broken. */
export const lookForLeases = procedure(function* (inode: LockedInode) {
  const whose = yield* step("locks_inode_context", [], () => inode.flctx.value)
  if (whose === null) return
  yield* step("list_empty_careful", [whose], () => contextOf(inode, whose).is)
})
