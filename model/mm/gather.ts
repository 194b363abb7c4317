/** Removing translations in batches (mm/mmu_gather.c): what was unmapped is freed behind the flush of the TLBs. */
import * as Effect from "effect/Effect"
import { self, step } from "../../checker/program/index.ts"
import { type Frame, folioOf, folioPut } from "./folio.ts"
import type { Mm } from "./mm.ts"
import type { Range } from "./range.ts"
import { folioFreeSwap } from "./swap.ts"
import { flushTlbMmRange } from "./switch.ts"
import { dropSecondaryTranslations, dropTranslations } from "./tlb.ts"

/** `struct mmu_gather`: the pages whose references are to be dropped, and the range that is to be flushed before. */
export interface Gather {
  readonly mm: Mm
  readonly pages: Array<Frame>
  range: Range | null
  /** The area has VM_PFNMAP, and something of it was gathered. */
  vmaPfn: boolean
  /** Page tables were unlinked, which the hardware may know of. */
  freedTables: boolean
}

/** `tlb_gather_mmu`: nothing is gathered yet. */
export const tlbGather = (mm: Mm): Gather => ({ mm, pages: [], range: null, vmaPfn: false, freedTables: false })

/**
 * The running fiber has cleared an entry and owes a flush (`inc_tlb_flush_pending`, which the kernel does when the
 * gather begins: nobody looks before the first page table lock). Within a step.
 */
export const owesFlush = (mm: Mm): void => {
  if (!mm.state.gathers.includes(self())) mm.state.gathers = [...mm.state.gathers, self()].sort()
}

/** `mm_tlb_flush_nested`: whether somebody else owes one too. Within a step. */
const flushNested = (mm: Mm): boolean => mm.state.gathers.some((name) => name !== self())

/** Adds an entry that was cleared to what is to be flushed. */
export const gatherEntry = (gather: Gather, va: number): void => {
  const { start, end } = gather.range ?? { start: va, end: va + 1 }
  gather.range = { start: Math.min(start, va), end: Math.max(end, va + 1) }
}

/** `pte_free_tlb`: page tables were unlinked, and are to be freed behind the flush. */
export const gatherTables = (gather: Gather, positions: ReadonlyArray<number>): void => {
  gather.freedTables ||= positions.length > 0
  for (const position of positions) gatherEntry(gather, position * gather.mm.system.pagesPerTable)
}

/** `tlb_flush_mmu`: flushes what was gathered so far, then drops the references. */
export const tlbFlushMmu = Effect.fnUntraced(function* (gather: Gather) {
  yield* tlbFlushMmuTlbonly(gather)
  yield* freePages(gather)
})

/** `tlb_flush_mmu_tlbonly`, under the caller's name: flushes what was gathered so far and forgets which range that was. */
const tlbFlushMmuTlbonly = Effect.fnUntraced(function* (gather: Gather, name: string = "tlb_flush_mmu_tlbonly") {
  const { mm, range } = gather
  if (range === null) return
  gather.range = null
  if (mm.context !== null) yield* flushTlbMmRange(mm, mm.context, range, gather.freedTables)
  yield* step(name, [mm.name, range.start, range.end], () => flushAtOnce(mm, range))
})

/**
 * `tlb_end_vma`: where gathers do not go on from area to area (MMU_GATHER_MERGE_VMAS), each area is flushed by itself; so
 * is one with VM_PFNMAP, whose memory is not kept by references until the flush.
 */
export const tlbEndVma = Effect.fnUntraced(function* (gather: Gather) {
  const isAlone = !gather.mm.system.mergesVmas || gather.vmaPfn
  gather.vmaPfn = false
  if (isAlone) yield* tlbFlushMmuTlbonly(gather, "tlb_end_vma")
})

/** `tlb_flush`, where it takes no more than a step. Within one. */
const flushAtOnce = (mm: Mm, range: Range): void => {
  if (mm.context === null) dropTranslations(mm, range)
  else dropSecondaryTranslations(mm, range)
}

/** `tlb_batch_pages_flush`: drops the references to what was gathered. */
const freePages = Effect.fnUntraced(function* ({ mm, pages }: Gather) {
  if (pages.length === 0) return
  const batch = pages.splice(0)
  const { folios, swap } = mm.system
  yield* step(
    "free_pages_and_swap_cache",
    batch.map(({ pfn }) => pfn),
    () => {
      for (const frame of batch) {
        const folio = folioOf(folios, frame)
        if (folio.lock === "" && folio.mapcount === 0) folioFreeSwap(swap, folios, frame)
        folioPut(folios, frame)
      }
    },
  )
})

/**
 * `tlb_finish_mmu`: the last flush. If somebody else owes one for this address space too, what they cleared may be in
 * the range although nothing of it was found here: then all of it is flushed.
 *
 * @param range what the caller was to clear
 */
export const tlbFinishMmu = Effect.fnUntraced(function* (gather: Gather, { start, end }: Range) {
  const { mm, range } = gather
  if (mm.context !== null) {
    const flushed = yield* step("mm_tlb_flush_nested", [mm.name], () => (flushNested(mm) ? { start, end } : range))
    if (flushed !== null) yield* flushTlbMmRange(mm, mm.context, flushed, gather.freedTables)
  }
  yield* step("tlb_finish_mmu", [mm.name, start, end], () => {
    if (flushNested(mm)) flushAtOnce(mm, { start, end })
    else if (range !== null) flushAtOnce(mm, range)
    mm.state.gathers = mm.state.gathers.filter((name) => name !== self())
  })
  gather.range = null
  yield* freePages(gather)
})
