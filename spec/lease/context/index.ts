import {
  changeBody,
  leaveOut,
  type Monitor,
  moveBehind,
  type Property,
  protocol,
  type SeededBug,
  type Setup,
  type Struct,
  self,
  struct,
} from "../../../checker/index.ts"
import { addLease, contextOf, type LockedInode, lockedInode, lookForLeases } from "../../../model/lease/lockContext.ts"
import { fibersNamed, names, parameter, scenariosOf } from "../../define.ts"

/** What the properties and seeded bugs see. */
interface ContextWorld {
  readonly inode: LockedInode
  /** Whether anybody has used a context, and one that is none (any more); who was granted a lease. */
  readonly used: Struct<{ any: boolean; bad: boolean; granted: ReadonlyArray<string> }>
}

const world = ({ holders, openers }: { readonly holders: number; readonly openers: number }): Setup<ContextWorld> => {
  const inode = lockedInode(names("holder", holders))
  const nobody: ReadonlyArray<string> = []
  const used = struct("used", { any: false, bad: false, granted: nobody })
  const use = (is: unknown) => {
    used.any = true
    if (is !== "context") used.bad = true
  }
  const monitor: Monitor = {
    locks_insert_lock_ctx: ({ fiber, result }) => {
      use(result)
      used.granted = [...used.granted, fiber].sort()
    },
    list_empty_careful: ({ result }) => use(result),
  }
  const fibers = {
    ...fibersNamed("holder", holders, () => addLease(inode)),
    ...fibersNamed("opener", openers, () => lookForLeases(inode)),
  }
  return { world: { inode, used }, fibers, monitors: [monitor] }
}

const initialised: Property<ContextWorld> = {
  kind: "invariant",
  id: "FLCTX-INITIALISED",
  statement: "Who finds the context of an inode finds its lists initialised, and memory that nobody has given back.",
  source: "fs/locks.c: locks_get_lock_context",
  premise: ({ used }) => used.any,
  holds: ({ used }) => !used.bad,
}

const onlyOne: Property<ContextWorld> = {
  kind: "invariant",
  id: "FLCTX-ONE",
  statement: "Leases that were granted are on the list that the inode leads to: who opens the file finds all of them.",
  source: "fs/locks.c: locks_get_lock_context, cmpxchg; generic_add_lease",
  premise: ({ used }) => used.granted.length > 0,
  holds: ({ inode, used }) => {
    const { value: maker } = inode.flctx
    return used.granted.every((owner) => maker !== null && contextOf(inode, maker).leases.includes(owner))
  },
}

const givenBack: Property<ContextWorld> = {
  kind: "atEnd",
  id: "FLCTX-GIVEN-BACK",
  statement: "A context that was made, and is not the inode's, is given back.",
  source: "fs/locks.c: locks_get_lock_context, kmem_cache_free",
  premise: ({ inode }) => [...inode.contexts.values()].every(({ state }) => state.is !== "junk"),
  holds: ({ inode }) =>
    [...inode.contexts].every(([maker, { state }]) => state.is !== "context" || inode.flctx.value === maker),
}

const first = scenariosOf("lease/context", world, [initialised, onlyOne, givenBack])(
  "first",
  "processes ask for the first lease on an inode at once, while others open it",
  { holders: parameter("processes that ask for a lease", 2, 3), openers: parameter("processes that open it", 1, 2, 0) },
  (bound) => bound,
)

const bugs: ReadonlyArray<SeededBug<ContextWorld>> = [
  {
    id: "lock-context-published-first",
    title: "the inode leads to the context before the stores that initialise its lists",
    source: "fs/locks.c: locks_get_lock_context: cmpxchg without the order that it gives, or a load without acquire",
    scenario: first.id,
    breaks: "FLCTX-INITIALISED",
    at: () => moveBehind("INIT_LIST_HEAD", "locks_get_lock_context: out"),
  },
  {
    id: "lock-context-overwritten",
    title: "who makes the context does not look whether another has made one meanwhile",
    source: "fs/locks.c: locks_get_lock_context, cmpxchg",
    scenario: first.id,
    breaks: "FLCTX-ONE",
    at: ({ inode }) => ({
      cmpxchg: changeBody(() => {
        inode.flctx.value = self()
        return null
      }),
    }),
  },
  {
    id: "lock-context-of-loser-leaked",
    title: "who comes second uses the context that is there, and forgets the one that it has made",
    source: "fs/locks.c: locks_get_lock_context, kmem_cache_free",
    scenario: first.id,
    breaks: "FLCTX-GIVEN-BACK",
    at: () => ({ kmem_cache_free: leaveOut() }),
  },
  {
    id: "lock-context-of-winner-freed",
    title: "who comes second gives back the context that is in its place, not the one that it has made",
    source: "fs/locks.c: locks_get_lock_context, kmem_cache_free",
    scenario: first.id,
    breaks: "FLCTX-INITIALISED",
    at: ({ inode }) => ({
      kmem_cache_free: changeBody(() => {
        contextOf(inode, inode.flctx.value ?? self()).is = "freed"
      }),
    }),
  },
]

export const lockContexts = protocol({
  id: "lease/context",
  title: "The context of an inode's leases (fs/locks.c: i_flctx), made once and found without a lock",
  about: {
    purpose:
      "The list of an inode's leases is made by the first who asks for one, without a lock, and found without one by everybody who opens the file. Nobody may find it half made, and two that make it at once must end up with one.",
    actors: {
      holderN: "A process that takes a lease, for which it makes the file's lock context if there is none.",
      openerN: "A process that opens the file, and looks into the lock context for leases, if there is one.",
    },
    state: {
      i_flctx:
        "The inode's pointer to its lock context (i_flctx): whose it is; empty until somebody has published one.",
      holderN:
        "The lock context that the process has allocated (struct file_lock_context): raw memory, a context with its leases, or freed.",
    },
    monitors: {
      used: "Whether anybody has used a lock context, whether one that was none, and who was granted a lease.",
    },
    notModelled: [
      "Leases themselves, but for being on the list; POSIX and flock locks, which share the context.",
      "The release of the context with its inode.",
      "Memory is sequentially consistent, but for what a seeded bug reorders.",
    ],
  },
  scenarios: [first],
  bugs,
})
