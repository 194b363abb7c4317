/** The invariants of the interval notifier, as executable specs, with those of the mirrors that live on it. */
import { actionInvariant, type Property, type Struct } from "../../../checker/index.ts"
import type { MirrorDevice } from "../../../model/driver/mirror.ts"
import { isLive } from "../../../model/mm/folio.ts"
import { isInvalidating } from "../../../model/notifier/interval.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { mirrorProperties } from "../../mirror/properties.ts"
import { isOpen } from "../windows.ts"
import type { Life } from "./history.ts"
import type { IntervalWorld } from "./world.ts"

type Spec = Property<IntervalWorld>

const windowsOf = (world: IntervalWorld) => [...world.windows.values()]
const livesOf = (world: IntervalWorld): ReadonlyArray<Struct<Life>> => [...world.history.lives.values()]
const stageOf = (world: IntervalWorld, device: MirrorDevice) => world.history.lives.get(device.name)?.stage

/** Section by section: the core notifier. */
export const notifierProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-PAIRING",
    statement:
      "Every invalidation that was started is ended exactly once, by the fiber that started it, and the active count is the number of those not yet ended.",
    source: "mm/mmu_notifier.c: mn_itree_inv_start_range, mn_itree_inv_end",
    premise: (world) => windowsOf(world).some(isOpen),
    holds: (world) =>
      world.subs.state.active === windowsOf(world).filter(isOpen).length &&
      windowsOf(world).every((window) => !window.unpaired),
    explain: (world) =>
      `${windowsOf(world).filter(isOpen).length} invalidations are open and the active count is ${world.subs.state.active}.`,
  },
  {
    kind: "atEnd",
    id: "NOTIFIER-PAIRING-END",
    statement: "When everything has ended, no invalidation is left open.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end",
    holds: (world) => world.subs.state.active === 0 && windowsOf(world).every((window) => window.phase === "closed"),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-ALL-CALLED",
    statement:
      "When the start of an invalidation has returned, every subscription that overlapped has run its callback to completion.",
    source: "mm/mmu_notifier.c: mn_itree_invalidate",
    premise: (world) => windowsOf(world).some((window) => window.phase === "open" && window.due.length > 0),
    holds: (world) =>
      windowsOf(world).every(
        (window) => window.phase !== "open" || window.due.every((name) => window.called.includes(name)),
      ),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-CB-AFTER-REMOVE",
    statement:
      "Once the removal of a subscription has returned, none of its callbacks runs or will run, and no list holds it.",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove; commit 319561669a59",
    premise: (world) => livesOf(world).some((life) => life.stage === "freed"),
    holds: (world) =>
      world.devices.every((device) => stageOf(world, device) !== "freed" || usesOf(world, device.name).length === 0),
    explain: (world) =>
      world.devices
        .filter((device) => stageOf(world, device) === "freed")
        .flatMap((device) =>
          usesOf(world, device.name).map((use) => `The freed subscription of ${device.name} ${use}.`),
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-SUBSCRIBED",
    statement:
      "A subscription that was inserted and not removed is in the interval tree or waits on the deferred list.",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert, mn_itree_inv_end",
    premise: (world) => livesOf(world).some((life) => life.stage === "inserted"),
    holds: (world) =>
      world.devices.every(
        (device) =>
          stageOf(world, device) !== "inserted" ||
          world.subs.state.tree.includes(device.name) ||
          world.subs.state.deferred.includes(device.name),
      ),
  },
]

/** How a subscription is still in use. */
const usesOf = (world: IntervalWorld, name: string): ReadonlyArray<string> => [
  ...(world.subs.state.tree.includes(name) ? ["is in the interval tree"] : []),
  ...(world.subs.state.deferred.includes(name) ? ["is on the deferred list"] : []),
  ...(windowsOf(world).some((window) => window.current === name) ? ["is being called"] : []),
]

