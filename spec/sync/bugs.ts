/** Seeded bugs of those who use RCU and SRCU, and of the grace periods that they rely on. */
import * as Effect from "effect/Effect"
import { changeGuard, leaveOut, moveBehind, type Replacements, type SeededBug } from "../../checker/index.ts"
import { mutexLock, mutexUnlock } from "../../model/sync/mutex.ts"
import {
  rcuBarriers,
  rcuCallbacks,
  rcuGracePeriods,
  srcuBarriers,
  srcuCallbacks,
  srcuGracePeriods,
  treeSteadyReaders,
} from "./scenarios.ts"
import type { SyncWorld } from "./world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inGracePeriods = {
  scenario: srcuGracePeriods.id,
  bound: { readers: 1, rounds: 1, updaters: 1, updates: 1 },
}

/** The updater enters a section before it replaces the object and leaves it when that is freed. */
const updatesInSection = ({ implementation }: SyncWorld, fiber: string): Replacements => {
  let section = 0
  return {
    rcu_assign_pointer: (original) =>
      Effect.flatMap(implementation.readLock(fiber), (entered) => {
        section = entered
        return original
      }),
    kfree: (original) =>
      Effect.andThen(
        original,
        Effect.suspend(() => implementation.readUnlock(fiber, section)),
      ),
  }
}

export const usageBugs: ReadonlyArray<SeededBug<SyncWorld>> = [
  {
    id: "free-without-grace-period",
    title: "what readers may have found is freed at once",
    source: "Documentation/RCU/whatisRCU.rst",
    ...inGracePeriods,
    breaks: "SYNC-NO-UAF",
    at: () => ({ synchronize_srcu: leaveOut(), "synchronize_srcu: wait_for_completion": leaveOut() }),
  },
  {
    id: "pointer-fetched-before-section",
    title: "the reader fetches the pointer before it enters the section in which it uses it",
    source: "Documentation/RCU/checklist.rst",
    ...inGracePeriods,
    breaks: "SYNC-NO-UAF",
    at: () => moveBehind("srcu_read_lock", "rcu_dereference", 0),
  },
  {
    id: "synchronize-inside-section",
    title: "synchronize_srcu is called inside a section of the same domain",
    source: "kernel/rcu/srcutree.c: synchronize_srcu (kernel-doc), __synchronize_srcu (RCU_LOCKDEP_WARN)",
    ...inGracePeriods,
    breaks: "SYNC-NO-DEADLOCK",
    at: updatesInSection,
  },
  {
    id: "srcu-synchronize-inside-section",
    title: "synchronize_srcu inside a section: the work item of the grace period scans for ever",
    source: "kernel/rcu/srcutree.c: synchronize_srcu (kernel-doc), process_srcu",
    scenario: treeSteadyReaders.id,
    bound: { readers: 1 },
    breaks: "L-SYNCHRONIZE",
    at: updatesInSection,
  },
  {
    id: "synchronize-under-readers-lock",
    title: "the updater waits for a grace period with a lock held that readers take in their sections",
    source: "kernel/rcu/srcutree.c: synchronize_srcu (kernel-doc), with a lock for the other srcu_struct",
    ...inGracePeriods,
    breaks: "SYNC-NO-DEADLOCK",
    at: ({ lock }) => ({
      rcu_assign_pointer: (original) => Effect.andThen(mutexLock(lock), original),
      kfree: (original) => Effect.andThen(original, mutexUnlock(lock)),
      rcu_dereference: (original) =>
        Effect.flatMap(mutexLock(lock), () => Effect.tap(original, () => mutexUnlock(lock))),
    }),
  },
  {
    id: "reader-sleeps-under-rcu",
    title: "a reader that may sleep is in a section of RCU",
    source: "commit 21a92735f660: mm: mmu_notifier: have mmu_notifiers use a global SRCU so they may safely schedule",
    scenario: rcuGracePeriods.id,
    bound: { readers: 1, rounds: 1, nesting: 1, updaters: 1, updates: 1 },
    breaks: "RCU-NO-SLEEP",
    at: ({ lock }) => ({
      rcu_dereference: (original) =>
        Effect.flatMap(mutexLock(lock), () => Effect.tap(original, () => mutexUnlock(lock))),
    }),
  },
  {
    id: "exit-without-barrier",
    title: "a module goes without waiting for the callbacks that it has queued",
    source: "mm/mmu_notifier.c: mmu_notifier_synchronize (kernel-doc)",
    scenario: srcuCallbacks.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "SRCU-CLEANUP",
    at: () => ({ srcu_barrier: leaveOut(), "srcu_barrier: wait_for_completion": leaveOut() }),
  },
  {
    id: "synchronize-for-barrier",
    title: "a module waits for a grace period where it should wait for its callbacks",
    source: "Documentation/RCU/rcubarrier.rst",
    scenario: srcuCallbacks.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "SRCU-CLEANUP",
    at: ({ implementation }, fiber) => ({
      srcu_barrier: () => implementation.synchronize(fiber),
      "srcu_barrier: wait_for_completion": leaveOut(),
    }),
  },
]

