/**
 * The life of pages of device memory between their driver's allocator and `free_zone_device_folio` (mm/memremap.c,
 * include/linux/memremap.h), step by step: what is read of a folio and when it is the driver's again. Pages are of the
 * kinds that a driver hands out one by one, MEMORY_DEVICE_PRIVATE and MEMORY_DEVICE_COHERENT, in folios of any order. What
 * maps them is left out: a reference is a reference.
 */
import * as Effect from "effect/Effect"
import { assert, guardedStep, procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"

/** What a page's first word after its flags says: of which page map it is, or, of a tail page, which page is the head. */
export type PageWord = { readonly pgmap: string } | { readonly compoundHead: number }

/** `struct page` of device memory; what is said of a folio is in its first page. */
export type DevicePageState = {
  word: PageWord
  /** How many pages the folio has, as a power of two. */
  order: number
  refcount: number
  /** The fiber that holds the folio lock. */
  lock: string
  /** The control group that it is charged to, its mapping, and PG_anon_exclusive, as of anonymous pages. */
  memcg: string
  mapping: string
  anonExclusive: boolean
}

/** A page of device memory, by its number in the page map. */
export interface DevicePage {
  readonly pfn: number
  readonly state: Struct<DevicePageState>
}

/** `struct dev_pagemap` */
export interface DevPagemap {
  readonly name: string
  readonly pages: ReadonlyArray<DevicePage>
  readonly state: Struct<{
    /** `ref`: one of its own until it is killed, and one for each page in use. */
    ref: number
    killed: boolean
    /** Whether its struct pages are there. */
    mapped: boolean
  }>
  /** How many pages each control group is charged for. */
  readonly charged: Struct<{ [cgroup: string]: number }>
  /** `ops->folio_free`: the driver has the folio back. Set by the driver. */
  readonly ops: { folioFree: (folio: DevicePage) => Effect.Effect<void> }
}

/** `memremap_pages`: makes a page map none of whose pages is in use. */
export const devPagemap = (name: string, pages: number, cgroups: ReadonlyArray<string>): DevPagemap => ({
  name,
  pages: Array.from({ length: pages }, (_, pfn) => ({
    pfn,
    state: struct<DevicePageState>(`${name}.page${pfn}`, {
      word: { pgmap: name },
      order: 0,
      refcount: 0,
      lock: "",
      memcg: "",
      mapping: "",
      anonExclusive: false,
    }),
  })),
  state: struct(name, { ref: 1, killed: false, mapped: true }),
  charged: struct(`${name}.memcg`, Object.fromEntries(cgroups.map((cgroup) => [cgroup, 0]))),
  ops: { folioFree: () => Effect.void },
})

/** A page by its number. */
export const devicePage = ({ name, pages }: DevPagemap, pfn: number): DevicePage => {
  const page = pages[pfn]
  assert(page !== undefined, `${name} has no page ${pfn}`)
  return page
}

/** `folio_nr_pages` */
export const folioNrPages = ({ state }: DevicePage): number => 2 ** state.order

/** The pages of a folio. */
export const pagesOfFolio = ({ pages }: DevPagemap, folio: DevicePage): ReadonlyArray<DevicePage> =>
  pages.slice(folio.pfn, folio.pfn + folioNrPages(folio))

/** Whether a page is a head with references. */
export const isFolio = ({ state }: DevicePage): boolean => state.refcount > 0 && "pgmap" in state.word

/** `percpu_ref_tryget_many`: false once the page map is being torn down. Within a step. */
const percpuRefTrygetMany = ({ state }: DevPagemap, count: number): boolean => {
  if (state.killed) return false
  state.ref += count
  return true
}

/** `percpu_ref_put_many` */
const percpuRefPutMany = ({ name, state }: DevPagemap, count: number): Effect.Effect<void> =>
  step("percpu_ref_put_many", [name, count], () => {
    state.ref -= count
  })

/**
 * `zone_device_page_init`: the driver hands out free pages as one folio, locked, with one reference. Whatever its pages
 * were before, they now say that they are of this one.
 *
 * @param pfn the first of its pages
 */
export const zoneDevicePageInit = (pgmap: DevPagemap, pfn: number, order: number): Effect.Effect<void> =>
  step("zone_device_page_init", [pfn, order], () => {
    prepFolio(pgmap, pfn, order)
    devicePage(pgmap, pfn).state.lock = self()
  })

/** A folio of free pages, with one reference. Within a step, or before anything runs. */
export const prepFolio = (pgmap: DevPagemap, pfn: number, order: number): void => {
  const folio = devicePage(pgmap, pfn)
  folio.state.order = order
  // The kernel warns when it does not get them: nobody may allocate any more then.
  percpuRefTrygetMany(pgmap, folioNrPages(folio))
  for (const page of pagesOfFolio(pgmap, folio)) {
    page.state.word = page === folio ? { pgmap: pgmap.name } : { compoundHead: pfn }
    if (page !== folio) page.state.order = 0
  }
  folio.state.refcount = 1
}

/** What migration to the device does with a folio that it was given: it is charged, anonymous, mapped once, and unlocked. */
export const folioAddNewAnonRmap = (pgmap: DevPagemap, pfn: number, cgroup: string): Effect.Effect<void> =>
  step("folio_add_new_anon_rmap", [pfn, cgroup], () => chargeAnon(pgmap, pfn, cgroup))

/** Within a step, or before anything runs. */
export const chargeAnon = (pgmap: DevPagemap, pfn: number, cgroup: string): void => {
  const folio = devicePage(pgmap, pfn)
  Object.assign(folio.state, { memcg: cgroup, mapping: "anon_vma", anonExclusive: true, lock: "" })
  pgmap.charged[cgroup] = (pgmap.charged[cgroup] ?? 0) + folioNrPages(folio)
}

/** `folio_put`: the last reference gives it back to the driver. */
export const deviceFolioPut = procedure(function* (pgmap: DevPagemap, pfn: number) {
  const last = yield* step("folio_put", [pfn], () => {
    const { state } = devicePage(pgmap, pfn)
    assert(state.refcount > 0, `page ${pfn} of ${pgmap.name} is put after it was freed`)
    state.refcount--
    return state.refcount === 0
  })
  if (last) yield* freeZoneDeviceFolio(pgmap, pfn)
})

/**
 * `free_zone_device_folio`: leaves nothing of the folio's life behind, and gives it to the driver, which may hand it out
 * again at once, with another order. So what is needed of it afterwards has been read before.
 */
const freeZoneDeviceFolio = procedure(function* (pgmap: DevPagemap, pfn: number) {
  const folio = devicePage(pgmap, pfn)
  const { nr } = yield* step("free_zone_device_folio", [pfn], () => {
    const { word } = folio.state
    assert("pgmap" in word, `page ${pfn} is freed and is no head`)
    return { pgmap: word.pgmap, nr: folioNrPages(folio) }
  })
  yield* step("mem_cgroup_uncharge", [pfn], () => {
    const { memcg } = folio.state
    if (memcg !== "") pgmap.charged[memcg] = (pgmap.charged[memcg] ?? 0) - folioNrPages(folio)
    folio.state.memcg = ""
  })
  yield* step("__ClearPageAnonExclusive", [pfn], () => {
    folio.state.anonExclusive = false
    folio.state.mapping = ""
  })
  yield* pgmap.ops.folioFree(folio)
  yield* percpuRefPutMany(pgmap, nr)
})

/** `memunmap_pages`: waits until no page is in use, and takes the struct pages away. Nobody may ask for a page any more. */
export const memunmapPages = procedure(function* ({ name, state }: DevPagemap) {
  yield* step("percpu_ref_kill", [name], () => {
    state.killed = true
    state.ref--
  })
  yield* guardedStep(
    "memunmap_pages: wait_for_completion",
    [name],
    () => state.ref <= 0,
    () => undefined,
  )
  yield* step("pageunmap_range", [name], () => {
    state.mapped = false
  })
})
