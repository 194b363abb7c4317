/** Seeded bugs of the interval notifier and its mirrors. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  changeGuard,
  leaveOut,
  moveBehind,
  type Plain,
  type Replacements,
  type SeededBug,
} from "../../../checker/index.ts"
import type { MirrorDevice } from "../../../model/driver/mirror.ts"
import { mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import { isInvalidating, mmuIntervalNotifierRemove, treeInsert, treeRemove } from "../../../model/notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../../../model/sync/mutex.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { insertRemove, oneFault, overlapping, retries, twoDevices } from "./scenarios.ts"
import type { IntervalWorld } from "./world.ts"

/** Replacements for the fiber that is a device's own. */
const inDevice =
  (replacements: (device: MirrorDevice, world: IntervalWorld) => Replacements) =>
  (world: IntervalWorld, fiber: string): Replacements => {
    const device = world.devices.find(({ name }) => name === fiber)
    return device === undefined ? {} : replacements(device, world)
  }

const deviceNamed = (world: IntervalWorld, name: unknown) => world.devices.find((device) => device.name === name)

/** What read_begin returns before the first invalidation. */
const seqWhenInserted = 1

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inOneFault = { scenario: oneFault.id, bound: { devices: 1, pages: 1, invalidations: 1, removals: 0 } }
const inRetries = { scenario: retries.id, bound: { devices: 1, pages: 1, invalidations: 1, removals: 0 } }
const inTwoDevices = { scenario: twoDevices.id, bound: { devices: 2, pages: 2, invalidations: 2, removals: 0 } }
const inOverlapping = { scenario: overlapping.id, bound: { devices: 1, pages: 1, invalidations: 2, removals: 0 } }
const inInsertRemove = { scenario: insertRemove.id, bound: { devices: 2, pages: 2, invalidations: 1, removals: 2 } }

