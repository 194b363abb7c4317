/** Seeded bugs: a lock that is not taken, and what has to be done in the end and is not, or too late. */
import { changeResult, leaveOut, moveBehind, type SeededBug } from "../../../../checker/index.ts"
import { withoutLock } from "../../../withoutLock.ts"
import { ownExclusive, ownMigrate, twoPass, twoPassRefused } from "../scenarios/devices.ts"
import { firstInsert, getPut, nonBlockable, register } from "../scenarios/subscriptions.ts"
import type { MmuNotifierWorld } from "../world.ts"

const inGetPut = { scenario: getPut.id, bound: { pages: 1, users: 2, cpus: 1 } }
const inTwoPass = { scenario: twoPass.id, bound: { pages: 1, devices: 1, cpus: 1 } }
const inExclusive = { scenario: ownExclusive.id, bound: { others: 1, cpus: 0 } }

export const omissions: ReadonlyArray<SeededBug<MmuNotifierWorld>> = [
  {
    id: "get-without-mmap-lock",
    title: "two users get a driver's notifier at once without mmap_lock, neither finds it, and each makes one",
    source: "mm/mmu_notifier.c: mmu_notifier_get_locked, mmap_assert_write_locked, by inference",
    ...inGetPut,
    breaks: "NOTIFIER-GET-ONE",
    at: () => ({ mmap_write_lock: leaveOut(), mmap_write_unlock: leaveOut() }),
  },
  {
    id: "register-without-anon-locks",
    title: "register takes the locks of files and not those of anonymous areas",
    source: "mm/vma.c: mm_take_all_locks, vm_lock_anon_vma, by inference",
    scenario: register.id,
    bound: { pages: 1, devices: 1, cpus: 0, exit: 0 },
    breaks: "NOTIFIER-REG-LOCKED",
    at: () => ({ vm_lock_anon_vma: leaveOut(), vm_unlock_anon_vma: leaveOut() }),
  },
  {
    id: "exclusive-announced-unlocked",
    title: "who takes a page back from a device announces that without mmap_lock",
    source: "mm/memory.c: remove_device_exclusive_entry; mm/mmu_notifier.c: __mmu_notifier_register, by inference",
    ...inExclusive,
    breaks: "NOTIFIER-START-LOCKED",
    at: () => ({ mmap_read_lock: leaveOut(), mmap_read_unlock: leaveOut() }),
  },
  {
    id: "exclusive-entry-stays",
    title: "who takes a page back from a device has it drop the page, and leaves the exclusive entry where it is",
    source: "mm/memory.c: restore_exclusive_pte, by inference",
    ...inExclusive,
    breaks: "EXCL-RESTORED",
    at: () => ({ restore_exclusive_pte: leaveOut() }),
  },
  {
    id: "retry-without-lock",
    title: "a driver asks whether anything was invalidated, and maps, without its lock",
    source: "mm/mmu_notifier.c: mmu_interval_read_retry (kernel-doc), by inference",
    ...inTwoPass,
    breaks: "SEQ-SETSEQ-UNDER-ULOCK",
    at: (_, fiber) => (fiber.startsWith("gpu") ? { mutex_lock: leaveOut(), mutex_unlock: leaveOut() } : {}),
  },
  {
    id: "maps-behind-unlock",
    title: "a driver unlocks when nothing was invalidated, and maps the page then",
    source: "Documentation/mm/hmm.rst: take_lock(driver->update), by inference",
    ...inTwoPass,
    breaks: "MIRROR-TABLE-LOCKED",
    at: (_, fiber) => (fiber.startsWith("gpu") ? moveBehind("device_map", "mutex_unlock") : {}),
  },
  {
    id: "start-before-deferred",
    title: "an invalidation starts before the end of the last one has put into the tree what it kept waiting",
    source: "mm/mmu_notifier.c: mn_itree_inv_end, the list deferred_list under subscriptions->lock, by inference",
    scenario: firstInsert.id,
    bound: { pages: 1, devices: 1, cpus: 2 },
    breaks: "SEQ-TREE-FROZEN",
    at: ({ mm }) => ({ mn_itree_inv_start_range: withoutLock(() => mm.subs.itree.lock) }),
  },
  {
    id: "finish-behind-end",
    title: "after a refusal the second pass of a callback runs when the invalidation has ended",
    source: "mm/mmu_notifier.c: mn_itree_invalidate, by inference",
    scenario: twoPassRefused.id,
    bound: { pages: 1, devices: 1, attempts: 1, cpus: 0 },
    breaks: "NOTIFIER-CB-CONTEXT",
    at: (_, fiber) => (fiber === "oom_reaper" ? moveBehind("xe_userptr_invalidate_finish", "mn_itree_inv_end") : {}),
  },
  {
    id: "insert-without-mmgrab",
    title: "an interval subscription has no reference to the address space",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert, mmgrab, by inference",
    scenario: firstInsert.id,
    bound: { pages: 1, devices: 1, cpus: 1 },
    breaks: "NOTIFIER-MMCOUNT",
    at: () => ({ mmgrab: leaveOut() }),
  },
  {
    id: "put-never-frees",
    title: "the callback behind the last put's grace period drops the address space and does not free the notifier",
    source: "mm/mmu_notifier.c: mmu_notifier_free_srcu, by inference",
    ...inGetPut,
    breaks: "NOTIFIER-FREED",
    at: () => ({ free_notifier: leaveOut() }),
  },
  {
    id: "migration-keeps-old-page",
    title: "a page was moved to a device, and the one that it was moved from is not freed",
    source: "mm/migrate_device.c: migrate_vma_finalize, by inference",
    scenario: ownMigrate.id,
    bound: { others: 0, cpus: 0 },
    breaks: "NOTIFIER-PAGES-FREED",
    at: () => ({ migrate_vma_finalize: leaveOut() }),
  },
  {
    id: "reaper-keeps-mmap-lock",
    title: "the OOM reaper was refused, and goes without unlocking mmap_lock",
    source: "mm/oom_kill.c: oom_reap_task_mm, by inference",
    scenario: nonBlockable.id,
    bound: { pages: 1, attempts: 1, cpus: 0 },
    breaks: "NOTIFIER-LOCKS-FREE",
    at: () => ({ mmap_read_unlock: leaveOut() }),
  },
  {
    id: "retry-the-wrong-way-round",
    title: "a driver begins again when nothing was invalidated, and so for ever",
    source: "Documentation/mm/hmm.rst: the retry loop, by inference",
    ...inTwoPass,
    breaks: "L-ACCESS",
    at: () => ({ mmu_interval_read_retry: changeResult((retry) => retry !== true) }),
  },
]
