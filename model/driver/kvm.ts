/**
 * KVM (virt/kvm/kvm_main.c, include/linux/kvm_host.h): a virtual machine whose second-stage page table follows the
 * process that runs it, by the classic notifier. It counts invalidations under way, remembers the range that they cover
 * together, and has a sequence of those that have ended.
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import type { Frame } from "../mm/folio.ts"
import type { Mm } from "../mm/mm.ts"
import { at, overlaps, pagesOf, type Range } from "../mm/range.ts"
import { holding } from "../sync/holding.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { type GfnToPfnCache, gfnToPfnCacheInvalidateStart } from "./kvmPfnCache.ts"

/** A translation of a guest page, as a virtual CPU's TLB has it: `page` is `null` for the zero page. */
export type Translation = { readonly page: Frame | null; readonly write: boolean }

/** An entry of the second-stage page table: `young` is its accessed bit, which the hardware sets when it fills a TLB. */
export type Spte = Translation & { readonly young: boolean }

/** `struct kvm_memory_slot`: guest pages from `gfn` on are the process's pages in the range. */
export type Memslot = Range & { readonly gfn: number }

/** `struct kvm_memslots` */
export type Memslots = {
  /** Counts the replacements; `updating` is KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS. */
  readonly generation: number
  readonly updating: boolean
  readonly slots: ReadonlyArray<Memslot>
}

/** `struct kvm_mmu_page` of a root: a tree of its own, until it has been torn down. */
export interface Root {
  readonly state: Struct<{ valid: boolean }>
  /** By guest page. */
  readonly sptes: ReadonlyArray<Cell<Spte | null>>
}

/** `struct kvm` */
export interface Kvm {
  readonly mm: Mm
  /** A spinlock here, with which two faults exclude each other: on x86 they share it. */
  readonly mmuLock: SpinLock
  readonly state: Struct<{
    /** `mmu_invalidate_seq`, `mmu_invalidate_in_progress`: written under `mmu_lock`. */
    seq: number
    inProgress: number
    /** `mmu_invalidate_range_start`, `..._end`: what those in progress cover together; empty before the first has said. */
    rangeStart: number
    rangeEnd: number
    /** `mn_active_invalidate_count`, under `mn_invalidate_lock`: also those that no memslot has to do with. */
    active: number
    /** `users_count`: the open files of the machine and of its virtual CPUs. */
    users: number
  }>
  readonly memslots: Cell<Memslots>
  /** The last one is made by `kvmMmuZapAllFast`, which leaves the first one to be torn down. */
  readonly roots: ReadonlyArray<Root>
  /** What the virtual CPUs have in their TLBs, by their names. */
  readonly tlbs: ReadonlyMap<string, ReadonlyArray<Cell<Translation | null>>>
  /** The locks of the reverse mappings of guest pages (arch/powerpc: lock_rmap). */
  readonly rmapLocks: ReadonlyArray<SpinLock>
  /** `gpc_list`, by name, and all caches that there are. */
  readonly gpcList: Cell<ReadonlyArray<string>>
  readonly caches: Map<string, GfnToPfnCache>
}

/** Makes a virtual machine of a process's pages, whose notifier is registered (`kvm_init_mmu_notifier`). */
export const kvmCreateVm = (
  mm: Mm,
  shape: { readonly vcpus: ReadonlyArray<string>; readonly slots: ReadonlyArray<Memslot>; readonly roots: 1 | 2 },
): Kvm => {
  const gfns = pagesOf({ start: 0, end: mm.pages })
  const listed: ReadonlyArray<string> = []
  const memslots: Memslots = { generation: 0, updating: false, slots: shape.slots }
  const kvm: Kvm = {
    mm,
    mmuLock: spinLock("kvm.mmu_lock"),
    state: struct("kvm", {
      seq: 0,
      inProgress: 0,
      rangeStart: 0,
      rangeEnd: 0,
      active: 0,
      users: 1 + shape.vcpus.length,
    }),
    memslots: cell("kvm.memslots", memslots),
    roots: Array.from({ length: shape.roots }, (_, i) => ({
      state: struct(`root${i}`, { valid: i === 0 }),
      sptes: gfns.map((gfn) => cell<Spte | null>(`root${i}.spte${gfn}`, null)),
    })),
    tlbs: new Map(
      shape.vcpus.map((vcpu) => [vcpu, gfns.map((gfn) => cell<Translation | null>(`${vcpu}.tlb${gfn}`, null))]),
    ),
    rmapLocks: gfns.map((gfn) => spinLock(`kvm.rmap${gfn}`)),
    gpcList: cell("kvm.gpc_list", listed),
    caches: new Map(),
  }
  mm.subscriptions.forLife.push({
    invalidateRangeStart: (range) => Effect.as(invalidateRangeStart(kvm, range), true),
    invalidateRangeEnd: (range) => invalidateRangeEnd(kvm, range),
    clearFlushYoung: (hva) => clearFlushYoung(kvm, hva),
    release: () => flushShadowAll(kvm),
  })
  return kvm
}

