/**
 * Seeded bugs of the HMM of 2019. The model is Linux 5.3's with two corrections, a count beside the valid flag and where
 * a range is unregistered; those marked "as published" and "as documented" take them back.
 */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  type Plain,
  type Replacement,
  type Replacements,
  type SeededBug,
  step,
} from "../../../checker/index.ts"
import type { HmmMirrorDevice } from "../../../model/driver/hmmMirror.ts"
import { rangesOf } from "../../../model/hmm/mirror2019.ts"
import { notifierRange } from "../../../model/notifier/events.ts"
import { mutexLock } from "../../../model/sync/mutex.ts"
import { downRead, upRead } from "../../../model/sync/rwsem.ts"
import { synchronizeSrcu } from "../../../model/sync/srcu.ts"
import { zoo } from "../../bugZoo.ts"
import { droppedLock, exit, fault, nonBlockable, register, succession, unregister } from "./scenarios.ts"
import type { Hmm2019World } from "./world.ts"

/** Replacements for the fiber that is a device's own. */
const inDevice =
  (replacements: (device: HmmMirrorDevice, world: Hmm2019World) => Replacements) =>
  (world: Hmm2019World, fiber: string): Replacements => {
    const device = world.devices.find(({ name }) => name === fiber)
    return device === undefined ? {} : replacements(device, world)
  }

const rangeNamed = ({ hmm }: Hmm2019World, name: Plain | undefined) => hmm.ranges.get(String(name))
const hmmNamed = ({ hmm }: Hmm2019World, name: Plain | undefined) =>
  hmm.structs.find((candidate) => candidate.name === name)

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inFault = { scenario: fault.id, bound: { pages: 1, devices: 1, cpus: 1 } }
const inDroppedLock = { scenario: droppedLock.id, bound: { pages: 1, devices: 1, cpus: 1 } }
const inNonBlockable = { scenario: nonBlockable.id, bound: { attempts: 1, leaves: 0, cpus: 0 } }
const inUnregister = { scenario: unregister.id, bound: { pages: 1, devices: 1, cpus: 1 } }
const inExit = { scenario: exit.id, bound: { pages: 1, devices: 1, cpus: 0 } }

/** What the start of a range that is refused leaves undone. */
const withoutUnwinding = (): Replacements => ({
  notifiers_decrement: (original, { args }) => (args[1] === "hmm_invalidate_range_start" ? Effect.void : original),
})

