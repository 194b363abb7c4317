/** The invariants of today's mmu notifier, as executable specs. */
import { actionInvariant, type Property } from "../../../checker/index.ts"
import { isLive } from "../../../model/mm/folio.ts"
import { listed } from "../../../model/notifier/mmuNotifier.ts"
import { isInside } from "../../../model/sync/gracePeriod.ts"
import { endProperties } from "./endProperties.ts"
import { lockProperties } from "./lockProperties.ts"
import type { MmuNotifierWorld } from "./world.ts"

type Spec = Property<MmuNotifierWorld>

const walksOf = ({ record }: MmuNotifierWorld) => [...record.walks.values()]
const refused = (world: MmuNotifierWorld) => walksOf(world).filter(({ phase }) => phase === "refused")
const stageOf = ({ record }: MmuNotifierWorld, name: string) => record.stages.get(name)?.stage
const toldOf = (world: MmuNotifierWorld, name: string) =>
  walksOf(world).filter(({ told }) => told.includes(name)).length
const seqIsOdd = ({ mm }: MmuNotifierWorld) => mm.subs.itree.state.seq % 2 === 1

/** Starts and ends. That no callback sleeps where it may not (NOTIFIER-NONBLOCK-NO-SLEEP) is the built-in `context`. */
const rangeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-PAIRING",
    statement:
      "Every invalidation that was started is ended exactly once, by the fiber that started it, and what the interval tree and the devices count is what was started and not ended.",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start, __mmu_notifier_invalidate_range_end",
    premise: (world) =>
      world.record.slips.unpaired ||
      world.mm.subs.itree.state.active !== 0 ||
      walksOf(world).some(({ phase }) => phase === "started"),
    holds: (world) =>
      !world.record.slips.unpaired &&
      world.mm.subs.itree.state.active === walksOf(world).filter(({ itree }) => itree).length &&
      world.counting.every(({ name, state }) => state.inProgress === toldOf(world, name)),
    explain: ({ mm, counting }) =>
      [
        `The tree counts ${mm.subs.itree.state.active} invalidations under way.`,
        ...counting.map(({ name, state }) => `${name} counts ${state.inProgress}.`),
      ].join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-END-AFTER-EAGAIN",
    statement: "Who was refused a start does not announce an end.",
    source: "mm/mmu_notifier.c: mn_itree_invalidate, the comment on -EAGAIN",
    premise: (world) => refused(world).length > 0 || world.record.slips.endAfterRefusal,
    holds: ({ record }) => !record.slips.endAfterRefusal,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-FAIL-RESTORES",
    statement:
      "When a start was refused everything is as if it had never been: the interval tree does not count it, its sequence is odd only on account of others, and every notifier that was told of the start was told of the end.",
    source:
      "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start, by inference from what its callers do; today's code does not keep to it",
    premise: (world) => refused(world).length > 0,
    holds: (world) =>
      refused(world).every(({ itree, told }) => !itree && told.length === 0) &&
      (!seqIsOdd(world) || walksOf(world).some(({ itree }) => itree)),
    explain: (world) =>
      refused(world)
        .flatMap(({ itree, told }) => [
          ...(itree
            ? [
                `A start was refused, and the interval tree counts it still: active is ${world.mm.subs.itree.state.active}, the sequence ${world.mm.subs.itree.state.seq}.`,
              ]
            : []),
          ...told.map((name) => `A start was refused, and ${name}, which was told of it, was not told of an end.`),
        ])
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-BLOCKABLE-NEVER-FAILS",
    statement: "A range whose callbacks may sleep is never refused.",
    source: "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, its warning",
    premise: (world) => walksOf(world).some(({ phase, nonblock }) => phase === "started" && !nonblock),
    holds: ({ record }) => !record.slips.blockableRefused,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-FAILER-HAS-NO-END",
    statement: "A notifier that refuses a start has no callback for the end.",
    source: "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, its warning",
    premise: (world) => refused(world).length > 0 || world.record.slips.endOfRefuser,
    holds: ({ record }) => !record.slips.endOfRefuser,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-ORPHAN-END",
    statement: "A notifier is told of the end of an invalidation only if it was told of its start.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, the comment on mm_take_all_locks",
    premise: (world) => walksOf(world).some(({ told }) => told.length > 0) || world.record.slips.orphanEnd,
    holds: ({ record, counting }) => !record.slips.orphanEnd && counting.every(({ state }) => state.inProgress >= 0),
    explain: ({ counting }) =>
      counting.map(({ name, state }) => `${name} counts ${state.inProgress} invalidations under way.`).join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-ALL-CALLED",
    statement:
      "When pages are taken away every notifier on the list and every subscription to the range has returned from its start, and from its second pass if it has one.",
    source: "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, mn_itree_invalidate",
    premise: (world) =>
      world.record.slips.missed || walksOf(world).some(({ called, itree }) => called.length > 0 || itree),
    holds: ({ record }) => !record.slips.missed && !record.slips.unfinished,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-FINISH-RUNS",
    statement: "Whoever has left something for a second pass has it called, also when another refuses the start.",
    source: "mm/mmu_notifier.c: mn_itree_finish_pass, called behind the loop however that ended",
    premise: (world) => world.record.slips.unfinished || walksOf(world).some(({ unfinished }) => unfinished.length > 0),
    holds: ({ record }) => !record.slips.unfinished,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-START-WHILE-MAPPED",
    statement: "A page that the page table maps is not free, whoever is told that it is about to go.",
    source: "include/linux/mmu_notifier.h: invalidate_range_start",
    premise: (world) => walksOf(world).some(({ phase }) => phase === "started"),
    holds: ({ mm }) => mm.pte.every(({ value }) => value === null || isLive(mm.folios, value)),
  },
  {
    kind: "invariant",
    id: "MIRROR-NO-UAF",
    statement: "No device maps a page that was freed.",
    source: "Linux MMU notifiers, LKML 2008; Documentation/mm/mmu_notifier.rst",
    premise: ({ tables }) => tables.some(({ pageTable }) => pageTable.some(({ value }) => value !== null)),
    holds: ({ mm, tables }) =>
      tables.every(({ pageTable }) => pageTable.every(({ value }) => value === null || isLive(mm.folios, value))),
    explain: ({ mm, tables }) =>
      tables
        .flatMap(({ name, pageTable }) =>
          pageTable.flatMap(({ value }, va) =>
            value === null || isLive(mm.folios, value)
              ? []
              : [`${name} maps page ${value.pfn} at ${va}, which is free.`],
          ),
        )
        .join(" "),
  },
]