/** The interval sequence. */
export const sequenceProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "SEQ-ODD-IFF-FULL",
    statement: "The sequence is odd only while an invalidation is active.",
    source: "mm/mmu_notifier.c: struct mmu_notifier_subscriptions, mn_itree_inv_end",
    premise: ({ subs }) => isInvalidating(subs),
    holds: ({ subs }) => !isInvalidating(subs) || subs.state.active > 0,
  },
  {
    kind: "invariant",
    id: "SEQ-IDLE-EVEN",
    statement: "When no invalidation is active the sequence is even.",
    source: "mm/mmu_notifier.c: __mmu_interval_notifier_insert (WARN_ON)",
    premise: ({ subs }) => subs.state.active === 0,
    holds: ({ subs }) => subs.state.active > 0 || !isInvalidating(subs),
    explain: ({ subs }) => `No invalidation is active and the sequence is ${subs.state.seq}.`,
  },
  {
    kind: "invariant",
    id: "SEQ-SUB-ODD",
    statement: "The sequence of a subscription is always odd.",
    source: "mm/mmu_notifier.c: mmu_interval_read_begin, __mmu_interval_notifier_insert",
    holds: ({ devices }) => devices.every(({ iv }) => iv.state.seq % 2 === 1),
    explain: ({ devices }) => devices.map(({ name, iv }) => `${name} has sequence ${iv.state.seq}.`).join(" "),
  },
  actionInvariant({
    id: "SEQ-MONOTONE",
    statement: "The sequence never decreases: it is made odd, or goes from odd to the next even number.",
    source: "mm/mmu_notifier.c: mn_itree_inv_start_range, mn_itree_inv_end",
    observe: ({ subs }: IntervalWorld) => subs.state.seq,
    holds: (before, after) => after === (before | 1) || (before % 2 === 1 && after === before + 1),
    explain: (before, after) => `The sequence went from ${before} to ${after}.`,
  }),
  {
    kind: "invariant",
    id: "SEQ-SUB-NOT-AHEAD",
    statement: "The sequence of a subscription is never ahead of the one that it follows.",
    source: "mm/mmu_notifier.c: mmu_interval_set_seq, by inference",
    holds: ({ devices, subs }) => devices.every(({ iv }) => iv.state.seq <= subs.state.seq),
  },
  actionInvariant({
    id: "SEQ-TREE-FROZEN",
    statement: "While the sequence is odd the interval tree does not change.",
    source: "mm/mmu_notifier.c: struct mmu_notifier_subscriptions, the description of the writer's states",
    observe: ({ subs }: IntervalWorld) => ({
      full: isInvalidating(subs),
      tree: subs.state.tree,
      deferred: subs.state.deferred,
    }),
    premise: (before, after) => before.full && after.full,
    holds: (before, after) => !(before.full && after.full) || before.tree === after.tree,
    explain: (before, after) => `The tree was [${before.tree}] and became [${after.tree}].`,
  }),
  {
    kind: "invariant",
    id: "SEQ-DEFERRED-EMPTY",
    statement: "While the sequence is even, and nobody is inside the lock, the deferred list is empty.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end",
    premise: ({ subs }) => !isInvalidating(subs) && isFree(subs.lock),
    holds: ({ subs }) => isInvalidating(subs) || !isFree(subs.lock) || subs.state.deferred.length === 0,
  },
  {
    kind: "invariant",
    id: "SEQ-DEFERRED-MEANING",
    statement:
      "A subscription on the deferred list is there once, and either waits to be inserted and is not in the tree, or waits to be removed and is.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end, the loop over the deferred list",
    premise: ({ subs }) => subs.state.deferred.length > 0,
    holds: (world) => {
      const { tree, deferred } = world.subs.state
      return deferred.every((name) => {
        const stage = world.history.lives.get(name)?.stage
        const once = deferred.filter((other) => other === name).length === 1
        return once && (tree.includes(name) ? stage === "removing" : stage === "inserted")
      })
    },
  },
  {
    kind: "invariant",
    id: "SEQ-ACTIVE-NONNEG",
    statement: "The count of active invalidations is never negative.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end",
    holds: ({ subs }) => subs.state.active >= 0,
  },
  {
    kind: "invariant",
    id: "SEQ-WAITERS-WOKEN",
    statement: "Whoever sleeps for a sequence that has changed is about to be woken by the end that changed it.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end (wake_up_all)",
    premise: ({ subs }) => subs.wq.state.sleepers.length > 0,
    holds: (world) =>
      windowsOf(world).some((window) => window.phase === "waking") ||
      world.subs.wq.state.sleepers.every((name) => world.history.sleepingFor.get(name)?.seq === world.subs.state.seq),
  },
  {
    kind: "invariant",
    id: "SEQ-NO-FALSE-VALID",
    statement:
      "When read_retry accepts what was read since read_begin, no callback has set the sequence in between, and none was between its callback and its end at the beginning.",
    source: "mm/mmu_notifier.c: mmu_interval_read_begin (kernel-doc)",
    premise: (world) => livesOf(world).some((life) => life.reader === "accepted"),
    holds: (world) => livesOf(world).every((life) => life.reader !== "accepted" || !life.disturbed),
  },
  {
    kind: "invariant",
    id: "MIRROR-MAPS",
    statement: "A device fault that finds nothing changed maps what it found before it lets go of the driver's lock.",
    source: "Documentation/mm/hmm.rst: Address space mirroring implementation and API",
    premise: (world) => livesOf(world).some((life) => life.reader === "accepted" || life.missed),
    holds: (world) => livesOf(world).every((life) => !life.missed),
  },
  {
    kind: "invariant",
    id: "SEQ-REMOVE-NOT-FROM-CB",
    statement: "Nobody removes a subscription from inside a callback or while holding a lock that a callback takes.",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove (kernel-doc)",
    premise: (world) => livesOf(world).some((life) => life.stage === "removing"),
    holds: (world) =>
      livesOf(world).every(
        ({ stage, remover }) =>
          stage !== "removing" ||
          ((world.windows.get(remover)?.current ?? "") === "" &&
            world.devices.every(({ lock }) => lock.state.holder !== remover)),
      ),
  },
  {
    kind: "invariant",
    id: "SEQ-READBEGIN-NOT-UNDER-ULOCK",
    statement: "read_begin, which may sleep, is not called with the driver's lock held.",
    source: "Documentation/mm/hmm.rst",
    premise: (world) => livesOf(world).some(({ reader }) => reader === "waiting" || reader === "sampled"),
    holds: (world) => livesOf(world).every((life) => !life.beganUnderLock),
  },
  {
    kind: "invariant",
    id: "SEQ-SETSEQ-UNDER-ULOCK",
    statement: "set_seq and read_retry run with the same lock of the driver held.",
    source: "mm/mmu_notifier.c: mmu_interval_set_seq, mmu_interval_read_retry (kernel-doc)",
    premise: (world) => livesOf(world).some((life) => life.lastUse !== "none"),
    holds: (world) => livesOf(world).every((life) => life.lastUse !== "unlocked"),
  },
  {
    kind: "invariant",
    id: "SEQ-EVERY-ACCEPT-SETS",
    statement: "A callback that has returned has set the sequence of its subscription.",
    source: "mm/mmu_notifier.c: mmu_interval_set_seq (kernel-doc), by inference",
    premise: (world) => windowsOf(world).some((window) => window.called.length > 0),
    holds: (world) =>
      windowsOf(world).every((window) =>
        window.called.every((name) => (world.subs.byName.get(name)?.state.seq ?? 0) >= window.seq),
      ),
  },
]

