/** Which page tables are being walked without locks: recorded from outside, in the same instant as the steps. */
import { type Cell, cell, type Monitor } from "../../checker/index.ts"
import { isTable, tableOf } from "../../model/mm/mm.ts"
import { mmOf } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"

/** A walk: the page table that the walker was led to, and which of its lives that was. */
export type Walk = { readonly mm: string; readonly va: number; readonly generation: number }

/** The record. */
export interface Walks {
  readonly inside: ReadonlyMap<string, Cell<Walk | null>>
  readonly monitor: Monitor
}

/** Makes the record for fibers that may walk. */
export const recordWalks = (fibers: ReadonlyArray<string>): Walks => {
  const inside = new Map(fibers.map((name) => [name, cell<Walk | null>(`walks.${name}`, null)]))
  const monitor: Monitor = {
    gup_fast_pmd_range: ({ fiber, args, result }) => {
      const walk = inside.get(fiber)
      if (walk !== undefined && result !== null) {
        walk.value = { mm: String(args[0]), va: Number(args[1]), generation: Number(result) }
      }
    },
    "gup_fast: read_seqcount_retry": ({ fiber }) => {
      const walk = inside.get(fiber)
      if (walk !== undefined) walk.value = null
    },
  }
  return { inside, monitor }
}

/** Whether the page table that a walker is inside is not a page table any more, or serves something else. */
export const isLost = (system: System, { mm, va, generation }: Walk): boolean =>
  !isTable(tableOf(mmOf(system, mm), va), generation)
