/**
 * Seeded bugs of the self tests' driver. Those "as published" are what the driver does; that they break was read in its
 * source, not seen on a machine.
 */
import * as Effect from "effect/Effect"
import {
  changeBody,
  changeResult,
  leaveOut,
  moveBehind,
  type Plain,
  type Replacement,
  type Replacements,
  type SeededBug,
} from "../../../checker/index.ts"
import type { MigrateSlot } from "../../../model/deviceMemory/migrateVma.ts"
import { handleMmFault } from "../../../model/mm/fault.ts"
import { folioOf } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import {
  exclusive,
  faults,
  lazyfree,
  migrateBack,
  migration,
  orderedReads,
  privateFault,
  session,
  snapshot,
  zappedMigration,
} from "./scenarios.ts"
import type { DmirrorWorld } from "./world.ts"

const inFaults = { scenario: faults.id, bound: { pages: 1, invalidations: 1 } }
const inMigration = { scenario: migration.id, bound: { invalidations: 0 } }
const inZappedMigration = { scenario: zappedMigration.id, bound: { invalidations: 1 } }
const inSnapshot = { scenario: snapshot.id, bound: { pages: 1, invalidations: 1 } }

/** Replacements for one fiber. */
const inFiber =
  (name: string, replacements: (world: DmirrorWorld) => Replacements) =>
  (world: DmirrorWorld, fiber: string): Replacements =>
    fiber === name ? replacements(world) : {}

/** Replacements for the threads that invalidate. */
const inThreads =
  (replacements: (world: DmirrorWorld) => Replacements) =>
  (world: DmirrorWorld, fiber: string): Replacements =>
    fiber.startsWith("cpu") ? replacements(world) : {}

