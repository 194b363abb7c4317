/** Seeded bugs of the freeing of device memory. */
import * as Effect from "effect/Effect"
import { changeBody, leaveOut, moveBehind, type Replacements, type SeededBug, step } from "../../../checker/index.ts"
import { type DevicePage, devicePage, folioNrPages } from "../../../model/deviceMemory/freeZoneDeviceFolio.ts"
import { release, underLock } from "../../../model/sync/spinlock.ts"
import { zoo } from "../../bugZoo.ts"
import { reuse } from "./scenarios.ts"
import type { DeviceFreeWorld } from "./world.ts"

/** What is done of a folio when its page map's references are dropped, the driver having it again. */
const touching =
  (touch: (folio: DevicePage, world: DeviceFreeWorld, count: number) => void) =>
  (world: DeviceFreeWorld): Replacements => {
    let pfn = 0
    return {
      free_zone_device_folio: (original, { args }) =>
        Effect.tap(original, () =>
          Effect.sync(() => {
            pfn = Number(args[0])
          }),
        ),
      percpu_ref_put_many: changeBody(({ args }) => touch(devicePage(world.pgmap, pfn), world, Number(args[1]))),
    }
  }

const source = "399289849560, mm/zone_device: do not touch device folio after calling ->folio_free(), CVE-2026-46277"

/** Where bugs are hunted: at a bound that is no larger than it takes. */
const inReuse = { scenario: reuse.id, bound: { holders: 1, migrations: 1, remove: 0 } }
const inFree = { scenario: reuse.id, bound: { holders: 1, migrations: 0, remove: 0 } }
const inRemoval = { scenario: reuse.id, bound: { holders: 1, migrations: 0, remove: 1 } }

export const deviceFreeBugs: ReadonlyArray<SeededBug<DeviceFreeWorld>> = [
  {
    id: "device-page-touched-after-free-callback",
    title:
      "the page map is read from the folio behind folio_free; the driver has made it the tail of another, where the word says something else",
    source,
    references: zoo(97),
    ...inReuse,
    breaks: "DEV-PGMAP-REF",
    at: touching(({ state }, { pgmap }, count) => {
      if ("pgmap" in state.word) pgmap.state.ref -= count
    }),
  },
  {
    id: "device-page-touched-removal-hangs",
    title: "a reference to the page map was dropped on something else, and its removal waits for ever",
    source,
    references: zoo(97),
    scenario: reuse.id,
    bound: { holders: 1, migrations: 1, remove: 1 },
    breaks: "L-EVICT",
    at: touching(({ state }, { pgmap }, count) => {
      if ("pgmap" in state.word) pgmap.state.ref -= count
    }),
  },
  {
    id: "device-page-size-after-free-callback",
    title: "the size of the folio is read behind folio_free; it is that of the driver's next one",
    source: `${source}, by inference: the same of the folio's size`,
    references: zoo(97),
    scenario: reuse.id,
    bound: { holders: 1, migrations: 2, remove: 0 },
    breaks: "DEV-PGMAP-REF",
    at: touching((folio, { pgmap }) => {
      pgmap.state.ref -= folioNrPages(folio)
    }),
  },
  {
    id: "device-page-free-twice",
    title: "the driver is given the folio twice",
    source: "mm/memremap.c: free_zone_device_folio",
    ...inFree,
    breaks: "DEV-PAGEFREE-ONCE",
    at: () => ({ dmirror_devmem_free: (original) => Effect.andThen(original, original) }),
  },
  {
    id: "device-page-free-before-uncharge",
    title: "the driver is given the folio before it is uncharged",
    source: "mm/memremap.c: free_zone_device_folio",
    ...inFree,
    breaks: "DEV-CLEAN-FREE",
    at: () => moveBehind("mem_cgroup_uncharge", "dmirror_devmem_free"),
  },
  {
    id: "device-page-uncharged-by-one",
    title: "of a folio of two pages one is uncharged",
    source: "mm/memremap.c: free_zone_device_folio, by inference",
    ...inReuse,
    breaks: "DEV-MEMCG",
    at: ({ pgmap }) => ({
      mem_cgroup_uncharge: changeBody(({ args }) => {
        const { state } = devicePage(pgmap, Number(args[0]))
        pgmap.charged[state.memcg] = (pgmap.charged[state.memcg] ?? 0) - 1
        state.memcg = ""
      }),
    }),
  },
  {
    id: "device-page-free-in-use",
    title: "the driver is given the folio with the first reference that goes, not with the last",
    source: "mm/memremap.c: free_zone_device_folio, by inference",
    scenario: reuse.id,
    bound: { holders: 2, migrations: 0, remove: 0 },
    breaks: "DEV-FREE-UNUSED",
    at: ({ pgmap }) => ({
      folio_put: changeBody(({ args }) => {
        devicePage(pgmap, Number(args[0])).state.refcount--
        return true
      }),
    }),
  },
  {
    id: "device-page-ref-before-callback",
    title: "the page map's reference goes first, and the driver is given a page of one that is no more",
    source: "mm/memremap.c: free_zone_device_folio, by inference",
    ...inRemoval,
    breaks: "DEV-PGMAP-ALIVE",
    at: ({ pgmap }) => ({
      dmirror_devmem_free: (original, { args }) =>
        Effect.andThen(
          step("percpu_ref_put_many: early", args, () => {
            pgmap.state.ref -= folioNrPages(devicePage(pgmap, Number(args[0])))
          }),
          original,
        ),
      percpu_ref_put_many: leaveOut(),
    }),
  },
  {
    id: "device-page-alloc-while-removed",
    title: "the driver hands out pages although the device is going",
    source: "mm/memremap.c: zone_device_page_init: it warns of who allocates after memunmap_pages has begun",
    scenario: reuse.id,
    bound: { holders: 1, migrations: 1, remove: 1 },
    breaks: "DEV-PGMAP-REF",
    at: ({ devmem }) => ({
      dmirror_device_remove_chunks: (original) =>
        Effect.andThen(
          original,
          underLock(devmem.lock, "dmirror_device_remove_chunks: forgets", [], () => {
            devmem.state.remove = false
          }),
        ),
    }),
  },
  {
    id: "device-page-init-unlocked",
    title: "as in a driver: the allocator's lock is given up before the page is the page map's again",
    source:
      "lib/test_hmm.c: dmirror_devmem_alloc_page, against HMM_DMIRROR_RELEASE: dmirror_device_remove_chunks. By inference: read in the source, not observed",
    scenario: reuse.id,
    bound: { holders: 1, migrations: 1, remove: 1 },
    breaks: "DEV-PGMAP-REF",
    at: ({ devmem }) => ({
      dmirror_devmem_alloc_page: changeBody(({ body }) => {
        const found = body()
        if (found !== null) release(devmem.lock)
        return found
      }),
      spin_unlock: leaveOut(),
    }),
  },
  {
    id: "device-page-stays-locked",
    title: "a page that was handed out is freed as it was: locked, and never mapped",
    source: "mm/memremap.c: zone_device_page_init; by inference",
    ...inReuse,
    breaks: "DEV-FREE-BLANK",
    at: () => ({ folio_add_new_anon_rmap: leaveOut() }),
  },
  {
    id: "device-page-not-given-back",
    title: "the driver is not told that the last reference has gone",
    source: "mm/memremap.c: free_zone_device_folio, by inference",
    ...inFree,
    breaks: "DEV-PAGES-BACK",
    at: () => ({ dmirror_devmem_free: leaveOut() }),
  },
]
