/**
 * Flushes that whoever unmaps pages by reverse mapping puts off (mm/rmap.c: should_defer_flush, try_to_unmap_flush): the
 * entries are cleared one by one, and the CPUs interrupted once for all of them, before a page is written, copied or freed.
 *
 * What is flushed here are the pages that the flush is owed for. A CPU may drop more (x86 drops all it has): nothing may
 * rely on that.
 */
import * as Effect from "effect/Effect"
import { type Plain, step } from "../../checker/program/index.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import { type Mm, pageTableLock } from "./mm.ts"
import type { Present } from "./pte.ts"
import { dropSecondaryTranslations, dropTranslations } from "./tlb.ts"

/** `struct tlbflush_unmap_batch`: which entries a task has cleared without a flush, and whether a store may come through one. */
export interface UnmapBatch {
  owed: ReadonlyArray<{ readonly mm: Mm; readonly va: number }>
  writable: boolean
}

/** Nothing is owed yet. */
export const unmapBatch = (): UnmapBatch => ({ owed: [], writable: false })

/** `should_defer_flush`: where other CPUs would have to be interrupted. */
export const shouldDeferFlush = (mm: Mm): boolean => mm.tlbs.size > 1

/**
 * `set_tlb_ubc_flush_pending`, of the address space: those who change its entries must know. Devices that walk the page
 * table are told at once (`arch_tlbbatch_add_pending`). Within a step, the entry cleared under its lock.
 */
export const setFlushPending = (mm: Mm, va: number): void => {
  if (!mm.state.flushBatched.includes(va)) mm.state.flushBatched = [...mm.state.flushBatched, va].sort()
  dropSecondaryTranslations(mm, { start: va, end: va + 1 })
}

/** `set_tlb_ubc_flush_pending`, of the task. A dirty entry is one through which a CPU may still store without looking. */
export const addToBatch = (batch: UnmapBatch, mm: Mm, va: number, cleared: Present): void => {
  batch.owed = [...batch.owed, { mm, va }]
  batch.writable ||= cleared.dirty
}

/**
 * `try_to_unmap_flush`, if anything is owed. That the flush is done is not said to the address spaces: the next who
 * changes entries there flushes again.
 */
export const tryToUnmapFlush = (batch: UnmapBatch, pfn: number): Effect.Effect<void> =>
  flush(batch, "try_to_unmap_flush", pfn, batch.owed.length > 0)

/** `try_to_unmap_flush_dirty`: before a page is written, so that no CPU stores to it behind that unseen. */
export const tryToUnmapFlushDirty = (batch: UnmapBatch, pfn: number): Effect.Effect<void> =>
  flush(batch, "try_to_unmap_flush_dirty", pfn, batch.writable)

const flush = Effect.fnUntraced(function* (batch: UnmapBatch, name: string, pfn: number, required: boolean) {
  if (!required) return
  const { owed } = batch
  batch.owed = []
  batch.writable = false
  yield* step(name, [pfn], () => {
    for (const { mm, va } of owed) dropTranslations(mm, { start: va, end: va + 1 })
  })
})

/** `flush_tlb_batched_pending`: whether there was anything to be flushed. Within a step, under a page table's lock. */
export const flushBatchedPending = (mm: Mm): boolean => {
  const pending = mm.state.flushBatched
  for (const va of pending) dropTranslations(mm, { start: va, end: va + 1 })
  if (pending.length > 0) mm.state.flushBatched = []
  return pending.length > 0
}

/**
 * A critical section of one who changes entries of an address space, for which others may owe a flush of entries that
 * they have cleared: it begins with that flush (`flush_tlb_batched_pending`), a step of its own, with the lock held.
 */
export const underFlushedLock = Effect.fnUntraced(function* <A>(
  mm: Mm,
  va: number,
  name: string,
  args: ReadonlyArray<Plain>,
  body: () => A,
) {
  const ptl = pageTableLock(mm, va)
  const first = yield* underLock(ptl, name, args, () => {
    if (!flushBatchedPending(mm)) return body()
    keep(ptl)
    return flushed
  })
  if (first !== flushed) return first as A // the other result is handled here
  return yield* step(name, args, () => {
    release(ptl)
    return body()
  })
})

/** What the step returns in which nothing happens yet but the flush. */
export const flushed = "flush_tlb_batched_pending"