/** Of the grace periods themselves. */
export const gracePeriodBugs: ReadonlyArray<SeededBug<SyncWorld>> = [
  {
    id: "callback-without-grace-period",
    title: "a callback does not wait for readers",
    source: "kernel/rcu/srcutree.c: call_srcu (kernel-doc)",
    scenario: srcuCallbacks.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "SYNC-GRACE-PERIOD",
    at: () => ({ srcu_invoke_callbacks: changeGuard() }),
  },
  {
    id: "callbacks-out-of-order",
    title: "a callback runs when its own grace period is over, whatever was queued before it",
    source: "kernel/rcu/rcu_segcblist.c: rcu_segcblist_enqueue",
    scenario: srcuCallbacks.id,
    bound: { readers: 1, rounds: 1, calls: 2 },
    breaks: "SYNC-CALLBACK-ORDER",
    at: ({ small }) => ({
      srcu_invoke_callbacks: (original, operation) =>
        changeGuard(
          () =>
            small?.state.callbacks.some(
              (queued) =>
                queued.kind === "callback" &&
                queued.head === operation.args[1] &&
                Object.keys(queued.awaited).length === 0,
            ) === true,
        )(original, operation),
    }),
  },
  {
    id: "barrier-without-callback",
    title: "a barrier does not look at callbacks that are queued already",
    source: "kernel/rcu/srcutree.c: srcu_barrier (kernel-doc)",
    scenario: srcuBarriers.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "SYNC-BARRIER",
    at: () => ({ "srcu_barrier: wait_for_completion": changeGuard() }),
  },
  {
    id: "module-put-before-barrier",
    title: "who waits for callbacks has given its reference to the module back before",
    source: "kernel/module/main.c: module_put, try_stop_module, by inference",
    scenario: rcuBarriers.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "SYNC-BARRIER-LEFT",
    at: (_, fiber) => (fiber === "rmmod" ? {} : moveBehind("rcu_barrier: wait_for_completion", "module_put")),
  },
  {
    id: "rcu-exit-without-barrier",
    title: "a module goes without waiting for its callbacks",
    source: "Documentation/RCU/rcubarrier.rst",
    scenario: rcuCallbacks.id,
    bound: { readers: 1, rounds: 1, calls: 1 },
    breaks: "RCU-MODULE",
    at: () => ({ rcu_barrier: leaveOut(), "rcu_barrier: wait_for_completion": leaveOut() }),
  },
  {
    id: "replaced-and-not-freed",
    title: "what was replaced is never freed",
    source: "Documentation/RCU/whatisRCU.rst, by inference",
    scenario: rcuGracePeriods.id,
    bound: { readers: 1, rounds: 1, nesting: 1, updaters: 1, updates: 1 },
    breaks: "SYNC-FREED",
    at: () => ({ kfree: leaveOut() }),
  },
]
