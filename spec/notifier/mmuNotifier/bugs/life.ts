/** Seeded bugs of notifiers that come and go. */
import * as Effect from "effect/Effect"
import { changeBody, changeGuard, leaveOut, type SeededBug } from "../../../../checker/index.ts"
import { listDelete } from "../../../../model/notifier/mmuNotifier.ts"
import { underLock } from "../../../../model/sync/spinlock.ts"
import { zoo } from "../../../bugZoo.ts"
import {
  firstInsert,
  getPut,
  moduleExit,
  overlapping,
  register,
  releaseOnce,
  unregister,
} from "../scenarios/subscriptions.ts"
import type { MmuNotifierWorld } from "../world.ts"

const inUnregister = { scenario: unregister.id, bound: { pages: 1, devices: 1, others: 0, cpus: 0, exit: 1 } }
const inUnregisterAndTruncate = {
  scenario: unregister.id,
  bound: { pages: 1, devices: 1, others: 0, cpus: 1, exit: 1 },
}
const inGetPut = { scenario: getPut.id, bound: { pages: 1, users: 2, cpus: 1 } }
const inRegister = { scenario: register.id, bound: { pages: 1, devices: 1, cpus: 0, exit: 0 } }

const withoutWaiting = { synchronize_srcu: leaveOut(), "synchronize_srcu: wait_for_completion": leaveOut() }