export const dmirrorBugs: ReadonlyArray<SeededBug<DmirrorWorld>> = [
  {
    id: "test-hmm-ignores-own-migration",
    title:
      "as published: the callback ignores the driver's own migration, its sequence too, and a fault that has read the old page maps it",
    source: "lib/test_hmm.c: dmirror_interval_invalidate, MMU_NOTIFY_MIGRATE",
    ...inMigration,
    breaks: "MIRROR-NO-UAF",
    at: inFiber("migrate", () => ({ mmu_interval_set_seq: leaveOut(), dmirror_do_update: leaveOut() })),
  },
  {
    id: "test-hmm-keeps-entry-over-own-migration",
    title:
      "as published: the callback ignores the driver's own migration, and the device stores to the old page behind the copy",
    source: "lib/test_hmm.c: dmirror_interval_invalidate, dmirror_migrate_alloc_and_copy",
    ...inMigration,
    breaks: "MIGD-NO-LOST-WRITE",
    at: inFiber("migrate", () => ({ dmirror_do_update: leaveOut() })),
  },
  {
    id: "test-hmm-maps-migrated-unchecked",
    title:
      "as published: the new page is mapped without a look at a sequence, and the migration entry has been zapped meanwhile",
    source: "lib/test_hmm.c: dmirror_migrate_finalize_and_map; mm/memory.c: zap_nonpresent_ptes",
    ...inZappedMigration,
    breaks: "MIRROR-NO-UAF",
    at: inFiber("migrate", () => ({ mmu_interval_read_retry: leaveOut(false) })),
  },
  {
    id: "test-hmm-migration-sequence-alone",
    title:
      "the subscription of a migration sets its sequence and leaves the mappings to the other one, which may have been called before",
    source: "mm/mmu_notifier.c: mn_itree_invalidate calls in the order of the tree",
    ...inZappedMigration,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: inThreads(({ dmirror }) => {
      let called = ""
      return {
        mmu_interval_set_seq: (original, { args }) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              called = String(args[0])
            }),
          ),
        dmirror_do_update: (original) => Effect.suspend(() => (called === dmirror.name ? original : Effect.void)),
      }
    }),
  },
  {
    id: "test-hmm-exclusive-unchecked",
    title:
      "as published: a page is mapped for atomic access without a look at a sequence, and its entry has been zapped meanwhile",
    source: "lib/test_hmm.c: dmirror_atomic_map",
    scenario: exclusive.id,
    bound: { invalidations: 1 },
    breaks: "MIRROR-NO-UAF",
    at: inFiber("exclusive", () => {
      let made = false
      return {
        "make_device_exclusive: set_pte_at": (original) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              made = true
            }),
          ),
        mmu_interval_read_retry: (original) => Effect.suspend(() => (made ? Effect.succeed(false) : original)),
      }
    }),
  },
  {
    id: "test-hmm-no-memory-is-no-error",
    title:
      "as published at first: a fault for which there is no memory leaves the page where it is and says nothing; the process faults for ever",
    source: "lib/test_hmm.c of Linux 5.8: dmirror_devmem_fault_alloc_and_copy",
    scenario: privateFault.id,
    bound: { threads: 1 },
    breaks: "L-FAULT-PRIV",
    at: () => ({ "dmirror_devmem_fault: VM_FAULT_OOM": changeResult(() => "done") }),
  },
  {
    id: "test-hmm-finalizes-unmoved",
    title:
      "as published: where there is memory for some pages only, those are finalized as if they had been moved; their migration entries stay, and the pages are freed",
    source: "lib/test_hmm.c: dmirror_migrate_to_system, dmirror_devmem_fault_alloc_and_copy, by inference",
    scenario: migrateBack.id,
    breaks: "L-FAULT-PRIV",
    at: () => ({
      "dmirror_migrate_to_system: -ENOMEM": changeResult(
        (slots) => (slots as ReadonlyArray<MigrateSlot>).map((slot) => ({ ...slot, migrate: slot.dst !== null })), // what the step returns
      ),
    }),
  },
  {
    id: "test-hmm-unannounced-migration",
    title: "migrate_vma_collect does not tell the notifier",
    source: "Documentation/mm/mmu_notifier.rst",
    ...inMigration,
    breaks: "MIRROR-AGREE",
    at: inFiber("migrate", () => ({
      mn_itree_inv_start_range: leaveOut({ seq: 0, first: null }),
      mn_itree_inv_end: leaveOut(false),
    })),
  },
  {
    id: "test-hmm-retries-for-dead-process",
    title:
      "as published: a fault on memory whose process is gone is said to have succeeded, and is tried again for ever",
    source: "lib/test_hmm.c: dmirror_fault, whose caller may have the file by fork",
    ...inFaults,
    breaks: "L-RETRY",
    at: () => ({ "dmirror_fault: !mmget_not_zero": changeResult(() => "0") }),
  },
  {
    id: "test-hmm-never-dirty",
    title: "as published: nobody says that a page to which the device stores is dirty; one of MADV_FREE's is dropped",
    source: "lib/test_hmm.c: dmirror_do_write; mm/madvise.c: madvise_free_pte_range",
    scenario: lazyfree.id,
    breaks: "MIRROR-DIRTY",
    at: () => ({ set_page_dirty: leaveOut() }),
  },
  {
    id: "test-hmm-sequence-not-set",
    title: "the callback drops what the device maps and does not set the sequence",
    source: "lib/test_hmm.c: dmirror_interval_invalidate",
    ...inFaults,
    breaks: "MIRROR-AGREE",
    at: inThreads(() => ({ mmu_interval_set_seq: leaveOut() })),
  },
  {
    id: "test-hmm-retry-outside-mutex",
    title: "a fault asks read_retry before it takes the mutex",
    source: "lib/test_hmm.c: dmirror_range_fault",
    ...inFaults,
    breaks: "MIRROR-PERM",
    at: inFiber("write", () => {
      const moved = moveBehind("mutex_lock", "mmu_interval_read_retry")
      let fetched = false
      return {
        ...moved,
        mmap_read_unlock: (original) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              fetched = true
            }),
          ),
        // The other mutex_lock is that of dmirror_do_write.
        mutex_lock: (original, operation) => {
          if (!fetched) return original
          fetched = false
          return moved.mutex_lock?.(original, operation) ?? original
        },
      }
    }),
  },
  {
    id: "test-hmm-keeps-references",
    title: "a fault takes a reference to the page that the device is to map, which nobody gives back",
    source: "mm/hmm: add helpers to dma map, LKML 2019",
    ...inFaults,
    breaks: "MIRROR-NO-REF",
    at: ({ dmirror, mm }) => ({
      dmirror_do_fault: changeBody(({ body, args }) => {
        body()
        const page = at(dmirror.pt, Number(args[1])).value?.page ?? null
        if (page !== null) folioOf(mm.system.folios, page).refcount++
      }),
    }),
  },
  {
    id: "test-hmm-snapshot-without-retry",
    title: "a snapshot trusts the lockless check inside hmm_range_fault and does not ask read_retry",
    source: "lib/test_hmm.c: dmirror_range_snapshot",
    ...inSnapshot,
    breaks: "MIRROR-AGREE",
    at: inFiber("snapshot", () => ({ mmu_interval_read_retry: leaveOut(false) })),
  },
  {
    id: "test-hmm-snapshot-faults",
    title: "a snapshot asks for the pages that are not there",
    source: "lib/test_hmm.c: dmirror_snapshot, which sets no HMM_PFN_REQ_FAULT",
    ...inSnapshot,
    breaks: "MIRROR-SNAPSHOT-PURE",
    at: inFiber("snapshot", ({ mm }) => ({
      hmm_vma_handle_pte: (original, { args }) =>
        Effect.flatMap(original, (found) =>
          found === "none"
            ? Effect.andThen(handleMmFault(mm, Number(args[0]), { write: false }), original)
            : Effect.succeed(found),
        ),
    })),
  },
  {
    id: "test-hmm-copies-unannounced",
    title: "copy-on-write does not tell the notifier, and the device goes on reading the old page beside a new one",
    source: "Documentation/mm/mmu_notifier.rst, the example of two pages",
    scenario: orderedReads.id,
    breaks: "MIRROR-ORDERED-READ",
    at: inThreads(() => {
      const silent =
        (result: Plain): Replacement =>
        (original, { args }) =>
          args.includes("wp_page_copy") ? Effect.succeed(result) : original
      return {
        mn_itree_inv_start_range: silent({ seq: 0, first: null }),
        mn_itree_inv_end: silent(false),
      }
    }),
  },
  {
    id: "test-hmm-child-inherits-subscription",
    title: "fork gives the child the subscriptions of its parent, whose callbacks know nothing of it",
    source: "kernel/fork.c: mm_init, mmu_notifier_subscriptions_init",
    ...inFaults,
    breaks: "MIRROR-CHILD-EMPTY",
    at: ({ child, subs }) => ({
      dup_mm: changeBody(({ body }) => {
        const areas = body()
        child.subscriptions.state.tree = subs.state.tree
        return areas
      }),
    }),
  },
  {
    id: "test-hmm-close-does-not-wait",
    title: "the file's memory is freed without a wait for the removal of its subscription",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove; lib/test_hmm.c: dmirror_fops_release",
    scenario: session.id,
    breaks: "NOTIFIER-NO-CB-AFTER-REMOVE",
    at: inFiber("session", () => ({ mmu_interval_notifier_remove: changeResult(() => null) })),
  },
  {
    id: "test-hmm-table-not-destroyed",
    title: "the file is given back with what is left of its page table, of which nobody knows any more",
    source: "lib/test_hmm.c: dmirror_fops_release, xa_destroy",
    scenario: session.id,
    bound: { pages: 1, invalidations: 1 },
    breaks: "DMIRROR-TABLE-DESTROYED",
    at: () => ({ xa_destroy: leaveOut() }),
  },
  {
    id: "test-hmm-writes-without-mutex",
    title: "the device stores without the mutex, which an invalidation takes to wait for it",
    source: "lib/test_hmm.c: dmirror_write, which takes it for dmirror_do_write",
    ...inFaults,
    breaks: "LOCKDEP-HELD",
    at: inFiber("write", () => ({ mutex_lock: leaveOut(), mutex_unlock: leaveOut() })),
  },
  {
    id: "test-hmm-exclusive-not-mapped",
    title: "a page is made the device's alone, which does not come to know it",
    source: "lib/test_hmm.c: dmirror_exclusive, dmirror_atomic_map",
    scenario: exclusive.id,
    bound: { invalidations: 1 },
    breaks: "MIRROR-CURRENT-MAPPED",
    at: () => ({ dmirror_atomic_map: leaveOut() }),
  },
]
