/** The allocator of a driver with device memory, as lib/test_hmm.c has it: a list of free pages under a lock. */
import type * as Effect from "effect/Effect"
import { procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import {
  type DevicePage,
  type DevPagemap,
  folioNrPages,
  memunmapPages,
  zoneDevicePageInit,
} from "../deviceMemory/freeZoneDeviceFolio.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"

/** A device's memory. */
export interface Devmem {
  readonly pgmap: DevPagemap
  readonly lock: SpinLock
  readonly state: Struct<{
    /** The pages that nobody uses, by number, in order. */
    free: ReadonlyArray<number>
    /** Whether the device is going: nothing is handed out any more. */
    remove: boolean
  }>
}

/** Makes an allocator, all of whose pages are free. */
export const devmem = (pgmap: DevPagemap): Devmem => {
  const made = {
    pgmap,
    lock: spinLock(`${pgmap.name}.lock`),
    state: struct(`${pgmap.name}.devmem`, { free: pgmap.pages.map(({ pfn }) => pfn), remove: false }),
  }
  pgmap.ops.folioFree = (folio) => devmemFree(made, folio)
  return made
}

/** The first free folio of an order, which begins at a multiple of its size. */
const findFree = (free: ReadonlyArray<number>, order: number): number | undefined =>
  free.find(
    (pfn) =>
      pfn % 2 ** order === 0 &&
      Array.from({ length: 2 ** order }, (_, i) => pfn + i).every((page) => free.includes(page)),
  )

/**
 * `dmirror_devmem_alloc_page`. In lib/test_hmm.c the lock is given up before `zone_device_page_init`; here it is kept, as
 * who removes the device may otherwise be through with its page map in between.
 *
 * @returns the first page of a folio, locked, with one reference; `null` when there is none
 */
export const devmemAlloc = procedure(function* ({ pgmap, lock, state }: Devmem, order: number) {
  const pfn = yield* underLock(lock, "dmirror_devmem_alloc_page", [pgmap.name, order], () => {
    const found = state.remove ? undefined : findFree(state.free, order)
    if (found === undefined) return null
    state.free = state.free.filter((page) => page < found || page >= found + 2 ** order)
    keep(lock)
    return found
  })
  if (pfn === null) return null
  yield* zoneDevicePageInit(pgmap, pfn, order)
  yield* step("spin_unlock", [lock.name], () => release(lock))
  return pfn
})

/** `dmirror_devmem_free` */
const devmemFree = ({ lock, state }: Devmem, folio: DevicePage): Effect.Effect<void> =>
  underLock(lock, "dmirror_devmem_free", [folio.pfn], () => {
    const pages = Array.from({ length: folioNrPages(folio) }, (_, i) => folio.pfn + i)
    state.free = [...state.free, ...pages].sort((a, b) => a - b)
  })

/** `dmirror_device_remove_chunks`, with nothing to evict: waits for those who use the pages. */
export const devmemRemove = procedure(function* ({ pgmap, lock, state }: Devmem) {
  yield* underLock(lock, "dmirror_device_remove_chunks", [pgmap.name], () => {
    state.remove = true
  })
  yield* memunmapPages(pgmap)
})
