/** The invariants of the pages of device memory that a driver hands out and gets back. */
import type { Property } from "../../../checker/index.ts"
import { folioNrPages, isFolio } from "../../../model/deviceMemory/freeZoneDeviceFolio.ts"
import type { DeviceFreeWorld } from "./world.ts"

type Spec = Property<DeviceFreeWorld>

const freed = ({ freeing }: DeviceFreeWorld) => [...freeing.values()].filter(({ pages }) => pages > 0)
const folios = ({ pgmap }: DeviceFreeWorld) => pgmap.pages.filter(isFolio)
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)
const inUse = (world: DeviceFreeWorld) =>
  sum(folios(world).map(folioNrPages)) + sum(freed(world).map(({ pages }) => pages))

export const deviceFreeProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "DEV-PGMAP-REF",
    statement:
      "A page map has one reference for each page of it that is in use or being freed, and its own until it is killed.",
    source: "mm/memremap.c: zone_device_page_init, free_zone_device_folio; 399289849560",
    premise: (world) => inUse(world) > 0,
    holds: (world) => world.pgmap.state.ref === inUse(world) + (world.pgmap.state.killed ? 0 : 1),
    explain: (world) =>
      `${world.pgmap.name} has ${world.pgmap.state.ref} references; ${inUse(world)} of its pages are in use.`,
  },
  {
    kind: "invariant",
    id: "DEV-PGMAP-ALIVE",
    statement: "While a page is in use, or the driver is being given one back, its page map is there.",
    source: "mm/memremap.c: memunmap_pages",
    premise: ({ pgmap }) => pgmap.state.killed,
    holds: (world) => !world.slips.afterEnd && (world.pgmap.state.mapped || folios(world).length === 0),
  },
  {
    kind: "invariant",
    id: "DEV-PAGEFREE-ONCE",
    statement: "The driver is given a folio once for each time it handed it out, when its last reference has gone.",
    source: "mm/memremap.c: free_zone_device_folio",
    premise: (world) => freed(world).length > 0,
    holds: ({ slips }) => !slips.twice,
  },
  {
    kind: "invariant",
    id: "DEV-CLEAN-FREE",
    statement: "A folio that the driver is given is charged to nobody, is exclusive to nobody and has no mapping.",
    source: "mm/memremap.c: free_zone_device_folio: mem_cgroup_uncharge, __ClearPageAnonExclusive",
    premise: (world) => freed(world).length > 0,
    holds: ({ slips }) => !slips.unclean,
  },
  {
    kind: "invariant",
    id: "DEV-MEMCG",
    statement: "A control group is charged for the pages of the folios that say so.",
    source: "mm/memremap.c: free_zone_device_folio; Documentation/mm/hmm.rst, Memory cgroup and rss accounting",
    premise: ({ pgmap }) => Object.values(pgmap.charged).some((pages) => pages > 0),
    holds: ({ pgmap }) =>
      Object.entries(pgmap.charged).every(
        ([cgroup, charged]) =>
          charged === sum(pgmap.pages.filter(({ state }) => state.memcg === cgroup).map(folioNrPages)),
      ),
  },
  {
    kind: "invariant",
    id: "DEV-FREE-UNUSED",
    statement: "Nobody refers to a page that the driver takes to be free.",
    source: "lib/test_hmm.c: dmirror_devmem_free; Documentation/mm/hmm.rst",
    premise: ({ devmem }) => devmem.state.free.length > 0,
    holds: ({ pgmap, devmem }) =>
      new Set(devmem.state.free).size === devmem.state.free.length &&
      pgmap.pages
        .filter(isFolio)
        .every((folio) => devmem.state.free.every((pfn) => pfn < folio.pfn || pfn >= folio.pfn + folioNrPages(folio))),
  },
  {
    kind: "invariant",
    id: "DEV-FREE-BLANK",
    statement: "A page that the driver takes to be free is unlocked, charged to nobody and mapped by nobody.",
    source:
      "mm/memremap.c: zone_device_page_init, which locks the page and would wait for ever; free_zone_device_folio",
    premise: ({ devmem }) => devmem.state.free.length > 0,
    holds: ({ pgmap, devmem }) =>
      devmem.state.free.every((pfn) => {
        const state = pgmap.pages[pfn]?.state
        return state?.lock === "" && state.memcg === "" && state.mapping === "" && !state.anonExclusive
      }),
  },
  {
    kind: "atEnd",
    id: "DEV-PAGES-BACK",
    statement: "When nobody uses a page any more, the driver has all of them again.",
    source: "lib/test_hmm.c: dmirror_devmem_free",
    holds: (world) => world.devmem.state.free.length === world.pgmap.pages.length - inUse(world),
  },
  {
    kind: "leadsTo",
    id: "L-EVICT",
    statement: "When those who use pages have let go of them the page map is taken down.",
    source: "mm/memremap.c: memunmap_pages",
    from: ({ pgmap }) => pgmap.state.killed,
    to: ({ pgmap }) => !pgmap.state.mapped,
  },
]