/** Notifiers that come and go. */
const lifeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-CB-CONTEXT",
    statement:
      "A callback of a notifier on the list runs inside an SRCU section, and one of an interval subscription, its second pass too, while the sequence is odd.",
    source: "mm/mmu_notifier.c: the walkers of the list; mn_itree_inv_start_range",
    premise: (world) =>
      walksOf(world).some(
        ({ current, uncalled, unfinished }) => current !== "" || uncalled.length + unfinished.length > 0,
      ),
    holds: (world) =>
      [...world.record.walks].every(
        ([fiber, { current, uncalled, unfinished }]) =>
          (current === "" || isInside(world.mm.subs.srcu, fiber)) &&
          (uncalled.length + unfinished.length === 0 || seqIsOdd(world)),
      ),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-CB-AFTER-UNREGISTER",
    statement: "When unregister has returned no callback of the notifier is running or will.",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister",
    premise: (world) => world.counting.some(({ name }) => stageOf(world, name) === "freed"),
    holds: (world) => walksOf(world).every(({ current }) => stageOf(world, current) !== "freed"),
    explain: (world) =>
      walksOf(world)
        .filter(({ current }) => stageOf(world, current) === "freed")
        .map(({ current, callback }) => `${callback} of ${current}, which was freed, is running.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-FREE-AFTER-GRACE",
    statement: "A notifier that was put is freed when everybody who could have found it on the list has left.",
    source: "mm/mmu_notifier.c: mmu_notifier_put, mmu_notifier_free_srcu",
    premise: ({ counting }) => counting.some(({ notifier }) => notifier.state.life === "freed"),
    holds: (world) => walksOf(world).every(({ current }) => world.mm.subs.byName.get(current)?.state.life !== "freed"),
    explain: (world) =>
      walksOf(world)
        .filter(({ current }) => world.mm.subs.byName.get(current)?.state.life === "freed")
        .map(({ current, callback }) => `${callback} of ${current}, which was freed, is running.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-MODULE-EXIT",
    statement: "When the driver's module is gone none of its callbacks runs or is to run.",
    source: "mm/mmu_notifier.c: mmu_notifier_synchronize (kernel-doc)",
    premise: ({ record }) => [...record.stages.values()].some(({ stage }) => stage === "unloaded"),
    holds: (world) =>
      [...world.record.stages.values()].every(({ stage }) => stage !== "unloaded") ||
      (world.mm.subs.srcu.state.callbacks.length === 0 && walksOf(world).every(({ current }) => current === "")),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-RELEASE-BEFORE-FREE",
    statement: "When exit frees the first page a release of every notifier has finished, whoever called it.",
    source: "mm/mmap.c: exit_mmap; mm/mmu_notifier.c: mn_hlist_release, the comment on synchronize_srcu",
    premise: ({ mm }) => mm.state.exiting,
    holds: ({ mm, record, counting }) =>
      !mm.state.exiting ||
      counting.every(
        ({ name, notifier: { state } }) => (state.users === 0 || record.released.names.includes(name)) && !state.hashed,
      ),
    explain: ({ record, counting }) =>
      counting
        .filter(({ name, notifier }) => notifier.state.users > 0 && !record.released.names.includes(name))
        .map(({ name }) => `The release of ${name} has not finished.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-RELEASE-IDEMPOTENT",
    statement: "However often release runs, and however often at once, the device maps nothing once one has finished.",
    source: "mm/mmu_notifier.c: mmu_notifier_unregister, the comment on release",
    premise: ({ record }) => record.released.names.length > 0,
    holds: ({ counting, record }) =>
      counting.every(
        ({ name, pageTable }) =>
          !record.released.names.includes(name) || pageTable.every(({ value }) => value === null),
      ),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-UNLINK-ONCE",
    statement: "Exit and unregister do not both take the notifier off the list.",
    source: "commit 751efd8610d3: mmu_notifier_unregister NULL Pointer deref and multiple ->release() callouts",
    premise: (world) =>
      world.record.slips.unlinkedTwice || world.counting.some(({ name }) => stageOf(world, name) === "freed"),
    holds: ({ record }) => !record.slips.unlinkedTwice,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-MMCOUNT",
    statement:
      "Every notifier on the list and every interval subscription has a reference to the address space, besides that of all users.",
    source: "mm/mmu_notifier.c: mmgrab, mmdrop",
    premise: ({ mm }) => listed(mm.subs).length > 0 || mm.subs.itree.state.tree.length > 0,
    holds: ({ mm }) => {
      const users = mm.state.users > 0 ? 1 : 0
      return mm.state.count >= users + listed(mm.subs).length + mm.subs.itree.state.tree.length
    },
    explain: ({ mm }) =>
      `mm_count is ${mm.state.count}, with ${mm.state.users} users (which have one together), ${listed(mm.subs).length} notifiers and ${mm.subs.itree.state.tree.length} subscriptions.`,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-SUBS-LIFETIME",
    statement: "When the last reference to the address space goes there is nothing on the list.",
    source: "mm/mmu_notifier.c: __mmu_notifier_subscriptions_destroy",
    premise: ({ mm }) => mm.state.count === 0,
    holds: ({ mm }) => mm.state.count > 0 || (mm.state.count === 0 && listed(mm.subs).length === 0),
  },
  actionInvariant({
    id: "NOTIFIER-SUBS-CONSTANT",
    statement: "That the address space has subscriptions, and that it has an interval tree, is never taken back.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register",
    observe: ({ mm }: MmuNotifierWorld) => ({ published: mm.subs.state.published, hasItree: mm.subs.state.hasItree }),
    premise: (before, after) => before.published !== after.published || before.published,
    holds: (before, after) => (!before.published || after.published) && (!before.hasItree || after.hasItree),
  }),
  {
    kind: "invariant",
    id: "NOTIFIER-REG-NO-INFLIGHT",
    statement: "When a notifier registers no invalidation of the address space is under way.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, mm_take_all_locks",
    premise: (world) =>
      world.record.slips.registeredInflight || world.counting.some(({ notifier }) => notifier.state.hashed),
    holds: ({ record }) => !record.slips.registeredInflight,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-EXCLUSIVE-OPS",
    statement: "No notifier hears both of flushed TLBs and of ranges.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, -EINVAL",
    premise: ({ mm }) => listed(mm.subs).some(({ ops }) => ops.archInvalidateSecondaryTlbs !== undefined),
    holds: ({ mm }) =>
      listed(mm.subs).every(
        ({ ops }) => ops.archInvalidateSecondaryTlbs === undefined || ops.invalidateRangeStart === undefined,
      ),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-REG-MMUSERS",
    statement: "While a notifier registers the address space has users.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, BUG_ON(atomic_read(&mm->mm_users) <= 0)",
    premise: ({ record }) => [...record.stages.values()].some(({ stage }) => stage === "registering"),
    holds: ({ mm, record }) =>
      mm.state.users > 0 || [...record.stages.values()].every(({ stage }) => stage !== "registering"),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-USERS-POS",
    statement: "A notifier on the list has users, and one without is off it in the same instant.",
    source: "mm/mmu_notifier.c: mmu_notifier_put",
    premise: ({ mm }) => listed(mm.subs).length > 0,
    holds: ({ mm }) => listed(mm.subs).every(({ state }) => state.users > 0),
  },
]

/** Whether a page was used. */
const youngProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "NOTIFIER-YOUNG-OR",
    statement:
      "A page counts as used when the process or any device says so, and no device is asked before the page table's own bit is cleared.",
    source:
      "include/linux/mmu_notifier.h: ptep_clear_flush_young_notify; mm/mmu_notifier.c: __mmu_notifier_clear_flush_young",
    premise: (world) =>
      world.record.slips.wrongAge || world.record.slips.askedBeforeCleared || walksOf(world).some(({ young }) => young),
    holds: ({ record }) => !record.slips.wrongAge && !record.slips.askedBeforeCleared,
  },
  {
    kind: "invariant",
    id: "NOTIFIER-YOUNG-KEPT",
    statement: "That a page was used is forgotten only when somebody is told of it.",
    source: "include/linux/pgtable.h: ptep_test_and_clear_young; mm/mmu_notifier.c: __mmu_notifier_clear_young",
    premise: ({ record }) => record.uses.of.length > 0,
    holds: ({ mm, counting, record }) =>
      [mm, ...counting].every(({ name, young }) =>
        young.every(({ value }, va) => value || !record.uses.of.includes(`${name} ${va}`)),
      ),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-TESTYOUNG-SOUND",
    statement: "When somebody is told that nobody has used a page, every notifier on the list has said so.",
    source: "mm/mmu_notifier.c: __mmu_notifier_test_young",
    premise: (world) => walksOf(world).some(({ old }) => old.length > 0) || world.record.slips.wronglyOld,
    holds: ({ record }) => !record.slips.wronglyOld,
  },
]

/** What belongs to a device that asked for it. */
const ownerProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "EXCL-ONE-OWNER",
    statement: "While a page is exclusive to a device no other device maps it.",
    source: "mm/rmap.c: make_device_exclusive, the EXCLUSIVE event",
    premise: ({ mm }) => mm.exclusive.some(({ value }) => value !== ""),
    holds: ({ mm, tables }) =>
      mm.exclusive.every(
        ({ value: owner }, va) =>
          owner === "" || tables.every(({ name, pageTable }) => name === owner || pageTable[va]?.value === null),
      ),
  },
  {
    kind: "invariant",
    id: "EXCL-PRESENT",
    statement: "A device-exclusive entry stands for a page that is there.",
    source: "mm/rmap.c: make_device_exclusive; include/linux/swapops.h: softleaf_to_pfn",
    premise: ({ mm }) => mm.exclusive.some(({ value }) => value !== ""),
    holds: ({ mm }) => mm.exclusive.every(({ value }, va) => value === "" || mm.pte[va]?.value !== null),
  },
  {
    kind: "invariant",
    id: "EXCL-RESTORED",
    statement: "When who takes a page back from a device unlocks it, the page is nobody's.",
    source: "mm/memory.c: remove_device_exclusive_entry; mm/rmap.c: make_device_exclusive",
    premise: ({ mm, record }) =>
      record.slips.leftExclusive ||
      mm.exclusive.some(({ value }, va) => value === "" && mm.folioLock[va]?.value !== ""),
    holds: ({ record }) => !record.slips.leftExclusive,
  },
]

export const mmuNotifierProperties: ReadonlyArray<Spec> = [
  ...rangeProperties,
  ...lifeProperties,
  ...lockProperties,
  ...youngProperties,
  ...ownerProperties,
  ...endProperties,
]
