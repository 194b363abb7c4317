/** CPU TLBs: caches of translations, filled from the live page table, stale until they are flushed. */
import type * as Effect from "effect/Effect"
import { type Cell, cell, type Struct, step } from "../../checker/program/index.ts"
import type { Frame } from "./folio.ts"
import type { Mm } from "./mm.ts"
import { at, pagesOf, type Range } from "./range.ts"

/** A cached translation. */
export type TlbEntry = {
  /** `null` is the zero page. */
  readonly page: Frame | null
  readonly write: boolean
  /** Whether the entry of the page table is known to be dirty: a store then need not look at it again. */
  readonly dirty: boolean
}

/** A CPU's translations of one address space. */
export type Tlb = ReadonlyArray<Cell<TlbEntry | null>>

/** Makes a TLB, empty. */
export const tlb = (name: string, pages: ReadonlyArray<number>): Tlb =>
  pages.map((va) => cell<TlbEntry | null>(`${name}.tlb${va}`, null))

/** The TLB of a CPU that runs the process. */
export const tlbOf = (mm: Mm, cpu: string): Tlb => {
  const found = mm.tlbs.get(cpu)
  if (found === undefined) throw new RangeError(`${cpu} does not run the process ${mm.name}`)
  return found
}

/** The TLB of a device that walks the process's own page table (shared virtual addressing), and whether it still may. */
export interface SecondaryTlb {
  readonly entries: Tlb
  readonly state: Struct<{ bound: boolean }>
}

/**
 * Drops what all CPUs have of a range, and what devices have that walk the page table. Where CPUs come and go they are
 * flushed one by one (`flushTlbMmRange`), unless it is done under a page table's lock. Within a step.
 */
export const dropTranslations = (mm: Mm, range: Range): void => {
  for (const cache of mm.tlbs.values()) drop(cache, range)
  for (const cache of mm.context?.walkCaches.values() ?? []) for (const cached of cache) cached.value = null
  dropSecondaryTranslations(mm, range)
}

/** `mmu_notifier_arch_invalidate_secondary_tlbs`. Within a step. */
export const dropSecondaryTranslations = (mm: Mm, range: Range): void => {
  for (const { entries } of mm.secondaryTlbs.values()) drop(entries, range)
}

const drop = (cache: Tlb, range: Range): void => {
  for (const va of pagesOf(range)) at(cache, va).value = null
}

/** `flush_tlb_mm`: every CPU that runs the process drops all its translations. */
export const flushTlbMm = (mm: Mm): Effect.Effect<void> =>
  step("flush_tlb_mm", [mm.name], () => dropTranslations(mm, { start: 0, end: mm.pages }))
