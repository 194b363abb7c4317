/**
 * The record of KVM's invalidations and faults: what properties need to remember and the protocol does not. Recorded from
 * outside, in cells of its own, in the same instant as the step that it is about.
 */
import { type Cell, cell, type Monitor, type Struct, struct } from "../../../checker/index.ts"
import { gfnRanges, type Kvm, mmuInvalidateRetryGfn } from "../../../model/driver/kvm.ts"
import { at, pagesOf, type Range } from "../../../model/mm/range.ts"
import { closes, ends, entriesChange, opens, recordWindows, starts, type Windows } from "../windows.ts"

export interface KvmRecord {
  readonly windows: Windows
  /** By fiber: the guest pages that its invalidation has added to the range that the virtual machine remembers, until it is no longer counted. */
  readonly counted: ReadonlyMap<string, Struct<{ ranges: ReadonlyArray<Range> }>>
  /** The sequence that a virtual CPU has read in its fault, or -1. */
  readonly sampled: ReadonlyMap<string, Struct<{ seq: number }>>
  /** Per guest page: whether a guest has used it since it was asked about, or its entries were taken away. */
  readonly used: ReadonlyArray<Cell<boolean>>
  /** What has become of the rules that a state alone does not show. */
  readonly rules: Struct<{
    /** A page that was used is said to be young: `said` when one was. */
    young: "untested" | "said" | "broken"
    /** Whether the end of the process has come to unmapping its pages. */
    unmapping: boolean
  }>
  /** The last installation of an entry that should have been tried again, in words. */
  readonly slip: { readonly value: string }
  readonly monitors: ReadonlyArray<Monitor>
}

/** Makes the record; of what guests have used only where somebody asks, for it has states of its own. */
export const recordKvm = (kvm: Kvm, fibers: ReadonlyArray<string>, ages: boolean): KvmRecord => {
  const { windows, monitor } = recordWindows(fibers, {
    ...entriesChange,
    // Of a process that runs on two CPUs: reclaim flushes later.
    "try_to_unmap_one: ptep_get_and_clear": opens(),
    kvm_mmu_notifier_invalidate_range_start: starts(),
    // A range that no memslot has to do with.
    kvm_handle_hva_range: opens(({ result }) => Array.isArray(result) && result.length === 0),
    kvm_flush_remote_tlbs: opens(),
    "kvm_mmu_invalidate_end: mmu_invalidate_in_progress": ends,
    kvm_mmu_notifier_invalidate_range_end: closes(),
  })
  const none: ReadonlyArray<Range> = []
  const counted = new Map(fibers.map((name) => [name, struct(`counted.${name}`, { ranges: none })]))
  const sampled = new Map([...kvm.tlbs.keys()].map((vcpu) => [vcpu, struct(`fault.${vcpu}`, { seq: -1 })]))
  const used = pagesOf({ start: 0, end: ages ? kvm.mm.pages : 0 }).map((gfn) => cell(`used${gfn}`, false))
  const rules: KvmRecord["rules"] = struct<{ young: "untested" | "said" | "broken"; unmapping: boolean }>("rules", {
    young: "untested",
    unmapping: false,
  })
  const slip = cell("slip", "")

  const count = (fiber: string, change: (ranges: ReadonlyArray<Range>) => ReadonlyArray<Range>) => {
    const own = counted.get(fiber)
    if (own !== undefined) own.ranges = change(own.ranges)
  }
  const sample =
    (seq: () => number): Monitor[string] =>
    ({ fiber }) => {
      const fault = sampled.get(fiber)
      if (fault !== undefined) fault.seq = seq()
    }
  const installed: Monitor[string] = ({ fiber, args }) => {
    const seq = sampled.get(fiber)?.seq ?? -1
    if (mmuInvalidateRetryGfn(kvm, seq, Number(args[1]))) slip.value = `${fiber} maps guest page ${args[1]}`
  }
  const forget = sample(() => -1)

  const own: Monitor = {
    kvm_mmu_unmap_gfn_range: ({ fiber, args }) =>
      count(fiber, (ranges) => [...ranges, { start: Number(args[0]), end: Number(args[1]) }]),
    "kvm_mmu_invalidate_end: mmu_invalidate_in_progress": ({ fiber }) => count(fiber, () => none),
    "kvm_mmu_faultin_pfn: mmu_seq": sample(() => kvm.state.seq),
    mmu_invalidate_retry_gfn_unsafe: (taken) => {
      if (taken.result === true) forget(taken)
    },
    // Under mmu_lock: without it, an invalidation of another page may end behind the check.
    kvm_tdp_mmu_map: installed,
    kvm_mmu_finish_page_fault: forget,
    unlock_rmap: forget,
    exit_mmap: ({ args }) => {
      if (args[0] === kvm.mm.name) rules.unmapping = true
    },
  }
  const access: Monitor[string] = ({ args, result }) => {
    const gfn = Number(args[1])
    // What is only in a TLB still, whose flush is under way, has no accessed bit.
    if (result === true && kvm.roots.some(({ sptes }) => at(sptes, gfn).value !== null)) at(used, gfn).value = true
  }
  const aging: Monitor = {
    guest_load: access,
    guest_store: access,
    kvm_mmu_notifier_clear_flush_young: ({ args, result }) => {
      const hva = Number(args[0])
      const mine = gfnRanges(kvm, { start: hva, end: hva + 1 }).flatMap(pagesOf)
      const isUsed = mine.some((gfn) => at(used, gfn).value)
      if (isUsed && result !== true) rules.young = "broken"
      else if (isUsed && rules.young === "untested") rules.young = "said"
      for (const gfn of mine) at(used, gfn).value = false
    },
    kvm_mmu_unmap_gfn_range: ({ args }) => {
      for (const gfn of pagesOf({ start: Number(args[0]), end: Number(args[1]) })) at(used, gfn).value = false
    },
  }
  const monitors = ages ? [monitor, own, aging] : [monitor, own]
  return { windows, counted, sampled, used, rules, slip, monitors }
}
