import type * as Effect from "effect/Effect"
import { type Cell, cell, type Monitor, type Setup } from "../../../checker/index.ts"
import { type Gru, type GruMm, gruMm } from "../../../model/driver/gru.ts"
import { gruAccess } from "../../../model/driver/gruFault.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../calls.ts"
import { recordStores, type Stores } from "../stores.ts"
import { type Change, closes, entriesChange, opens, recordWindows, starts, type Windows } from "../windows.ts"

/** What the properties and seeded bugs of GRU see. */
export interface GruWorld {
  readonly mm: Mm
  readonly gms: GruMm
  readonly windows: Windows
  /** By GRU: whether its driver is handling a fault, `mmap_lock` held. */
  readonly handling: Handling
  readonly stores: Stores
}

/** See `GruWorld`. */
export type Handling = ReadonlyMap<string, Cell<boolean>>

export interface Shape {
  readonly pages: number
  readonly grus: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  /** Which calls invalidate; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /** Whether the pages have not been stored to since they were swapped in, although they may be. */
  readonly clean?: boolean
  readonly registered?: boolean
  /** What the first CPU's thread does instead. */
  readonly thread?: (mm: Mm) => Effect.Effect<unknown, unknown>
  /** What a GRU's thread does; an instruction by default. */
  readonly gru?: (gms: GruMm, gru: Gru, position: number) => Effect.Effect<unknown, unknown>
}

/** The first GRU's instruction stores, the others' load, each at a page of its own if there are enough: the first at the last. */
export const instruction = (gms: GruMm, gru: Gru, position: number): Effect.Effect<boolean> => {
  const { pages } = gms.mm
  const va = pages - 1 - (position % pages)
  return gruAccess(gms, gru, va, position === 0 ? gru.name : undefined)
}

/** A process with its pages present, GRUs that execute for it, and threads that invalidate. */
export const gruWorld = (shape: Shape): Setup<GruWorld> => {
  const cpus = names("cpu", shape.cpus)
  const grus = names("gru", shape.grus)
  const process = processOf({ pages: shape.pages, cpus })
  const { mm } = process
  if (shape.clean === true) makeClean(mm)
  const gms = gruMm(mm, grus, shape.registered !== false)
  const { thread, gru: executes = instruction } = shape
  const fibers = [
    ...cpus.map((cpu, position) => {
      const replaced = position === 0 ? thread?.(mm) : undefined
      return [cpu, replaced ?? invalidator(process, position, shape.calls)] as const
    }),
    ...gms.grus.map((gru, position) => [gru.name, executes(gms, gru, position)] as const),
  ]
  const { windows, monitor } = recordWindows([...cpus, ...grus], windowSteps(grus.at(-1) ?? ""))
  const faults = recordFaults(grus)
  const stores = recordStores("gru_store", ({ args }) => {
    const gru = gms.grus.find(({ name }) => name === args[0])
    return gru !== undefined && at(gru.tlb, Number(args[1])).value?.write === true
  })
  return {
    world: { mm, gms, windows, handling: faults.handling, stores },
    fibers: Object.fromEntries(fibers),
    monitors: [monitor, faults.monitor, stores.monitor],
  }
}

/** The record of the faults that are handled: each from the reading of its handle on, until the lock is given up or waits begin. */
const recordFaults = (grus: ReadonlyArray<string>): { readonly handling: Handling; readonly monitor: Monitor } => {
  const handling = new Map(grus.map((name) => [name, cell(`handling.${name}`, false)]))
  const becomes =
    (handled: boolean): Monitor[string] =>
    ({ fiber }) => {
      const own = handling.get(fiber)
      if (own !== undefined) own.value = handled
    }
  return {
    handling,
    monitor: {
      "gru_try_dropin: tfh": becomes(true),
      "gru_user_dropin: prepare_to_wait": becomes(false),
      mmap_read_unlock: becomes(false),
    },
  }
}

/** A range that was announced while the notifier was not on the list is not one of its windows. */
const windowSteps = (last: string): { readonly [stepName: string]: Change } => {
  const begins = starts()
  return {
    ...entriesChange,
    pagemap_scan_pmd_entry: opens(),
    gru_invalidate_range_start: (taken, window) => (taken.result === true ? begins(taken, window) : undefined),
    tgh_invalidate: opens(({ args }) => args[0] === last),
    gru_invalidate_range_end: closes(),
  }
}

/** do_swap_page makes an entry for stores of a page that is the process's alone, be it for a load. */
const makeClean = (mm: Mm): void => {
  for (const va of pagesOf({ start: 0, end: mm.pages })) {
    const pte = at(mm.pte, va)
    if (pte.value?.kind === "present") pte.value = { ...pte.value, dirty: false }
    for (const tlb of mm.tlbs.values()) at(tlb, va).value = null
  }
}
