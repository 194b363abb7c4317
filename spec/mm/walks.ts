/** Who walks page tables without locks, and who to areas by reverse mapping: recorded from outside, in the same instant as the steps. */
import { type Cell, cell, type Monitor, type Taken } from "../../checker/index.ts"
import { frameOf } from "../../model/mm/folio.ts"
import { isTable, tableOf } from "../../model/mm/mm.ts"
import { mmOf, type Place, placesOf, rmapLock } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"

/** A walk: the page table that the walker was led to, and which of its lives that was. */
export type Walk = { readonly mm: string; readonly va: number; readonly generation: number }

/** The record. */
export interface Walks {
  readonly inside: ReadonlyMap<string, Cell<Walk | null>>
  /** The areas that a walk by reverse mapping has met, until it ends. */
  readonly met: ReadonlyMap<string, Cell<ReadonlyArray<Place>>>
  readonly monitor: Monitor
}

/** Makes the record for fibers that may walk. */
export const recordWalks = (system: System, fibers: ReadonlyArray<string>): Walks => {
  const inside = new Map(fibers.map((name) => [name, cell<Walk | null>(`walks.${name}`, null)]))
  const met = new Map(fibers.map((name) => [name, cell<ReadonlyArray<Place>>(`walks.met.${name}`, [])]))
  const meets = (fiber: string, places: ReadonlyArray<Place>) => {
    const walk = met.get(fiber)
    if (walk !== undefined) walk.value = places
  }
  const meetsOf = (fiber: string, pfn: number) => {
    const folio = system.folios.arena.slots[pfn]
    // Who has the tree's lock for write already, to split a huge page, walks without an end of its own.
    if (folio === undefined || rmapLock(system, folio.mapping).state.writer === fiber) return
    meets(fiber, placesOf(system, frameOf(folio)))
  }
  const ended = ({ fiber }: Taken) => meets(fiber, [])
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
    rmap_walk: ({ fiber, args }) => meetsOf(fiber, Number(args[0])),
    folio_referenced: ({ fiber, args, result }) => {
      if (result !== null) meetsOf(fiber, Number(args[0]))
    },
    unmap_mapping_range: ({ fiber, result }) => meets(fiber, result as ReadonlyArray<Place>), // what the step returns
    rmap_walk_end: ended,
    i_mmap_unlock_read: ended,
  }
  return { inside, met, monitor }
}

/** Whether the page table that a walker is inside is not a page table any more, or serves something else. */
export const isLost = (system: System, { mm, va, generation }: Walk): boolean =>
  !isTable(tableOf(mmOf(system, mm), va), generation)
