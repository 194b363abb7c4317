import type * as Effect from "effect/Effect"
import { type Cell, cell, step } from "../../checker/program/index.ts"
import type { Frame } from "./folio.ts"
import type { Mm } from "./mm.ts"
import { at, pagesOf, type Range } from "./range.ts"

/** A CPU's translation cache: filled from the live page table, stale until it is flushed. */
export type Tlb = ReadonlyArray<Cell<Frame | null>>

/** Makes a CPU's TLB, empty. */
export const tlb = (cpu: string, pages: ReadonlyArray<number>): Tlb =>
  pages.map((va) => cell<Frame | null>(`tlb.${cpu}.${va}`, null))

/** The TLB of a CPU that runs the process. */
export const tlbOf = (mm: Mm, cpu: string): Tlb => {
  const found = mm.tlbs.get(cpu)
  if (found === undefined) throw new RangeError(`${cpu} does not run the process ${mm.name}`)
  return found
}

/** `flush_tlb_mm_range`: every CPU that runs the process drops its translations of the range. */
export const flushTlbRange = (mm: Mm, range: Range): Effect.Effect<void> =>
  step("flush_tlb_mm_range", [range.start, range.end], () => {
    for (const cache of mm.tlbs.values()) {
      for (const va of pagesOf(range)) at(cache, va).value = null
    }
  })
