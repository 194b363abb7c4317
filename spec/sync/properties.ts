/** What RCU and SRCU promise, as executable specs, and what SRCU's algorithm keeps to in order to. */
import { actionInvariant, type Property } from "../../checker/index.ts"
import { IDLE, openSections, SCAN2, seqState } from "../../model/sync/srcuTree.ts"
import { mustNotSleep } from "./implementations.ts"
import type { SyncWorld } from "./world.ts"

type Spec = Property<SyncWorld>

const list = (names: ReadonlyArray<string>): string => names.join(", ")

/** The promises, which are the same for the small models and for the algorithm. */
export const promised: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "SYNC-GRACE-PERIOD",
    statement:
      "When synchronize_srcu returns, or a callback of call_srcu runs, every read-side section that was open at the call has been left.",
    source:
      "kernel/rcu/srcutree.c: synchronize_srcu, call_srcu (kernel-doc); kernel/rcu/tree.c: synchronize_rcu, call_rcu",
    premise: ({ history }) => history.waits.waited,
    holds: ({ history }) => history.waits.early.length === 0,
    explain: ({ history }) =>
      `The grace period of ${list(history.waits.early)} ended while a section was open that had been at its call.`,
  },
  {
    kind: "invariant",
    id: "SYNC-NO-UAF",
    statement: "What a reader found in its section is not freed before it leaves it.",
    source: "Documentation/RCU/checklist.rst",
    premise: ({ history }) => [...history.readers.values()].some(({ holds }) => holds !== ""),
    holds: (world) => stale(world).length === 0,
    explain: (world) => stale(world).join(" "),
  },
  {
    kind: "progress",
    id: "SYNC-NO-DEADLOCK",
    statement: "Nobody who waits for a grace period, or in a barrier, is stuck.",
    source: "kernel/rcu/srcutree.c: synchronize_srcu (kernel-doc)",
    stuck: (_, waiting) => waiting.some(({ step }) => step.endsWith(": wait_for_completion")),
  },
]

const stale = ({ history, objects }: SyncWorld): ReadonlyArray<string> =>
  [...history.readers].flatMap(([name, { holds }]) =>
    objects.get(holds)?.value === "freed" ? [`${name} uses ${holds}, which is freed.`] : [],
  )

/** Of programs that come to an end. */
export const freedInTheEnd: Spec = {
  kind: "atEnd",
  id: "SYNC-FREED",
  statement: "When everything has ended, whatever was replaced is freed.",
  source: "Documentation/RCU/whatisRCU.rst: reclamation",
  holds: ({ objects, pointer }) =>
    [...objects].every(([name, { value }]) => value !== "live" || name === pointer.value),
}

/** Of callbacks and barriers. */
export const callbackPromises: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "SYNC-CALLBACK-ORDER",
    statement: "Callbacks run in the order in which they were queued.",
    source: "kernel/rcu/rcu_segcblist.c: rcu_segcblist_enqueue, of one list",
    premise: ({ history }) => history.callbacks.ran.length > 0,
    holds: ({ history }) => history.callbacks.outOfOrder.length === 0,
    explain: ({ history }) => `${list(history.callbacks.outOfOrder)} ran before one that had been queued earlier.`,
  },
  {
    kind: "atEnd",
    id: "SYNC-CALLBACK-ONCE",
    statement: "When everything has ended, each callback has run exactly once.",
    source: "kernel/rcu/srcutree.c: call_srcu (kernel-doc)",
    holds: ({ history }) => {
      const { queued, ran } = history.callbacks
      return queued.length === 0 && new Set(ran).size === ran.length
    },
    explain: ({ history }) => `${list(history.callbacks.ran)} ran, and ${list(history.callbacks.queued)} did not.`,
  },
  {
    kind: "invariant",
    id: "SYNC-BARRIER",
    statement: "When srcu_barrier returns, every callback that was queued at the call has run.",
    source: "kernel/rcu/srcutree.c: srcu_barrier (kernel-doc); kernel/rcu/tree.c: rcu_barrier",
    premise: ({ history }) => history.callbacks.barrierWaited,
    holds: ({ history }) => history.callbacks.barrierEarly.length === 0,
    explain: ({ history }) =>
      `The barrier of ${list(history.callbacks.barrierEarly)} returned before such a callback ran.`,
  },
  {
    kind: "invariant",
    id: "SYNC-BARRIER-LEFT",
    statement: "When the domain is taken down, or the module that callbacks are code of, nobody waits in a barrier.",
    source: "kernel/rcu/srcutree.c: srcu_barrier, srcu_barrier_completion; kernel/module/main.c: free_module",
    premise: ({ history }) => history.cleanup.value !== null && history.callbacks.barrierWaited,
    holds: (world) => waitingStill(world).length === 0,
    explain: (world) => `${list(waitingStill(world))} waits in a barrier still.`,
  },
]

