/** Seeded bugs of what only some devices do or ask for, and loads under which a promise is not kept. */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeGuard,
  changeResult,
  leaveOut,
  type Replacements,
  type SeededBug,
  step,
} from "../../../../checker/index.ts"
import { type Frame, folioPut } from "../../../../model/mm/folio.ts"
import { ownExclusive, ownMigrate, readBegin, secondaryTlb, twoPass, twoPassRefused } from "../scenarios/devices.ts"
import type { MmuNotifierWorld } from "../world.ts"

const inMigrate = { scenario: ownMigrate.id, bound: { others: 1, cpus: 0 } }

export const deviceBugs: ReadonlyArray<SeededBug<MmuNotifierWorld>> = [
  {
    id: "finish-does-not-wait",
    title: "the second pass does not wait for the flush that the first one began",
    source: "include/linux/mmu_notifier.h: invalidate_finish; by inference",
    scenario: twoPass.id,
    bound: { pages: 1, devices: 1, cpus: 1 },
    breaks: "MIRROR-NO-UAF",
    at: () => ({
      xe_userptr_invalidate_finish: (original, { kind, name, args, ...operation }) =>
        kind === "step" && "body" in operation ? step(name, args, () => operation.body() as undefined) : original,
    }),
  },
  {
    id: "finish-lost-on-refusal",
    title: "when a subscription refuses the second passes of those before it are not called",
    source: "mm/mmu_notifier.c: mn_itree_finish_pass is called behind the loop however that ended; by inference",
    scenario: twoPassRefused.id,
    bound: { pages: 1, devices: 1, attempts: 1, cpus: 0 },
    breaks: "NOTIFIER-FINISH-RUNS",
    at: (_, fiber) => {
      if (fiber !== "oom_reaper") return {}
      let refused = false
      return {
        mutex_trylock: (original) =>
          Effect.tap(original, (taken) =>
            Effect.sync(() => {
              refused = taken === false
            }),
          ),
        xe_userptr_invalidate_finish: (original) => Effect.suspend(() => (refused ? Effect.void : original)),
      }
    },
  },
  {
    id: "page-freed-before-secondary-flush",
    title: "a page is freed before the TLBs of devices that walk the page table are flushed",
    source: "mm/mmu_gather.c: tlb_flush_mmu, the pages are freed behind the flush; by inference",
    scenario: secondaryTlb.id,
    bound: { pages: 1, devices: 1, cpus: 1, exit: 0 },
    breaks: "MIRROR-NO-UAF",
    at: ({ mm }) => ({
      zap_pte_range: (original) =>
        Effect.tap(original, (taken) =>
          step("free_unref_folios", [mm.name], () => {
            for (const page of taken as unknown as ReadonlyArray<Frame>) folioPut(mm.folios, page) // what zap returns
          }),
        ),
      free_pages_and_swap_cache: leaveOut(),
    }),
  },
  {
    id: "flushes-and-ranges",
    title: "a notifier that hears of flushes and of ranges is registered",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, -EINVAL",
    scenario: secondaryTlb.id,
    bound: { pages: 1, devices: 1, cpus: 0, exit: 0 },
    breaks: "NOTIFIER-EXCLUSIVE-OPS",
    at: () => ({ "arch_invalidate_secondary_tlbs && invalidate_range": leaveOut(false) }),
  },
  {
    id: "migration-of-others-ignored",
    title: "a driver ignores every MIGRATE event, as if each were its own, and keeps a page that moved away",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svmm_invalidate_range_start compares the owner",
    ...inMigrate,
    breaks: "MIRROR-NO-UAF",
    at: () => ({ "range->owner": changeResult(() => true) }),
  },
  {
    id: "own-migration-leaves-sequence",
    title:
      "a driver ignores its own MIGRATE event in the interval callback too, and a fault of its own installs the old page",
    source: "lib/test_hmm.c: dmirror_interval_invalidate, by inference",
    ...inMigrate,
    breaks: "MIRROR-NO-UAF",
    at: ({ refusing }, fiber) => (fiber === "migrate" ? ignoresOwn(refusing[0]?.name) : {}),
  },
  {
    id: "exclusive-of-others-ignored",
    title: "a driver ignores every EXCLUSIVE event, as if each were its own, and maps a page that is another's alone",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_range_invalidate compares the owner",
    scenario: ownExclusive.id,
    bound: { others: 1, cpus: 0 },
    breaks: "EXCL-ONE-OWNER",
    at: () => ({ "range->owner": changeResult(() => true) }),
  },
  {
    id: "own-exclusive-not-ignored",
    title:
      "a driver sets its sequence on its own EXCLUSIVE event, and begins again for ever (the sequence wraps early here, which closes the circle)",
    source: "drivers/gpu/drm/nouveau/nouveau_svm.c: nouveau_svm_range_invalidate, nouveau_atomic_range_fault",
    scenario: ownExclusive.id,
    bound: { others: 0, cpus: 0 },
    breaks: "L-EXCL-DEVICE",
    at: () => ({ "range->owner": changeResult(() => false) }),
  },
  {
    id: "endless-invalidations-starve-reader",
    title:
      "no bug but a load: two processors invalidate without end, and neither ends before the other has begun; the sequence stays odd and read_begin never returns, though everybody gets on and one of them is nowhere near the device's range",
    source:
      "mm/mmu_notifier.c: mn_itree_inv_end makes the sequence even when active_invalidate_ranges is zero, and that counts " +
      "all ranges; by inference. Here a processor stops once its end was the last",
    scenario: readBegin.id,
    bound: { pages: 2, cpus: 2, rounds: 1 },
    breaks: "L-READBEGIN",
    at: (_, fiber) => (fiber.startsWith("cpu") ? goesOn((last) => !last) : {}),
  },
  {
    id: "endless-invalidations-starve-retry",
    title:
      "no bug but a load: a processor invalidates each time that the device has read the sequence; read_begin always returns, and the device begins again for ever (the sequence wraps early here, which closes the circle)",
    source: "Documentation/mm/hmm.rst: the retry loop; by inference",
    scenario: readBegin.id,
    bound: { pages: 2, cpus: 1, rounds: 1 },
    breaks: "L-RETRY",
    at: (world, fiber) => ({ ...(fiber.startsWith("cpu") ? comesInBetween(world) : {}), ...wrapsEarly(world) }),
  },
]

