/** Seeded bugs of leases on files. */
import { changeBody, changeResult, leaveOut, moveBehind, type SeededBug } from "../../../checker/index.ts"
import { release } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { opening, time } from "./scenarios.ts"
import type { FcntlWorld } from "./world.ts"

export const fcntlBugs: ReadonlyArray<SeededBug<FcntlWorld>> = [
  {
    id: "setlease-vs-open",
    title: "who has put its lease on the list does not look again who has the file open",
    source: "commit 24cbe7845ea5: locks: close potential race between setlease and open",
    references: zoo(14),
    scenario: opening.id,
    breaks: "LEASE-OPEN",
    at: ({ leases }) => ({
      "generic_add_lease: smp_mb": changeBody(() => {
        release(leases.lock)
        return "0"
      }),
    }),
  },
  {
    id: "break-lease-without-fence",
    title: "the look at the list of leases overtakes the store that says that the file is being opened",
    source: "include/linux/filelock.h: break_lease, smp_mb",
    references: zoo(14),
    scenario: opening.id,
    breaks: "LEASE-OPEN",
    at: () => ({
      ...moveBehind("get_write_access", "break_lease: list_empty_careful"),
    }),
  },
  {
    id: "lease-told-again",
    title: "everybody who breaks a lease has its holder told, be it pending or not",
    source: "fs/locks.c: __break_lease, FL_UNLOCK_PENDING",
    scenario: opening.id,
    bound: { openers: 2, leaseBreakTime: 1, end: 2 },
    breaks: "LEASE-BREAK-ONCE",
    at: ({ leases }) => ({
      __break_lease: changeBody((operation) => {
        leases.leases.value = leases.leases.value.map((lease) => ({ ...lease, unlockPending: false }))
        return operation.body()
      }),
    }),
  },
  {
    id: "lease-downgraded-unasked",
    title: "a break takes away leases that nobody has been told of",
    source: "fs/locks.c: time_out_leases, past_time: 0 is never",
    scenario: opening.id,
    breaks: "LEASE-TIME",
    at: ({ leases }) => ({
      __break_lease: changeBody((operation) => {
        leases.leases.value = leases.leases.value.map((lease) =>
          lease.unlockPending ? lease : { ...lease, type: "read" },
        )
        return operation.body()
      }),
    }),
  },
  {
    id: "lease-break-not-timed",
    title: "a lease that is to be given up has no time by which it is overdue",
    source: "fs/locks.c: __break_lease, fl_break_time",
    scenario: time.id,
    breaks: "LEASE-BREAK-TIME",
    at: ({ leases }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        leases.leases.value = leases.leases.value.map((lease) => ({ ...lease, breakTime: 0 }))
        return result
      }),
    }),
  },
  {
    id: "lease-break-signal-lost",
    title: "who breaks a lease goes on waiting when a signal comes, and does not sleep any more",
    source: "fs/locks.c: __break_lease, error of wait_event_interruptible_timeout",
    scenario: opening.id,
    bound: { openers: 1, leaseBreakTime: 5, end: 2 },
    breaks: "L-BREAK",
    at: () => ({ "__break_lease: restart": changeResult((result) => (result === "-EINTR" ? "wait" : result)) }),
  },
  {
    id: "lease-not-listed",
    title: "a lease is granted and not put on the list",
    source: "fs/locks.c: generic_add_lease, by inference",
    scenario: opening.id,
    breaks: "LEASE-LISTED",
    at: () => ({ locks_insert_lock_ctx: leaveOut() }),
  },
  {
    id: "lease-given-up-stays",
    title: "a lease that its holder gives up stays on the list",
    source: "fs/locks.c: generic_delete_lease, by inference",
    scenario: opening.id,
    breaks: "LEASE-HELD",
    at: () => ({ generic_delete_lease: changeBody(() => true) }),
  },
  {
    id: "lease-holder-not-told",
    title: "a lease is to be given up, and its holder hears nothing of it",
    source: "fs/locks.c: lease_break_callback, by inference",
    scenario: opening.id,
    breaks: "LEASE-TOLD",
    at: ({ signal }) => ({
      __break_lease: changeBody((operation) => {
        const result = operation.body()
        signal.value = false
        return result
      }),
    }),
  },
  {
    id: "lease-waiter-not-woken",
    title: "a lease goes, and those who wait for that are not woken",
    source: "fs/locks.c: locks_delete_lock_ctx, by inference",
    scenario: opening.id,
    bound: { openers: 2, leaseBreakTime: 1, end: 2 },
    breaks: "LEASE-BLOCKED",
    at: ({ leases }) => ({
      generic_delete_lease: changeBody(() => {
        leases.leases.value = []
        return true
      }),
    }),
  },
  {
    id: "file-access-not-put",
    title: "a file that is closed counts as open",
    source: "include/linux/fs.h: put_file_access, by inference",
    scenario: opening.id,
    breaks: "LEASE-CLOSED",
    at: () => ({ put_file_access: leaveOut() }),
  },
]