/** The guest pages of a range of the process, by slot. Within a step. */
export const gfnRanges = ({ memslots }: Kvm, range: Range): ReadonlyArray<Range> =>
  memslots.value.slots
    .filter((slot) => overlaps(slot, range))
    .map((slot) => ({
      start: slot.gfn + Math.max(slot.start, range.start) - slot.start,
      end: slot.gfn + Math.min(slot.end, range.end) - slot.start,
    }))

/** `kvm_for_each_memslot_in_hva_range`: whether an invalidation concerns the guest at all. Nobody else is to hear of one that does not. */
const handleHvaRange = (kvm: Kvm, range: Range) =>
  step("kvm_handle_hva_range", [range.start, range.end], () => gfnRanges(kvm, range))

/**
 * `kvm_mmu_notifier_invalidate_range_start`: when it returns, no virtual CPU uses the range or will, until the end. It
 * never refuses.
 */
const invalidateRangeStart = procedure(function* (kvm: Kvm, range: Range) {
  const { state, mmuLock } = kvm
  // Until the end the memslots stay as they are, so that it comes to the same decision.
  yield* step("kvm_mmu_notifier_invalidate_range_start", [range.start, range.end], () => {
    state.active++
  })
  yield* gfnToPfnCacheInvalidateStart(kvm, range)
  const gfns = yield* handleHvaRange(kvm, range)
  if (gfns.length === 0) return
  yield* underLock(mmuLock, "kvm_mmu_invalidate_begin", [], () => {
    keep(mmuLock)
    state.inProgress++
    if (state.inProgress === 1) Object.assign(state, { rangeStart: 0, rangeEnd: 0 })
  })
  for (const { start, end } of gfns) yield* unmapGfnRange(kvm, { start, end })
  yield* step("kvm_flush_remote_tlbs", () => {
    for (const tlb of kvm.tlbs.values()) {
      for (const range of gfns) for (const gfn of pagesOf(range)) at(tlb, gfn).value = null
    }
    release(mmuLock)
  })
})

/** `kvm_mmu_unmap_gfn_range`: in every tree, one that is being torn down included. */
const unmapGfnRange = (kvm: Kvm, { start, end }: Range): Effect.Effect<void> =>
  guardedStep(
    "kvm_mmu_unmap_gfn_range",
    [start, end],
    () => pagesOf({ start, end }).every((gfn) => kvm.rmapLocks[gfn]?.state.holder === ""),
    () => {
      invalidateRangeAdd(kvm, { start, end })
      for (const { sptes } of kvm.roots) for (const gfn of pagesOf({ start, end })) at(sptes, gfn).value = null
    },
    {
      on: "the reverse mappings of guest pages",
      kind: "spinlock",
      sleeps: false,
      hindrances: () => pagesOf({ start, end }).flatMap((gfn) => holding(kvm.rmapLocks[gfn]?.state.holder ?? "")),
    },
  )

/** `kvm_mmu_invalidate_range_add`: one range that covers all. Within a step. */
const invalidateRangeAdd = ({ state }: Kvm, { start, end }: Range): void => {
  const isEmpty = state.rangeStart === state.rangeEnd
  state.rangeStart = isEmpty ? start : Math.min(state.rangeStart, start)
  state.rangeEnd = isEmpty ? end : Math.max(state.rangeEnd, end)
}

/** `kvm_mmu_notifier_invalidate_range_end`: the sequence first, then the count, for those who look without the lock. */
const invalidateRangeEnd = procedure(function* (kvm: Kvm, range: Range) {
  const { state, mmuLock } = kvm
  const gfns = yield* handleHvaRange(kvm, range)
  if (gfns.length > 0) {
    yield* underLock(mmuLock, "kvm_mmu_invalidate_end: mmu_invalidate_seq", [], () => {
      keep(mmuLock)
      state.seq++
    })
    yield* step("kvm_mmu_invalidate_end: mmu_invalidate_in_progress", () => {
      state.inProgress--
      release(mmuLock)
    })
  }
  yield* step("kvm_mmu_notifier_invalidate_range_end", [range.start, range.end], () => {
    state.active--
  })
})

