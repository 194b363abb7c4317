import {
  changeBody,
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
  /** Whether anybody has used a context, and one that is none (any more). */
  readonly used: Struct<{ any: boolean; bad: boolean }>
}

const world = ({ holders, openers }: { readonly holders: number; readonly openers: number }): Setup<ContextWorld> => {
  const inode = lockedInode(names("holder", holders))
  const used = struct("used", { any: false, bad: false })
  const use: Monitor[string] = ({ result }) => {
    used.any = true
    if (result !== "context") used.bad = true
  }
  const fibers = {
    ...fibersNamed("holder", holders, () => addLease(inode)),
    ...fibersNamed("opener", openers, () => lookForLeases(inode)),
  }
  return {
    world: { inode, used },
    fibers,
    monitors: [{ locks_insert_lock_ctx: use, list_empty_careful: use }],
  }
}

const initialised: Property<ContextWorld> = {
  kind: "invariant",
  id: "FLCTX-INITIALISED",
  statement: "Who finds the context of an inode finds its lists initialised, and memory that nobody has given back.",
  source: "fs/locks.c: locks_get_lock_context; section 20 of the reference, row 21",
  premise: ({ used }) => used.any,
  holds: ({ used }) => !used.bad,
}

const onlyOne: Property<ContextWorld> = {
  kind: "invariant",
  id: "FLCTX-ONE",
  statement: "Leases are on the list that the inode leads to: who opens the file finds all of them.",
  source: "fs/locks.c: locks_get_lock_context, cmpxchg",
  premise: ({ used }) => used.any,
  holds: ({ inode }) =>
    [...inode.contexts].every(([maker, { state }]) => state.leases.length === 0 || inode.flctx.value === maker),
}

const first = scenariosOf("lease/context", world, [initialised, onlyOne])(
  "first",
  "processes ask for the first lease on an inode at once, while others open it",
  { holders: parameter("processes that ask for a lease", 2, 3), openers: parameter("processes that open it", 1, 2, 0) },
  (bound) => bound,
)

const bugs: ReadonlyArray<SeededBug<ContextWorld>> = [
  {
    id: "lock-context-published-first",
    title: "the inode leads to the context before the stores that initialise its lists",
    source: "section 20 of the reference, row 21: cmpxchg without the order that it gives, or a load without acquire",
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
    notModelled: [
      "Leases themselves, but for being on the list; POSIX and flock locks, which share the context.",
      "The release of the context with its inode.",
      "Memory is sequentially consistent, but for what a seeded bug reorders.",
    ],
  },
  scenarios: [first],
  bugs,
})