export const lifeBugs: ReadonlyArray<SeededBug<MmuNotifierWorld>> = [
  {
    id: "walk-without-srcu",
    title: "the list is walked outside an SRCU section",
    source: "mm/mmu_notifier.c: the walkers of the list, by inference",
    scenario: overlapping.id,
    bound: { pages: 1, counting: 1, refusing: 0, cpus: 1 },
    breaks: "NOTIFIER-CB-CONTEXT",
    at: () => ({ srcu_read_lock: leaveOut(0), srcu_read_unlock: leaveOut() }),
  },
  {
    id: "unregister-without-grace-period",
    title: "unregister does not wait for those who walk the list, and the driver frees its notifier",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister, synchronize_srcu",
    ...inUnregisterAndTruncate,
    breaks: "NOTIFIER-NO-CB-AFTER-UNREGISTER",
    at: (_, fiber) => (fiber.startsWith("kvm") ? withoutWaiting : {}),
  },
  {
    id: "exit-without-grace-period",
    title: "exit does not wait for who has unlinked its notifier and is in the middle of its release",
    source: "mm/mmu_notifier.c: mn_hlist_release, the comment on synchronize_srcu",
    scenario: releaseOnce.id,
    bound: { pages: 1, devices: 1 },
    breaks: "NOTIFIER-RELEASE-BEFORE-FREE",
    at: (_, fiber) => (fiber === "exit" ? withoutWaiting : {}),
  },
  {
    id: "put-without-grace-period",
    title: "the last put frees the notifier at once, whoever may stand at it",
    source: "commit 6d7c3cde93c1: mm/hmm: fix use after free with struct hmm in the mmu notifiers; mmu_notifier_put",
    references: zoo(29),
    ...inGetPut,
    breaks: "NOTIFIER-FREE-AFTER-GRACE",
    at: () => ({ srcu_invoke_callbacks: changeGuard() }),
  },
  {
    id: "module-exit-without-synchronize",
    title: "a module goes without waiting for the notifiers that it has put, and their free_notifier with it",
    source: "mm/mmu_notifier.c: mmu_notifier_synchronize (kernel-doc), mmu_notifier_put",
    scenario: moduleExit.id,
    bound: { pages: 1, cpus: 1 },
    breaks: "NOTIFIER-MODULE-EXIT",
    at: () => ({ srcu_barrier: leaveOut(), "srcu_barrier: wait_for_completion": leaveOut() }),
  },
  {
    id: "unregister-vs-release",
    title: "unregister unlinks a notifier because it was on the list before exit took it off",
    source: "commit 751efd8610d3: mmu_notifier_unregister NULL Pointer deref and multiple ->release() callouts",
    references: zoo(28),
    ...inUnregister,
    breaks: "NOTIFIER-UNLINK-ONCE",
    at: () => ({
      "mmu_notifier_unregister: hlist_del_init_rcu": changeBody(({ body }) => (body() === true ? true : "twice")),
    }),
  },
  {
    id: "fault-after-release",
    title: "a device faults without a user's reference to the address space, and does not look whether release has run",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister, the comment on release; by inference",
    ...inUnregister,
    breaks: "NOTIFIER-RELEASE-IDEMPOTENT",
    at: ({ counting }, fiber) =>
      fiber === "exit"
        ? {}
        : {
            mmget_not_zero: leaveOut(true),
            mmput: leaveOut(false),
            mmu_invalidate_retry: changeBody(({ args, body }) => {
              const device = counting.find(({ name }) => name === args[0])
              if (device === undefined) return body()
              const { released } = device.state
              device.state.released = false
              const answer = body()
              device.state.released = released
              return answer
            }),
          },
  },
  {
    id: "register-without-mmgrab",
    title: "a notifier is registered without a reference to the address space",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, mmgrab",
    ...inRegister,
    breaks: "NOTIFIER-MMCOUNT",
    at: ({ mm }) => ({
      __mmu_notifier_register: changeBody(({ body }) => {
        body()
        mm.state.count--
      }),
    }),
  },
  {
    id: "nobody-unlinks",
    title: "exit leaves the list as it is, as all of it goes, and unregister leaves it to exit",
    source: "mm/mmu_notifier.c: __mmu_notifier_subscriptions_destroy, BUG_ON(!hlist_empty(...))",
    ...inUnregister,
    breaks: "NOTIFIER-SUBS-LIFETIME",
    at: () => ({
      "mn_hlist_release: hlist_del_init_rcu": leaveOut(),
      "mmu_notifier_unregister: hlist_del_init_rcu": leaveOut(true),
    }),
  },
  {
    id: "put-frees-subscriptions",
    title: "the put of the last notifier on the list takes the subscriptions with it",
    source: "mm/mmu_notifier.c: notifier_subscriptions lives as long as the mm_struct, by inference",
    ...inGetPut,
    breaks: "NOTIFIER-SUBS-CONSTANT",
    at: ({ mm }) => ({
      mmu_notifier_put: changeBody(({ body }) => {
        const last = body()
        if (mm.subs.state.first === "") mm.subs.state.published = false
        return last
      }),
    }),
  },
  {
    id: "register-without-mmget",
    title: "a driver registers with the address space of a process that may exit meanwhile",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, BUG_ON(atomic_read(&mm->mm_users) <= 0)",
    scenario: register.id,
    bound: { pages: 1, devices: 1, cpus: 0, exit: 1 },
    breaks: "NOTIFIER-REG-MMUSERS",
    at: (_, fiber) => {
      let calls = 0
      const atFirst = (result: boolean | undefined) => (original: Effect.Effect<unknown>) =>
        Effect.suspend(() => (calls++ === 0 ? Effect.succeed(result) : original))
      return fiber === "exit" ? {} : { mmget_not_zero: atFirst(true) }
    },
  },
  {
    id: "put-unlinks-later",
    title: "the last put takes the notifier off the list in a critical section of its own",
    source: "mm/mmu_notifier.c: mmu_notifier_put, by inference",
    ...inGetPut,
    breaks: "NOTIFIER-USERS-POS",
    at: ({ mm }) => ({
      mmu_notifier_put: (original, { args }) => {
        const put = mm.subs.byName.get(String(args[0]))
        if (put === undefined) return original
        const decremented = underLock(mm.subs.itree.lock, "mmu_notifier_put", args, () => {
          put.state.users--
          return put.state.users === 0
        })
        const unlinked = underLock(mm.subs.itree.lock, "hlist_del_init_rcu", args, () => listDelete(mm.subs, put))
        return Effect.flatMap(decremented, (last) => (last ? Effect.as(unlinked, true) : Effect.succeed(false)))
      },
    }),
  },
  {
    id: "signal-keeps-all-locks-mutex",
    title: "who is interrupted while it takes all locks keeps the mutex of it",
    source: "mm/mmap.c: mm_take_all_locks, out_unlock; by inference",
    scenario: register.id,
    bound: { pages: 1, devices: 2, cpus: 0, exit: 0 },
    breaks: "L-REGISTER",
    at: () => {
      let interrupted = false
      return {
        signal_pending: (original) =>
          Effect.tap(original, (pending) =>
            Effect.sync(() => {
              interrupted = pending === true
            }),
          ),
        mutex_unlock: (original) => Effect.suspend(() => (interrupted ? Effect.void : original)),
      }
    },
  },
  {
    id: "unregister-inside-section",
    title: "unregister waits for the end of a section that it is in itself",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister, srcu_read_unlock before synchronize_srcu; by inference",
    ...inUnregister,
    breaks: "L-UNREG",
    at: (_, fiber) => (fiber.startsWith("kvm") ? { srcu_read_unlock: leaveOut() } : {}),
  },
  {
    id: "first-insert-without-all-locks",
    title:
      "the first interval subscription makes the tree while ranges are open, whose ends it counts and not their starts",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_insert calls mmu_notifier_register(NULL, mm)",
    scenario: firstInsert.id,
    bound: { pages: 1, devices: 1, cpus: 1 },
    breaks: "NOTIFIER-PAIRING",
    at: () => ({ vm_lock_mapping: leaveOut(), vm_unlock_mapping: leaveOut() }),
  },
]