export const intervalBugs: ReadonlyArray<SeededBug<IntervalWorld>> = [
  {
    id: "callback-takes-mmap-lock",
    title: "the callback looks the process's areas up, for which it takes mmap_lock, as the faults of its device do",
    source:
      "include/linux/mmu_notifier.h: __mmu_notifier_invalidate_range_start_map; Documentation/mm/mmu_notifier.rst",
    ...inOneFault,
    breaks: builtIn.context,
    at: ({ mm }) => ({
      mmu_interval_set_seq: (original) =>
        Effect.andThen(Effect.andThen(mmapReadLock(mm), mmapReadUnlock(mm)), original),
    }),
  },
  {
    id: "end-without-seq-bump",
    title: "the end of an invalidation leaves the sequence odd",
    source: "mm/mmu_notifier.c: mn_itree_inv_end",
    ...inOneFault,
    breaks: "L-READBEGIN",
    at: ({ subs }) => ({
      mn_itree_inv_end: changeBody((operation) => {
        const { seq } = subs.state
        const released = operation.body()
        subs.state.seq = seq
        return released
      }),
    }),
  },
  {
    id: "fault-maps-nothing-accepted",
    title: "the device's fault finds nothing changed, and maps nothing",
    source: "Documentation/mm/hmm.rst, by inference",
    ...inOneFault,
    breaks: "MIRROR-MAPS",
    at: () => ({ device_map: leaveOut() }),
  },
  {
    id: "read-retry-outside-lock",
    title: "the driver asks read_retry before it takes its lock",
    source: "include/linux/mmu_notifier.h: mmu_interval_read_retry",
    ...inOneFault,
    breaks: "MIRROR-NO-UAF",
    at: inDevice(() => moveBehind("mutex_lock", "mmu_interval_read_retry")),
  },
  {
    id: "read-begin-once",
    title: "the driver calls read_begin when it subscribes, and retries with that sequence",
    source: "Documentation/mm/hmm.rst: the label `again` stands before mmu_interval_read_begin",
    ...inRetries,
    breaks: "L-RETRY",
    at: () => ({ mmu_interval_read_begin: leaveOut({ seq: seqWhenInserted, invalidating: false }) }),
  },
  {
    id: "set-seq-omitted",
    title: "the callback drops the device's mappings and does not set the sequence",
    source: "lib/test_hmm.c: dmirror_interval_invalidate, on the driver's own migrations",
    ...inOneFault,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ mmu_interval_set_seq: leaveOut() }),
  },
  {
    id: "insert-idle-seq-equal",
    title: "a subscription inserted while nothing is invalidated starts with the current sequence",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert",
    ...inInsertRemove,
    breaks: "L-READBEGIN",
    at: (world) => ({
      mmu_interval_notifier_insert: changeBody((operation) => {
        operation.body()
        const device = deviceNamed(world, operation.args[0])
        if (device !== undefined && world.subs.state.active === 0) device.iv.state.seq = world.subs.state.seq
      }),
    }),
  },
  {
    id: "insert-full-seq-minus-one",
    title: "a subscription inserted during an invalidation starts with the sequence before it",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert",
    ...inInsertRemove,
    breaks: "MIRROR-NO-UAF",
    at: (world) => ({
      mmu_interval_notifier_insert: changeBody((operation) => {
        operation.body()
        const device = deviceNamed(world, operation.args[0])
        if (device !== undefined && isInvalidating(world.subs)) device.iv.state.seq = world.subs.state.seq - 1
      }),
    }),
  },
  {
    id: "tree-edited-while-odd",
    title: "insert and remove change the interval tree while an invalidation walks it",
    source: "mm/mmu_notifier.c: mn_itree_inv_end, deferred_list",
    ...inInsertRemove,
    breaks: "SEQ-TREE-FROZEN",
    at: ({ subs }) => ({
      mmu_interval_notifier_insert: changeBody((operation) => {
        operation.body()
        const name = String(operation.args[0])
        if (!subs.state.deferred.includes(name)) return
        subs.state.deferred = subs.state.deferred.filter((other) => other !== name)
        treeInsert(subs, name)
      }),
      mmu_interval_notifier_remove: changeBody((operation) => {
        const name = String(operation.args[0])
        if (subs.state.tree.includes(name)) treeRemove(subs, name)
        return null
      }),
    }),
  },
  {
    id: "check-retry-as-authority",
    title: "the driver trusts the lockless check inside hmm_range_fault and does not ask read_retry",
    source: "include/linux/mmu_notifier.h: mmu_interval_check_retry",
    ...inOneFault,
    breaks: "MIRROR-NO-UAF",
    at: inDevice(() => ({ mmu_interval_read_retry: leaveOut(false) })),
  },
  {
    id: "read-begin-under-ulock",
    title: "the driver calls read_begin, which sleeps, with its lock held",
    source: "mm/mmu_notifier.c: mmu_interval_read_begin",
    ...inOverlapping,
    breaks: "L-READBEGIN",
    at: inDevice(({ lock }) => {
      let early = false
      const unlockIf = (gone: (result: Plain) => boolean) => (original: Effect.Effect<Plain>) =>
        Effect.tap(original, (result) => (gone(result) ? mutexUnlock(lock) : Effect.void))
      return {
        mmu_interval_read_begin: (original) => {
          early = true
          return Effect.andThen(mutexLock(lock), original)
        },
        mutex_lock: (original) => {
          if (!early) return Effect.void
          early = false
          return original
        },
        mmu_interval_check_retry: unlockIf((stale) => stale === true),
        hmm_vma_handle_pte: unlockIf((found) => found === "-EFAULT"),
        alloc_anon_folio: unlockIf((fresh) => fresh === "OOM"),
      }
    }),
  },
  {
    id: "remove-from-callback",
    title: "a callback removes its own subscription",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove",
    ...inTwoDevices,
    breaks: "L-REMOVE",
    at: (world) => ({
      mmu_interval_set_seq: (original, operation) => {
        const device = deviceNamed(world, operation.args[0])
        return device === undefined
          ? original
          : Effect.tap(original, () => mmuIntervalNotifierRemove(world.subs, device.iv))
      },
    }),
  },
  {
    id: "hmm-valid-flag-aba",
    title: "the retry check asks whether an invalidation is active now, not whether one has been",
    source: "commit 04ec32fbc2b2: mm/hmm: allow hmm_range to be used with a mmu_interval_notifier or hmm_mirror",
    references: zoo(1),
    ...inOneFault,
    // Nobody need be after the page.
    scenario: overlapping.id,
    breaks: "MIRROR-NO-UAF",
    at: inDevice((_, { subs }) => {
      const invalid = () => subs.state.active > 0
      return {
        mmu_interval_read_begin: changeGuard(() => isFree(subs.lock) && !invalid()),
        mmu_interval_check_retry: changeBody(invalid),
        mmu_interval_read_retry: changeBody(invalid),
      }
    }),
  },
  {
    id: "interval-remove-unlocked-seq",
    title: "remove looks at the sequence without the lock under which it is bumped and the deferred list emptied",
    source: "commit 319561669a59: mm/mmu_notifier.c: fix race in mmu_interval_notifier_remove()",
    references: zoo(2),
    ...inInsertRemove,
    breaks: "NOTIFIER-NO-CB-AFTER-REMOVE",
    at: inDevice(() => ({ "mmu_interval_notifier_remove: prepare_to_wait": changeGuard() })),
  },
]