/** What becomes of the pages that are unmapped. */
export const unmapProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "ZAP-TLB-BEFORE-FREE",
    statement: "No CPU's TLB holds a page that was freed.",
    source: "mm/mmu_gather.c: tlb_finish_mmu",
    premise: ({ mm }) => [...mm.tlbs.values()].some((cache) => cache.some((entry) => entry.value !== null)),
    holds: ({ mm, folios }) =>
      [...mm.tlbs.values()].every((cache) =>
        cache.every(({ value }) => value === null || value.page === null || isLive(folios, value.page)),
      ),
  },
  {
    kind: "invariant",
    id: "FREE-IFF-ZERO",
    statement: "A page is free exactly when nothing refers to it any more.",
    source: "mm/swap.c: folio_put",
    holds: ({ folios }) => folios.arena.slots.every(({ live, refcount }) => live === refcount > 0),
  },
  {
    kind: "atEnd",
    id: "UNMAP-VMA-COVERS",
    statement: "When everything has ended, nothing is mapped where the process has no VMA.",
    source: "mm/vma.c: vms_complete_munmap_vmas, by inference",
    premise: ({ mm }) => mm.vma.some(({ value }) => value === null),
    holds: ({ mm }) => mm.vma.every(({ value }, va) => value !== null || mm.pte[va]?.value === null),
  },
]

/** Liveness: that the device's loop ends, and of each wait that it does not end in a deadlock. */
export const livenessProperties: ReadonlyArray<Spec> = [
  {
    kind: "progress",
    id: "L-READBEGIN",
    statement: "read_begin returns once the invalidations that it waits for have ended.",
    source: "mm/mmu_notifier.c: mmu_interval_read_begin",
    stuck: (_, waiting) => waiting.some(({ step }) => step.startsWith("mmu_interval_read_begin")),
  },
  {
    kind: "progress",
    id: "L-REMOVE",
    statement: "The removal of a subscription returns.",
    source: "mm/mmu_notifier.c: mmu_interval_notifier_remove (kernel-doc)",
    stuck: (_, waiting) => waiting.some(({ step }) => step.startsWith("mmu_interval_notifier_remove")),
  },
  {
    kind: "progress",
    id: "L-DEFERRED",
    statement: "Inserts and removes that were deferred are done in the end.",
    source: "mm/mmu_notifier.c: mn_itree_inv_end",
    stuck: (world) =>
      world.subs.state.deferred.length > 0 ||
      world.devices.some((device) => {
        const inTree = world.subs.state.tree.includes(device.name)
        return inTree ? stageOf(world, device) === "freed" : stageOf(world, device) === "inserted"
      }),
  },
]

/** What comes about in the end. Deciding it takes the graph of all states, so small scenarios ask for it. */
export const intervalPromises: ReadonlyArray<Spec> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "As there are finitely many invalidations, every device comes to the end of its retries.",
    source: "Documentation/mm/hmm.rst: the retry loop",
    to: ({ devices }, fibers) => devices.every(({ name }) => fibers.ended(name)),
  },
]

export const intervalProperties: ReadonlyArray<Spec> = [
  ...notifierProperties,
  ...sequenceProperties,
  ...mirrorProperties,
  ...unmapProperties,
  ...livenessProperties,
]