/**
 * `kvm_mmu_notifier_clear_flush_young`: whether a guest has used the page since it was asked last. Who has it in its TLB
 * would not say so again, so that goes too.
 */
const clearFlushYoung = (kvm: Kvm, hva: number): Effect.Effect<boolean> =>
  underLock(kvm.mmuLock, "kvm_mmu_notifier_clear_flush_young", [hva], () => {
    let young = false
    for (const range of gfnRanges(kvm, { start: hva, end: hva + 1 })) {
      for (const gfn of pagesOf(range)) {
        // kvm_age_gfn
        for (const { sptes } of kvm.roots) {
          const entry = at(sptes, gfn)
          if (entry.value?.young !== true) continue
          entry.value = { ...entry.value, young: false }
          young = true
        }
        if (young) for (const tlb of kvm.tlbs.values()) at(tlb, gfn).value = null
      }
    }
    return young
  })

/**
 * `kvm_flush_shadow_all` (arch/x86/kvm/mmu: kvm_mmu_zap_all), which is what `kvm_mmu_notifier_release` does: no guest uses
 * any page of the process.
 */
const flushShadowAll = procedure(function* (kvm: Kvm) {
  yield* underLock(kvm.mmuLock, "kvm_mmu_zap_all", [], () => {
    keep(kvm.mmuLock)
    for (const { sptes } of kvm.roots) for (const entry of sptes) entry.value = null
  })
  yield* step("kvm_mmu_zap_all: kvm_flush_remote_tlbs", () => {
    for (const tlb of kvm.tlbs.values()) for (const entry of tlb) entry.value = null
    release(kvm.mmuLock)
  })
})

/**
 * `kvm_put_kvm`, as a file of the machine or of a virtual CPU is closed: with the last one it goes
 * (`kvm_destroy_vm`). Another process may have the machine's file, so this may come while the process that has run it ends:
 * `mmu_notifier_unregister` then releases too. That it waits for callbacks is the notifier's business, not KVM's.
 */
export const kvmPutKvm = procedure(function* (kvm: Kvm) {
  const last = yield* step("kvm_put_kvm", () => {
    kvm.state.users--
    return kvm.state.users === 0
  })
  if (!last) return
  yield* flushShadowAll(kvm)
  // kvm_arch_flush_shadow_all
  yield* flushShadowAll(kvm)
})

/** `mmu_invalidate_retry_gfn`: whether what was looked up since `seq` may be stale. Under `mmu_lock`; without it, a hint. */
export const mmuInvalidateRetryGfn = ({ state }: Kvm, seq: number, gfn: number): boolean =>
  (state.inProgress > 0 && state.rangeStart <= gfn && gfn < state.rangeEnd) || state.seq !== seq

/**
 * `kvm_set_memory_region`, which adds a slot: it takes effect when no invalidation is between its start and its end
 * (`kvm_swap_active_memslots`). Those who read the old slots finish before the generation is given out (synchronize_srcu);
 * here a reader takes them in one step.
 */
export const kvmSetMemoryRegion = procedure(function* (kvm: Kvm, slot: Memslot) {
  const { memslots, state } = kvm
  yield* guardedStep(
    "kvm_swap_active_memslots",
    [slot.gfn],
    () => state.active === 0,
    () => {
      memslots.value = { ...memslots.value, updating: true, slots: [...memslots.value.slots, slot] }
    },
  )
  yield* step("kvm_arch_memslots_updated", () => {
    memslots.value = { ...memslots.value, updating: false, generation: memslots.value.generation + 1 }
  })
})

/**
 * `kvm_mmu_zap_all_fast` (arch/x86/kvm/mmu): the tree is marked invalid and a new one takes its place; then the old one
 * is torn down entry by entry, and whoever wants the lock meanwhile gets it (`kvm_tdp_mmu_zap_invalidated_roots`).
 */
export const kvmMmuZapAllFast = procedure(function* (kvm: Kvm) {
  const { mmuLock, roots } = kvm
  const [old, fresh] = roots
  if (old === undefined || fresh === undefined) throw new RangeError("there is no second root")
  yield* underLock(mmuLock, "kvm_mmu_zap_all_fast", [], () => {
    old.state.valid = false
    fresh.state.valid = true
    // KVM_REQ_MMU_FREE_OBSOLETE_ROOTS: no virtual CPU enters the guest with the old one.
    for (const tlb of kvm.tlbs.values()) for (const entry of tlb) entry.value = null
  })
  for (const gfn of pagesOf({ start: 0, end: kvm.mm.pages })) {
    yield* underLock(mmuLock, "tdp_mmu_zap_root", [gfn], () => {
      at(old.sptes, gfn).value = null
    })
  }
})