/** A driver whose callbacks say nothing of one device. */
function ignoresOwn(device: string | undefined): Replacements {
  return {
    mmu_interval_set_seq: (original, { args }) => (args[0] === device ? Effect.void : original),
  }
}

/** The sequence begins again after a few invalidations, where it really does so after 2^63. */
function wrapsEarly({ mm }: MmuNotifierWorld): Replacements {
  const { state } = mm.subs.itree
  return {
    mn_itree_inv_end: changeBody(({ body }) => {
      const released = body()
      state.seq %= 4
      return released
    }),
  }
}

/** A processor goes on for ever, and each time waits until the device would be told that nothing came in between. */
function comesInBetween({ record, refusing }: MmuNotifierWorld): Replacements {
  return {
    ...goesOn(() => true),
    __mmu_notifier_invalidate_range_start: changeGuard(() =>
      refusing.some(({ name, iv }) => record.reading.samples[name] === iv.state.seq),
    ),
  }
}

/** A processor goes on as long as `when` holds of whether its last end was the last of all. */
function goesOn(when: (last: boolean) => boolean): Replacements {
  let last = false
  return {
    mn_itree_inv_end: (original) =>
      Effect.tap(original, (released) =>
        Effect.sync(() => {
          last = released === true
        }),
      ),
    write_cache_pages: (_, { name, args }) => {
      const left = when(last) ? 1 : 0
      return step(name, args, () => left)
    },
  }
}
