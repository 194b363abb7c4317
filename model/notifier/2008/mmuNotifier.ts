/**
 * The mmu notifier of February 2008 (patch 1/6 "mmu_notifier: Core code"): per process, a list of callbacks. Corrected
 * where the design as published does not hold; what it did is among the seeded bugs of its spec.
 */
import * as Effect from "effect/Effect"
import { guardedStep, procedure, type Struct, step, struct } from "../../../checker/program/index.ts"
import type { Range } from "../../mm/range.ts"
import { downWrite, upWrite } from "../../sync/rwsem.ts"
import { isFree } from "../../sync/spinlock.ts"
import { callNotifiers, listAdd, listDelete, synchronize } from "./list.ts"
import type { Machine } from "./machine.ts"

/** `struct mmu_notifier` and its `struct mmu_notifier_ops`. */
export interface MmuNotifier {
  readonly name: string
  readonly state: Struct<{ freed: boolean }>
  /** No thread is left: drops everything. */
  readonly release: Effect.Effect<void>
  /** Whether the page was used since it was last asked. Under the page table's lock. */
  readonly agePage?: (va: number) => Effect.Effect<boolean>
  /** The entry was cleared: drops the page. Under the page table's lock. */
  readonly invalidatePage?: (va: number) => Effect.Effect<void>
  /** Drops the range, and lets nothing be established there until the end. `atomic`: it must not sleep. */
  readonly invalidateRangeBegin?: (range: Range, atomic: boolean) => Effect.Effect<void>
  /** As posted it was not told of which range. */
  readonly invalidateRangeEnd?: (range: Range, atomic: boolean) => Effect.Effect<void>
}

/** Makes a notifier that is not registered. */
export const mmuNotifier = (of: Machine, name: string, ops: Omit<MmuNotifier, "name" | "state">): MmuNotifier => {
  const made = { name, state: struct(`${name}.mmu_notifier`, { freed: false }), ...ops }
  of.mmuNotifiers.byName.set(name, made)
  return made
}

const contextOf = (atomic: boolean) => (atomic ? "atomic" : "may sleep")

/** `mmu_notifier(invalidate_range_begin, mm, start, end, atomic)` */
export const invalidateRangeBegin = (of: Machine, range: Range, atomic: boolean): Effect.Effect<unknown> =>
  callNotifiers(
    of,
    of.mmuNotifiers,
    "srcu",
    "invalidate_range_begin",
    [range.start, range.end, contextOf(atomic)],
    (ops) => ops.invalidateRangeBegin?.(range, atomic),
  )

/** `mmu_notifier(invalidate_range_end, mm, start, end, atomic)` */
export const invalidateRangeEnd = (of: Machine, range: Range, atomic: boolean): Effect.Effect<unknown> =>
  callNotifiers(
    of,
    of.mmuNotifiers,
    "srcu",
    "invalidate_range_end",
    [range.start, range.end, contextOf(atomic)],
    (ops) => ops.invalidateRangeEnd?.(range, atomic),
  )

/** `mmu_notifier(invalidate_page, mm, address)`, the page table's lock held, the entry cleared. */
export const invalidatePage = (of: Machine, va: number): Effect.Effect<unknown> =>
  callNotifiers(of, of.mmuNotifiers, "rcu", "invalidate_page", [va], (ops) => ops.invalidatePage?.(va))

/** `mmu_notifier_age_page`, the page table's lock held: whether any notifier says so. */
export const agePage = (of: Machine, va: number): Effect.Effect<boolean> =>
  Effect.map(
    callNotifiers(of, of.mmuNotifiers, "rcu", "age_page", [va], (ops) => ops.agePage?.(va)),
    (answers) => answers.includes(true),
  )

/**
 * `mmu_notifier_register`. As published it takes `mmap_sem` alone, which a truncation does not: that one holds
 * `i_mmap_lock`. Today's takes every lock under which a range may be open (`mm_take_all_locks`).
 */
export const mmuNotifierRegister = procedure(function* (of: Machine, name: string) {
  yield* downWrite(of.mm.mmapSem, "down_write(mmap_sem)")
  yield* guardedStep(
    "hlist_add_head_rcu",
    [name],
    () => isFree(of.file.iMmapLock),
    () => listAdd(of.mmuNotifiers, name),
  )
  yield* upWrite(of.mm.mmapSem, "up_write(mmap_sem)")
})

/** `mmu_notifier_unregister`: when it returns, no callback of it runs or will run. */
export const mmuNotifierUnregister = procedure(function* (of: Machine, name: string) {
  yield* downWrite(of.mm.mmapSem, "down_write(mmap_sem)")
  yield* step("hlist_del_rcu", [name], () => listDelete(of.mmuNotifiers, name))
  yield* upWrite(of.mm.mmapSem, "up_write(mmap_sem)")
  yield* synchronize(of)
})

/**
 * `mmu_notifier_release`, before anything is torn down: calls each, takes them off the list, and waits for callbacks that
 * others are in. As published it takes each off the list before it calls it, and does not wait: "called when no other
 * execution threads are left. Synchronization is not necessary". Reclaim and truncation are threads of others.
 */
export const mmuNotifierRelease = procedure(function* (of: Machine) {
  yield* callNotifiers(of, of.mmuNotifiers, "srcu", "release", [], (ops) => ops.release)
  yield* step("mmu_notifier_release: hlist_del_init", () => {
    for (const name of of.mmuNotifiers.state.names) listDelete(of.mmuNotifiers, name)
  })
  yield* synchronize(of)
})

/** The memory of a notifier is freed, which its driver does once it is on no list. */
export const freeNotifier = (of: Machine, name: string): Effect.Effect<void> =>
  step("kfree", [name], () => {
    const notifier = of.mmuNotifiers.byName.get(name) ?? of.rmapNotifiers.byName.get(name)
    if (notifier !== undefined) notifier.state.freed = true
  })
