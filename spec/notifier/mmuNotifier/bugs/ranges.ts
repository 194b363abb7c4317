/** Seeded bugs of starts and ends. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  leaveOut,
  type Replacement,
  type Replacements,
  type SeededBug,
  step,
} from "../../../../checker/index.ts"
import { folioPut } from "../../../../model/mm/folio.ts"
import { notifierRange } from "../../../../model/notifier/events.ts"
import { invalidateRangeEnd } from "../../../../model/notifier/mmuNotifierRange.ts"
import { mutexLock } from "../../../../model/sync/mutex.ts"
import { isFree } from "../../../../model/sync/spinlock.ts"
import { zoo } from "../../../bugZoo.ts"
import { afterRefusal } from "../../afterRefusal.ts"
import { nonBlockable, overlapping, register, unregister, young } from "../scenarios/subscriptions.ts"
import type { MmuNotifierWorld } from "../world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const inNonBlockable = { scenario: nonBlockable.id, bound: { pages: 1, attempts: 1, cpus: 0 } }
const inOverlapping = { scenario: overlapping.id, bound: { pages: 1, counting: 1, refusing: 0, cpus: 1 } }
const inRegister = { scenario: register.id, bound: { pages: 1, devices: 1, cpus: 1, exit: 0 } }
const inYoung = { scenario: young.id, bound: { devices: 2, asks: 1, damon: 0, cpus: 0 } }

const asPublished =
  "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_start returns what mn_hlist_invalidate_range_start does, and nothing " +
  "undoes mn_itree_inv_start_range. Found in the protocol as published, by reading the source; not observed on a running " +
  "kernel. What triggers it: the OOM reaper, the only caller whose range is not blockable, on a process that has an " +
  "interval subscription beside a classic notifier that refuses, as nouveau's has"

export const rangeBugs: ReadonlyArray<SeededBug<MmuNotifierWorld>> = [
  {
    id: "refused-start-leaves-itree-open",
    title: "as published: a start that the list refuses leaves the interval tree's side open for ever",
    source: asPublished,
    ...inNonBlockable,
    breaks: "NOTIFIER-FAIL-RESTORES",
    at: treeLeftOpen,
  },
  {
    id: "refused-start-starves-reader",
    title: "as published: after a start that the list refused every device fault sleeps in read_begin for ever",
    source: asPublished,
    scenario: nonBlockable.id,
    bound: { pages: 1, attempts: 2, cpus: 0 },
    breaks: "L-ITREE-LEAK",
    at: treeLeftOpen,
  },
  {
    id: "range-start-fail-unpaired",
    title: "a start that one notifier refuses is not ended for those that had counted it",
    source: "commit c2655835fd8c: mm/mmu_notifiers: ensure range_end() is paired with range_start()",
    references: zoo(7),
    ...inNonBlockable,
    breaks: "NOTIFIER-FAIL-RESTORES",
    at: withoutUnwinding,
  },
  {
    id: "range-start-fail-livelock",
    title: "the device that counted a refused start takes it to be under way, and begins its fault again for ever",
    source: "commit c2655835fd8c: mm/mmu_notifiers: ensure range_end() is paired with range_start()",
    references: zoo(7),
    ...inNonBlockable,
    breaks: "L-ITREE-LEAK",
    at: withoutUnwinding,
  },
  {
    id: "end-after-eagain",
    title: "the OOM reaper announces the end of a range although the start was refused",
    source: "mm/mmu_notifier.c: mn_itree_invalidate, the comment on -EAGAIN",
    ...inNonBlockable,
    breaks: "NOTIFIER-NO-END-AFTER-EAGAIN",
    at: ({ mm }) => {
      const range = { ...notifierRange("CLEAR", "__oom_reap_task_mm", { start: 0, end: mm.pages }), blockable: false }
      return { "__oom_reap_task_mm: -EAGAIN": andThen(() => invalidateRangeEnd(mm, range)) }
    },
  },
  {
    id: "end-announced-twice",
    title: "the end of a range is announced by who took the pages away, and again on the way out",
    source: "mm/mmu_notifier.c: __mmu_notifier_invalidate_range_end, by inference",
    ...inOverlapping,
    breaks: "NOTIFIER-PAIRING",
    at: ({ mm }) => ({
      zap_pte_range: andThen(() =>
        invalidateRangeEnd(mm, notifierRange("CLEAR", "unmap_mapping_range", { start: 0, end: mm.pages })),
      ),
    }),
  },
  {
    id: "blockable-start-refused",
    title: "a driver refuses a range whose callbacks may sleep; the kernel warns, and takes the pages away",
    source: "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, WARN_ON(mmu_notifier_range_blockable(range))",
    scenario: overlapping.id,
    bound: { pages: 1, counting: 0, refusing: 1, cpus: 1 },
    breaks: "NOTIFIER-BLOCKABLE-NEVER-FAILS",
    at: () => ({
      nouveau_svmm_invalidate: (_, { args }) =>
        step("nouveau_svmm_invalidate_range_start: -EAGAIN", args.slice(0, 1), () => false),
    }),
  },
  {
    id: "refuser-has-end",
    title: "a driver that counts refuses when its lock is held, does not count, and is told of the end",
    source: "mm/mmu_notifier.c: mn_hlist_invalidate_range_start, WARN_ON(ops->invalidate_range_end)",
    ...inNonBlockable,
    breaks: "NOTIFIER-FAILER-HAS-NO-END",
    at: (world, fiber) => (fiber === "oom_reaper" ? { kvm_mmu_notifier_invalidate_range_start: trylocks(world) } : {}),
  },
  {
    id: "atomic-start-sleeps",
    title: "a callback takes its mutex although the range is not blockable",
    source: "mm/mmu_notifier.c: non_block_start",
    references: zoo("atomicStartSleeps"),
    ...inNonBlockable,
    breaks: builtIn.context,
    at: ({ refusing }) => ({
      mutex_trylock: (original) =>
        refusing[0] === undefined ? original : Effect.as(mutexLock(refusing[0].lock), true),
    }),
  },
  {
    id: "walk-skips-behind-unlinked",
    title:
      "who unregisters clears the pointer to the next notifier, and a walker that stands there calls nobody behind",
    source: "include/linux/rculist.h: hlist_del_init_rcu, which leaves ->next for readers",
    scenario: unregister.id,
    bound: { pages: 1, devices: 1, others: 1, cpus: 1, exit: 0 },
    breaks: "NOTIFIER-ALL-CALLED",
    at: ({ mm }) => ({
      "mmu_notifier_unregister: hlist_del_init_rcu": changeBody(({ args, body }) => {
        const unlinked = body()
        const gone = mm.subs.byName.get(String(args[0]))
        if (gone !== undefined) gone.state.next = ""
        return unlinked
      }),
    }),
  },
  {
    id: "page-freed-before-start",
    title: "a page is freed before its range is announced",
    source: "include/linux/mmu_notifier.h: invalidate_range_start is called while the pages are mapped still",
    ...inOverlapping,
    breaks: "NOTIFIER-START-WHILE-MAPPED",
    at: ({ mm }) => ({
      __mmu_notifier_invalidate_range_start: changeBody(({ body }) => {
        for (const { value } of mm.pte) if (value !== null) folioPut(mm.folios, value)
        return body()
      }),
    }),
  },
  {
    id: "count-without-number",
    title: "the device asks whether an invalidation is under way, not whether one has ended since it looked",
    source: "include/linux/kvm_host.h: mmu_invalidate_retry",
    ...inOverlapping,
    breaks: "MIRROR-NO-UAF",
    at: ({ counting }) => ({
      mmu_invalidate_retry: changeBody(({ args, body }) => {
        const device = counting.find(({ name }) => name === args[0])
        if (device === undefined) return body()
        const { seq } = device.state
        device.state.seq = Number(args[2])
        const answer = body()
        device.state.seq = seq
        return answer
      }),
    }),
  },
  {
    id: "register-without-all-locks",
    title: "a notifier is registered under mmap_lock alone, and is told of an end without its start",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, the comment on mm_take_all_locks",
    ...inRegister,
    breaks: "NOTIFIER-NO-ORPHAN-END",
    at: () => ({
      vma_start_write: leaveOut(),
      vm_lock_mapping: leaveOut(),
      vm_lock_anon_vma: leaveOut(),
      vm_unlock_anon_vma: leaveOut(),
      vm_unlock_mapping: leaveOut(),
      vma_end_write_all: leaveOut(),
    }),
  },
  {
    id: "register-without-file-locks",
    title: "mm_take_all_locks forgets the files, by which truncation comes",
    source: "mm/mmap.c: vm_lock_mapping",
    ...inRegister,
    breaks: "NOTIFIER-REG-NO-INFLIGHT",
    at: () => ({ vm_lock_mapping: leaveOut(), vm_unlock_mapping: leaveOut() }),
  },
  {
    id: "age-asked-before-cleared",
    title: "the devices are asked whether a page is young before the page table's own bit is cleared",
    source: "include/linux/mmu_notifier.h: ptep_clear_flush_young_notify",
    ...inYoung,
    breaks: "NOTIFIER-YOUNG-OR",
    at: () => {
      let held: Effect.Effect<unknown> = Effect.void
      return {
        ptep_test_and_clear_young: (original) =>
          Effect.sync(() => {
            held = original
            return false
          }),
        folio_referenced_one: (original) => Effect.flatMap(held, () => original),
      }
    },
  },
  {
    id: "age-of-the-last",
    title: "the answers of clear_flush_young are not joined: the last one counts",
    source: "mm/mmu_notifier.c: __mmu_notifier_clear_flush_young, young |= ...",
    ...inYoung,
    breaks: "NOTIFIER-YOUNG-OR",
    at: () => {
      let last = false
      return {
        kvm_mmu_notifier_clear_flush_young: (original) =>
          Effect.tap(original, (answer) =>
            Effect.sync(() => {
              last = answer === true
            }),
          ),
        folio_referenced_one: (_, { name, args }) => step(name, args, () => last),
      }
    },
  },
  {
    id: "test-young-asks-the-first",
    title: "test_young takes the answer of the first notifier, whichever it is",
    source: "mm/mmu_notifier.c: __mmu_notifier_test_young, if (young) break",
    scenario: young.id,
    bound: { devices: 2, asks: 0, damon: 1, cpus: 0 },
    breaks: "NOTIFIER-TESTYOUNG-SOUND",
    at: () => ({
      hlist_for_each_entry_srcu: (original, { args }) =>
        args[0] === "test_young" && args[1] !== "" ? Effect.succeed(null) : original,
    }),
  },
]

/** The step is taken, and then something else. */
function andThen(next: () => Effect.Effect<unknown>): Replacement {
  return (original) => Effect.tap(original, next)
}

function treeLeftOpen(_: MmuNotifierWorld, fiber: string): Replacements {
  return fiber === "oom_reaper" ? afterRefusal("mn_itree_inv_end", false) : {}
}

function withoutUnwinding(_: MmuNotifierWorld, fiber: string): Replacements {
  if (fiber !== "oom_reaper") return {}
  return afterRefusal("hlist_for_each_entry_srcu", null, ({ args }) => args[0] === "invalidate_range_end")
}

function trylocks({ counting }: MmuNotifierWorld): Replacement {
  return (original, operation) => {
    const device = counting.find(({ name }) => name === operation.args[0])
    if (device === undefined || operation.kind !== "step") return original
    return step(operation.name, operation.args, () => isFree(device.lock) && operation.body() === true)
  }
}