const waitingStill = ({ history }: SyncWorld): ReadonlyArray<string> =>
  history.cleanup.value === null ? [] : Object.keys(history.callbacks.barriers)

/** Of a domain of SRCU, which comes and goes. */
export const cleanupProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "SRCU-CLEANUP",
    statement: "A domain that is taken down has no readers, no callbacks, and no grace period under way.",
    source: "kernel/rcu/srcutree.c: cleanup_srcu_struct, its warnings",
    premise: ({ history }) => history.cleanup.value !== null,
    holds: ({ history }) => (history.cleanup.value ?? []).length === 0,
    explain: ({ history }) => `cleanup_srcu_struct warns: ${list(history.cleanup.value ?? [])}.`,
  },
]

/** Of RCU alone. */
export const rcuProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "RCU-MODULE",
    statement: "A module whose code callbacks are is freed when all of them have run.",
    source: "Documentation/RCU/rcubarrier.rst; kernel/module/main.c: free_module",
    premise: ({ history }) => history.cleanup.value !== null,
    holds: ({ history }) => (history.cleanup.value ?? []).length === 0,
    explain: ({ history }) => `The module goes, and there are still ${list(history.cleanup.value ?? [])}.`,
  },
  {
    kind: "invariant",
    id: "RCU-NO-SLEEP",
    statement: "Nobody inside a section of RCU takes a lock that may sleep.",
    source: "include/linux/rcupdate.h: rcu_read_lock (kernel-doc); commit 21a92735f660, for mmu notifiers",
    premise: ({ kind, small, history }) => [...history.readers.keys()].some((name) => mustNotSleep(kind, small, name)),
    holds: ({ kind, small, lock }) => !mustNotSleep(kind, small, lock.state.holder),
    explain: ({ lock }) => `${lock.state.holder} has taken ${lock.name} inside a section of RCU.`,
  },
]

/** Of the algorithm. */
export const treeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "SRCUTREE-COUNTED",
    statement: "As many sections are open as the counters of locks are ahead of those of unlocks.",
    source: "kernel/rcu/srcutree.c: __srcu_read_lock, __srcu_read_unlock",
    premise: ({ history }) => [...history.readers.values()].some(({ depth }) => depth > 0),
    // Those who start a grace period count themselves too while they do.
    holds: ({ tree, history }) =>
      tree === undefined ||
      openSections(tree) >= [...history.readers.values()].reduce((sum, { depth }) => sum + depth, 0),
  },
  actionInvariant({
    id: "SRCUTREE-SEQ",
    statement: "The sequence of grace periods goes from idle to the first scan, to the second, and to idle again.",
    source: "kernel/rcu/rcu.h: rcu_seq_start, rcu_seq_set_state, rcu_seq_end",
    observe: ({ tree }: SyncWorld) => tree?.sup.srcu_gp_seq ?? 0,
    premise: (before, after) => before !== after,
    holds: (before, after) => before === after || after === (seqState(before) === SCAN2 ? before + 2 : before + 1),
    explain: (before, after) => `The sequence went from ${before} to ${after}.`,
  }),
  actionInvariant({
    id: "SRCUTREE-FLIP-IN-SCAN1",
    statement: "The index flips between the two scans of a grace period and at no other time.",
    source: "kernel/rcu/srcutree.c: srcu_advance_state",
    observe: ({ tree }: SyncWorld) => ({ idx: tree?.idx.srcu_idx ?? 0, state: seqState(tree?.sup.srcu_gp_seq ?? 0) }),
    premise: (before, after) => before.idx !== after.idx,
    holds: (before, after) => before.idx === after.idx || (before.state === 1 && after.state === 1),
  }),
  {
    kind: "invariant",
    id: "SRCUTREE-DRIVEN",
    statement: "A grace period that is under way has its work item queued or running.",
    source: "kernel/rcu/srcutree.c: srcu_reschedule, srcu_funnel_gp_start",
    premise: ({ tree }) => tree !== undefined && seqState(tree.sup.srcu_gp_seq) !== IDLE,
    holds: ({ tree }) =>
      tree === undefined || seqState(tree.sup.srcu_gp_seq) === IDLE || tree.work.pending || tree.work.running,
  },
]

/** What comes about in the end. */
export const comesAbout: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-SYNCHRONIZE",
    statement: "synchronize_srcu returns if readers leave their sections, however many others enter theirs.",
    source: "kernel/rcu/srcutree.c: synchronize_srcu (kernel-doc)",
    to: ({ updaters }, fibers) => updaters.every((name) => fibers.ended(name)),
  },
]
