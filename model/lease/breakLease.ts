/** Breaking leases (fs/locks.c: __break_lease): who wants to do what a lease forbids has it recalled, and waits. */
import { enterLoop, procedure, self, step } from "../../checker/program/index.ts"
import { underLock } from "../sync/spinlock.ts"
import { scheduleTimeout, setAlarm } from "./clock.ts"
import {
  anyLeasesConflict,
  type LeaseContext,
  type LeaseKind,
  type LeaseType,
  leasesConflict,
  locksDeleteLock,
  timeOutLeases,
} from "./lease.ts"

/** What a break comes to. -EINTR stands for -ERESTARTSYS. */
export type Broken = "0" | "-EWOULDBLOCK" | "-EINTR"

/**
 * `break_lease`, `break_layout` and `__break_lease`.
 *
 * @param block whether to wait; who does not (O_NONBLOCK) has them recalled nevertheless
 */
export const breakLease = procedure(function* (
  context: LeaseContext,
  kind: LeaseKind,
  type: LeaseType,
  block: boolean,
) {
  const { name, lock, leases, blocked, clock } = context
  const breaker = { kind, type }
  const any = yield* step("break_lease: list_empty_careful", [name], () => leases.value.length > 0)
  if (!any) return "0" as const

  const first = yield* underLock(lock, "__break_lease", [name, block], (): Broken | "wait" => {
    timeOutLeases(context)
    if (!anyLeasesConflict(context, breaker)) return "0"
    recallLeases(context, breaker)
    if (!anyLeasesConflict(context, breaker)) return "0"
    if (!block) return "-EWOULDBLOCK"
    return blockOn(context, breaker)
  })
  if (first !== "wait") return first

  const head = yield* enterLoop("__break_lease: restart")
  for (;;) {
    yield* head()
    const woken = yield* scheduleTimeout(
      clock,
      "__break_lease: wait_event_interruptible_timeout",
      () => !blocked.value.some(({ fiber }) => fiber === self()),
    )
    const next = yield* underLock(lock, "__break_lease: restart", [name, woken], (): Broken | "wait" => {
      // __locks_delete_block
      blocked.value = blocked.value.filter(({ fiber }) => fiber !== self())
      if (woken === "interrupted") return "-EINTR"
      if (woken === "timeout") timeOutLeases(context)
      if (!anyLeasesConflict(context, breaker)) return "0"
      // Not so in the kernel, which waits for a lease that was granted meanwhile, and has nobody told.
      recallLeases(context, breaker)
      return blockOn(context, breaker)
    })
    if (next !== "wait") return next
  }
})

/** Marks the leases that are in the way, once each, and has their holders told. Within a step. */
const recallLeases = (context: LeaseContext, breaker: { readonly kind: LeaseKind; readonly type: LeaseType }): void => {
  const { leases, manager, clock } = context
  const breakTime = clock.state.jiffies + context.leaseBreakTime
  for (const lease of leases.value) {
    const write = breaker.type === "write"
    if (!leasesConflict(lease, breaker) || lease.unlockPending || (!write && lease.downgradePending)) continue
    const kept = manager.lmBreak({
      ...lease,
      ...(write ? { unlockPending: true, breakTime } : { downgradePending: true, downgradeTime: breakTime }),
    })
    if (kept === null) locksDeleteLock(context, lease.owner)
    else leases.value = leases.value.map((each) => (each.owner === kept.owner ? kept : each))
  }
}

/**
 * `locks_insert_block` on the first lease in the way, until it is due; one that is due, or never will be, for a tick.
 * Within a step.
 */
const blockOn = (
  { leases, blocked, clock }: LeaseContext,
  breaker: { readonly kind: LeaseKind; readonly type: LeaseType },
): "wait" => {
  const lease = leases.value.find((each) => leasesConflict(each, breaker))
  if (lease === undefined) throw new RangeError("nothing to wait for")
  const { jiffies } = clock.state
  const due = lease.unlockPending ? lease.breakTime : lease.downgradeTime
  setAlarm(clock, due > jiffies ? due : jiffies + 1)
  blocked.value = [...blocked.value, { fiber: self(), owner: lease.owner }]
  return "wait"
}