export const hmm2019Bugs: ReadonlyArray<SeededBug<Hmm2019World>> = [
  {
    id: "hmm-2019-valid-flag-aba",
    title:
      "as published: an invalidation falls between the device's look at the page table and its question, and the range is valid again",
    source:
      '04ec32fbc2b2, "mm/hmm: allow hmm_range to be used with a mmu_interval_notifier or hmm_mirror"; Gunthorpe and Glisse in May 2019: "And I can make this more complicated (ie overlapping parallel invalidates, etc) and show any \'bool\' valid cannot work." "It does work."',
    references: zoo(1),
    ...inFault,
    breaks: "MIRROR-NO-UAF",
    at: (world) => ({
      hmm_range_valid: changeBody(({ args }) => rangeNamed(world, args[0])?.state.valid === true),
    }),
  },
  {
    id: "hmm-2019-rfc-overlaps-nothing",
    title:
      "as posted: the test whether an invalidation overlaps a range is the wrong way round, and nothing is counted",
    source:
      'Gunthorpe: RFC mm/hmm: Replace the range->valid with a seqcount, 27 May 2019: any_range_overlaps, with its comment "FIXME: check me"',
    ...inFault,
    breaks: "DMA-2019-VALID",
    at: (world) => ({
      hmm_invalidate_range_start: changeBody((operation) => {
        const hmm = hmmNamed(world, operation.args[0])
        const ranges = hmm === undefined ? [] : rangesOf(world.hmm, hmm)
        const before = ranges.map(({ state }) => state.seq)
        operation.body()
        ranges.forEach(({ state }, position) => {
          state.seq = before[position] ?? 0
        })
      }),
    }),
  },
  {
    id: "hmm-2019-valid-outside-lock",
    title: "the driver asks whether the range is valid before it takes its lock",
    source: "include/linux/hmm.h of Linux 5.3: hmm_range_valid, under driver->update",
    ...inFault,
    breaks: "MIRROR-AGREE",
    at: inDevice(({ range }) => {
      let valid = false
      return {
        mutex_lock: (original) =>
          step("hmm_range_valid: unlocked", [range.name], () => range.state.valid && range.state.seq === 0).pipe(
            Effect.flatMap((answer) => {
              valid = answer
              return original
            }),
          ),
        hmm_range_valid: () => Effect.sync(() => valid),
      }
    }),
  },
  {
    id: "hmm-2019-registered-valid",
    title: "a range that is registered inside an invalidation is valid at once",
    source: "mm/hmm.c of Linux 5.3: hmm_range_register, the comment on concurrent notifiers",
    ...inFault,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: (world) => ({
      hmm_range_register: changeBody((operation) => {
        operation.body()
        const range = rangeNamed(world, operation.args[0])
        if (range !== undefined) range.state.valid = true
      }),
    }),
  },
  {
    id: "hmm-2019-no-wake-up",
    title: "the end of the last invalidation makes ranges valid and wakes nobody",
    source: "mm/hmm.c of Linux 5.3: notifiers_decrement",
    ...inFault,
    breaks: "L-RETRY",
    at: (world) => ({
      notifiers_decrement: changeBody((operation) => {
        const wq = hmmNamed(world, operation.args[0])?.wq
        const asleep = wq && { sleepers: wq.state.sleepers, woken: wq.state.woken }
        operation.body()
        if (wq !== undefined) Object.assign(wq.state, asleep)
      }),
    }),
  },
  {
    id: "error-code-lies-about-lock-state",
    title: "a range that is being invalidated is reported with the code that says that mmap_lock was dropped",
    source: "2bcbeaefde2f, mm/hmm: always return EBUSY for invalid ranges in hmm_range_{fault,snapshot}",
    references: zoo(94),
    ...inDroppedLock,
    breaks: "HMM-LOCK",
    at: inDevice(() => ({ hmm_range_fault: changeBody(({ body }) => (body() === null ? null : "-EAGAIN")) })),
  },
  {
    id: "hmm-eagain-unwind-leak",
    title: "a start that cannot have the list of mirrors is refused, and counted as if it had not been",
    source: "5a136b4ae327, mm/hmm: Fix error flows in hmm_invalidate_range_start",
    references: zoo(8),
    scenario: nonBlockable.id,
    bound: { attempts: 1, leaves: 1, cpus: 0 },
    breaks: "NOTIFIER-FAIL-RESTORES",
    at: () => {
      let busy = false
      return {
        "down_read_trylock(mirrors_sem)": (original) =>
          Effect.tap(original, (mirrors) =>
            Effect.sync(() => {
              busy = mirrors === null
            }),
          ),
        notifiers_decrement: (original) => (busy ? Effect.void : original),
      }
    },
  },
  {
    id: "hmm-eagain-unwind-leak-waits",
    title: "after a start that was refused and counted, a device waits for ever for its range to become valid",
    source: "5a136b4ae327, mm/hmm: Fix error flows in hmm_invalidate_range_start",
    references: zoo(8),
    ...inNonBlockable,
    breaks: builtIn.deadlock,
    at: withoutUnwinding,
  },
  {
    id: "hmm-eagain-swallowed",
    title: "a driver says that it would have to sleep, the start succeeds all the same, and the page is freed",
    source:
      "5a136b4ae327, mm/hmm: Fix error flows in hmm_invalidate_range_start: its second defect, a result in a variable that hides another",
    references: zoo(8),
    ...inNonBlockable,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ "sync_cpu_device_pagetables: -EAGAIN": changeResult(() => true) }),
  },
  {
    id: "hmm-2019-callback-sleeps",
    title: "the driver waits for its lock although the range is not blockable",
    source: "include/linux/hmm.h of Linux 5.3: sync_cpu_device_pagetables",
    ...inNonBlockable,
    breaks: builtIn.context,
    at: ({ devices }) => ({
      mutex_trylock: (original, { args }) => {
        const device = devices.find(({ update }) => update.name === args[0])
        return device === undefined ? original : Effect.as(mutexLock(device.update), true)
      },
    }),
  },
  {
    id: "hmm-2019-todays-unwinding",
    title: "on today's notifiers HMM, which has refused a start and does not count it, is told of its end",
    source:
      "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, which warns of a notifier that can refuse and has an end; today's code under that of 2019",
    ...inNonBlockable,
    breaks: "HMM-COUNT",
    at: ({ hmm, mm }, fiber) => {
      if (fiber !== "oom_reaper") return {}
      let refused = false
      const range = notifierRange("CLEAR", "__oom_reap_task_mm", { start: 0, end: mm.pages })
      const ends = Effect.suspend(() => hmm.structs[0]?.notifier.ops.invalidateRangeEnd?.(range) ?? Effect.void)
      return {
        notifiers_decrement: (original, { args }) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              refused = args[1] === "hmm_invalidate_range_start"
            }),
          ),
        srcu_read_unlock: (original) => (refused ? Effect.andThen(ends, original) : original),
      }
    },
  },
  {
    id: "hmm-struct-uaf-srcu",
    title:
      "the last reference goes, and the struct hmm is freed while somebody has just found its notifier on the list",
    source: "6d7c3cde93c1, mm/hmm: fix use after free with struct hmm in the mmu notifiers",
    references: zoo(29),
    ...inUnregister,
    breaks: "NOTIFIER-FREE-AFTER-GRACE",
    at: () => ({ srcu_invoke_callbacks: changeGuard() }),
  },
  {
    id: "hmm-2019-kref-get",
    title: "a callback takes a reference without looking whether there is one left",
    source: "6d7c3cde93c1, mm/hmm: fix use after free with struct hmm in the mmu notifiers: kref_get_unless_zero",
    references: zoo(29),
    ...inUnregister,
    breaks: "HMM-FREE-ONCE",
    at: (world) => ({
      kref_get_unless_zero: changeBody(({ args }) => {
        const hmm = hmmNamed(world, args[0])
        if (hmm !== undefined) hmm.state.kref++
        return true
      }),
    }),
  },
  {
    id: "hmm-2019-put-waits",
    title: "the last reference goes in a callback, which waits for the grace period that it is itself inside of",
    source: "mm/hmm.c of Linux 5.3: hmm_free, mmu_notifier_call_srcu, by inference",
    ...inUnregister,
    breaks: builtIn.deadlock,
    at: ({ mm }) => ({ call_srcu: () => synchronizeSrcu(mm.subs.srcu), fork: leaveOut() }),
  },
  {
    id: "hmm-2019-walk-outside-srcu",
    title: "the list is walked outside an SRCU section",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start",
    ...inUnregister,
    breaks: "NOTIFIER-CB-CONTEXT",
    at: () => ({ srcu_read_lock: leaveOut(0), srcu_read_unlock: leaveOut() }),
  },
  {
    id: "hmm-2019-pointer-stays",
    title: "the struct hmm goes and the address space still points to it",
    source: "mm/hmm.c of Linux 5.3: hmm_free",
    scenario: unregister.id,
    bound: { pages: 1, devices: 1, cpus: 0 },
    breaks: "HMM-POINTER",
    at: () => ({ hmm_free: changeBody(() => undefined) }),
  },
  {
    id: "hmm-2019-unregister-unlocked",
    title: "a mirror is taken off the list without the semaphore, while its callback is about to be called",
    source: "mm/hmm.c of Linux 5.3: hmm_mirror_unregister",
    ...inUnregister,
    breaks: "HMM-NO-CB-AFTER-UNREGISTER",
    at: inDevice(() => ({ "down_write(mirrors_sem)": leaveOut(), "up_write(mirrors_sem)": leaveOut() })),
  },
  {
    id: "hmm-2019-unregister-under-lock",
    title:
      "as documented: the range is unregistered under the driver's lock, its reference was the last user's, and release wants the lock",
    source:
      "Documentation/vm/hmm.rst of Linux 5.3: driver_populate_range; mm/hmm.c: hmm_range_unregister, mmput. By inference: read in the source, not observed",
    ...inExit,
    breaks: builtIn.deadlock,
    at: inDevice(() => {
      let mapped = false
      let held: Effect.Effect<unknown> = Effect.void
      const hold: Replacement = (original) =>
        mapped
          ? Effect.sync(() => {
              held = Effect.andThen(held, original)
            })
          : original
      return {
        hmm_range_valid: (original) =>
          Effect.tap(original, (valid) =>
            Effect.sync(() => {
              mapped = valid === true
            }),
          ),
        mutex_unlock: hold,
        mmap_read_unlock: hold,
        hmm_put: (original) =>
          Effect.flatMap(original, (last) => {
            mapped = false
            const unlock = held
            held = Effect.void
            return Effect.as(unlock, last)
          }),
      }
    }),
  },
  {
    id: "hmm-2019-range-without-user",
    title: "a range does not keep the process from exiting",
    source: "mm/hmm.c of Linux 5.3: hmm_range_register, the comment on hmm_release",
    ...inExit,
    breaks: "HMM-RELEASE-NO-RANGES",
    at: inDevice(() => ({ mmget_not_zero: leaveOut(true), mmput: leaveOut(false) })),
  },
  {
    id: "hmm-2019-locks-of-two-drivers",
    title: "release has every driver's lock until all have dropped what they map",
    source: "mm/hmm.c of Linux 5.3: hmm_release, by inference; lockdep",
    scenario: exit.id,
    bound: { pages: 1, devices: 2, cpus: 0 },
    breaks: "HMM-ONE-LOCK",
    at: (_, fiber) => (fiber === "exit" ? { mutex_unlock: leaveOut() } : {}),
  },
  {
    id: "hmm-2019-empty-release",
    title: "as in a driver of then: release drops nothing, and the device maps what exit frees",
    source:
      "drivers/gpu/drm/nouveau/nouveau_svm.c of Linux 5.3: nouveau_svmm_release. By inference: read in the source, not observed",
    ...inExit,
    breaks: "NOTIFIER-RELEASE-BEFORE-FREE",
    at: (_, fiber) => (fiber === "exit" ? { device_unmap: leaveOut() } : {}),
  },
  {
    id: "hmm-2019-callback-unlocked",
    title: "the driver's callback drops what the device maps without the driver's lock",
    source: "Documentation/vm/hmm.rst of Linux 5.3: driver->update",
    ...inFault,
    breaks: "HMM-LOCKED",
    at: (_, fiber) => (fiber.startsWith("cpu") ? { mutex_lock: leaveOut(), mutex_unlock: leaveOut() } : {}),
  },
  {
    id: "hmm-2019-registers-beside",
    title: "mirrors register without mmap_lock: of two each finds no struct hmm, and makes one",
    source:
      "8a9320b7ec5d, mm/hmm: Simplify hmm_get_or_create and make it reliable: with mmap_sem held for writing nobody races with a second hmm_get_or_create",
    scenario: succession.id,
    bound: { pages: 1 },
    breaks: "HMM-ONE",
    at: inDevice(() => ({ mmap_write_lock: leaveOut(), mmap_write_unlock: leaveOut() })),
  },
  {
    id: "hmm-2019-registers-under-read-lock",
    title:
      "a mirror registers with mmap_lock held for reading, and hears of the end of a madvise that it did not hear begin",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, mm_take_all_locks: BUG_ON(down_read_trylock(&mm->mmap_sem))",
    scenario: register.id,
    bound: { pages: 1, devices: 1, cpus: 1 },
    breaks: "HMM-COUNT",
    at: inDevice((_, { mm }) => ({
      mmap_write_lock: () => downRead(mm.mmapLock, "mmap_read_lock: registers", [mm.name]),
      mmap_write_unlock: () => upRead(mm.mmapLock, "mmap_read_unlock: registers", [mm.name]),
    })),
  },
  {
    id: "hmm-2019-keeps-mm",
    title: "a struct hmm is freed and its reference to the address space is not dropped",
    source: "mm/hmm.c of Linux 5.3: hmm_free_rcu: mmdrop",
    scenario: unregister.id,
    bound: { pages: 1, devices: 1, cpus: 0 },
    breaks: "HMM-FREED",
    at: ({ mm }) => ({
      hmm_free_rcu: changeBody(({ body }) => {
        body()
        mm.state.count++
      }),
    }),
  },
  {
    id: "hmm-2019-early-mmdrop",
    title: "a struct hmm lets go of the address space before its grace period is over",
    source: "mm/hmm.c of Linux 5.3: hmm_free_rcu",
    ...inExit,
    breaks: "NOTIFIER-MMCOUNT",
    at: ({ mm }) => ({
      mmu_notifier_unregister_no_release: changeBody((operation) => {
        operation.body()
        mm.state.count--
      }),
      hmm_free_rcu: changeBody((operation) => {
        mm.state.count++
        operation.body()
      }),
    }),
  },
]
