/** The scenario of hmm_range_dma_map, with what is true of it besides, and its seeded bugs. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  cell,
  changeBody,
  leaveOut,
  type Monitor,
  moveBehind,
  type Property,
  type Scenario,
  type SeededBug,
  scenario,
  struct,
} from "../../../checker/index.ts"
import { type HmmDmaMirror, hmmDmaMirror, hmmDmaMirrorFault } from "../../../model/driver/hmmDmaMirror.ts"
import type { HmmMirrorDevice } from "../../../model/driver/hmmMirror.ts"
import { setPageDirty } from "../../../model/hmm/dmaMap2019.ts"
import { iommu } from "../../../model/hmm/iommu.ts"
import { type Frame, folioOf } from "../../../model/mm/folio.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { madviseDontneed2019, reclaim2019 } from "../../../model/notifier/mmuNotifier2019.ts"
import { names } from "../../define.ts"
import { hmm2019Properties } from "./properties.ts"
import { type DmaResults, type Dropped, type Hmm2019World, hmm2019World, type Parts } from "./world.ts"

const isDma = (device: HmmMirrorDevice): device is HmmDmaMirror => "dma" in device
const dmaDevices = ({ devices }: Parts): ReadonlyArray<HmmDmaMirror> => devices.filter(isDma)

/** How many pages are mapped for a device. */
const mapped = ({ dma }: HmmDmaMirror): number => dma.iommu.table.filter(({ value }) => value !== null).length

const watchResults = (parts: Parts): DmaResults => {
  const dmaResults = new Map(
    dmaDevices(parts).map(({ name }) => [name, cell<"error" | number | null>(`${name}.result`, null)]),
  )
  const note = (fiber: string, said: "error" | number | null) => {
    const last = dmaResults.get(fiber)
    if (last !== undefined) last.value = said
  }
  const none: ReadonlyArray<Frame> = []
  const dropped: Dropped = struct("dropped", { pages: none, clean: false })
  const monitor: Monitor = {
    device_unmap: ({ args, result }) => {
      const device = dmaDevices(parts).find(({ name }) => name === args[0])
      const pages = result as ReadonlyArray<number> // what the step returns
      dropped.pages = pages.flatMap((va) => (device && at(device.dma.pfns, va).value) ?? [])
    },
    mutex_unlock: () => {
      const { folios } = parts.mm
      if (dropped.pages.some((page) => !folioOf(folios, page).dirty)) dropped.clean = true
      dropped.pages = none
    },
    hmm_range_dma_map: ({ fiber, result }) => note(fiber, typeof result === "number" ? result : "error"),
    hmm_range_fault: ({ fiber }) => note(fiber, null),
    hmm_range_valid: ({ fiber }) => note(fiber, null),
  }
  return { dmaResults, dropped, monitors: [monitor] }
}

const resultOf = ({ dmaResults }: Hmm2019World, { name }: HmmDmaMirror) => dmaResults.get(name)?.value ?? null

/** The pages that a device goes by, and which its IOMMU does not have where it is said. */
const untranslated = ({ pageTable, dma }: HmmDmaMirror): ReadonlyArray<number> =>
  pageTable.flatMap(({ value }, va) => {
    if (value === null) return []
    const address = at(dma.daddrs, va).value
    const entry = address === null ? null : at(dma.iommu.table, address).value
    return entry?.page?.pfn === value.pfn && entry.page.generation === value.generation ? [] : [va]
  })

const dmaMapProperties: ReadonlyArray<Property<Hmm2019World>> = [
  {
    kind: "invariant",
    id: "DMA-UNWIND",
    statement: "When hmm_range_dma_map has returned an error, nothing of the range is mapped for DMA.",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_map; mm/hmm: add helpers to dma map, LKML 2019",
    premise: ({ dmaResults }) => [...dmaResults.values()].some(({ value }) => value === "error"),
    holds: (world) => dmaDevices(world).every((device) => resultOf(world, device) !== "error" || mapped(device) === 0),
  },
  {
    kind: "invariant",
    id: "DMA-TRANSLATES",
    statement: "Of what a device maps its IOMMU has a mapping, of that page.",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap, called under the driver's lock",
    premise: (world) => dmaDevices(world).some(({ pageTable }) => pageTable.some(({ value }) => value !== null)),
    holds: (world) =>
      dmaDevices(world).every((device) => device.update.state.holder !== "" || untranslated(device).length === 0),
  },
  {
    kind: "invariant",
    id: "DMA-COUNT",
    statement: "When hmm_range_dma_map has returned how many pages it has mapped for DMA, so many are.",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_map",
    premise: ({ dmaResults }) => [...dmaResults.values()].some(({ value }) => typeof value === "number"),
    holds: (world) =>
      dmaDevices(world).every((device) => {
        const result = resultOf(world, device)
        return typeof result !== "number" || result === mapped(device)
      }),
  },
  {
    kind: "invariant",
    id: "DMA-DIRTY",
    statement:
      "A page that the callback has taken from the device, which may have stored there, is dirty when the driver's lock is given up.",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap, set_page_dirty",
    premise: ({ dropped }) => dropped !== null && (dropped.pages.length > 0 || dropped.clean),
    holds: ({ dropped }) => dropped?.clean !== true,
  },
  {
    kind: "atEnd",
    id: "DMA-ONCE",
    statement: "When everything has ended, what the device maps is all that is mapped for DMA.",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap",
    holds: (world) =>
      dmaDevices(world).every(
        (device) => mapped(device) === device.pageTable.filter(({ value }) => value !== null).length,
      ),
  },
]

/** Who announces a page, by madvise and by reclaim. */
const calls = [madviseDontneed2019, reclaim2019]

export const dmaMap: Scenario<Hmm2019World> = scenario({
  id: "hmm/2019/dma-map",
  summary: "a device faults on all pages and maps them for DMA in one, while one after the other is being taken away",
  parameters: {
    pages: { description: "pages of the process", default: 2, min: 1, max: 3 },
    cpus: { description: "processors that take a page away, the last one first", default: 1, min: 0, max: 2 },
  },
  setup: ({ pages, cpus }) =>
    hmm2019World({
      pages,
      devices: 1,
      registered: 1,
      others: names("cpu", cpus),
      device: (of, name) =>
        hmmDmaMirror(of, name, { start: 0, end: pages }, iommu(of.mm.folios, `${name}.iommu`, pages), true),
      dmaResults: watchResults,
      fibers: (parts) => ({
        ...Object.fromEntries(
          calls.slice(0, cpus).map((call, cpu) => {
            const page = Math.max(0, pages - 1 - cpu)
            return [`cpu${cpu}`, call(parts.mm, { start: page, end: page + 1 })] as const
          }),
        ),
        ...Object.fromEntries(
          dmaDevices(parts).map((device) => [device.name, hmmDmaMirrorFault(device, true)] as const),
        ),
      }),
    }),
  properties: [...hmm2019Properties, ...dmaMapProperties],
})

const inDmaMap = { scenario: dmaMap.id, bound: { pages: 1, cpus: 1 } }

export const dmaMapBugs: ReadonlyArray<SeededBug<Hmm2019World>> = [
  {
    id: "hmm-2019-dma-valid-aba",
    title:
      "as published: an invalidation begins and ends between the fault and the DMA mapping, and the range is valid",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_map, its look at range->valid",
    ...inDmaMap,
    breaks: "DMA-2019-VALID",
    at: ({ hmm }) => ({
      hmm_range_valid: changeBody(({ args }) => hmm.ranges.get(String(args[0]))?.state.valid === true),
    }),
  },
  {
    id: "hmm-2019-dma-maps-half",
    title: "hmm_range_dma_map says that all pages are mapped, and the last one is not",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_map, its count; by inference",
    scenario: dmaMap.id,
    bound: { pages: 1, cpus: 0 },
    breaks: "DMA-COUNT",
    at: ({ mm }) => ({
      dma_map_page: (original, { args }) => (args[1] === mm.pages - 1 ? Effect.void : original),
    }),
  },
  {
    id: "hmm-2019-dma-no-unwinding",
    title: "the second page cannot be mapped, and the first one stays so",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_map: unmap",
    scenario: dmaMap.id,
    bound: { pages: 2, cpus: 0 },
    breaks: "DMA-UNWIND",
    at: ({ devices }, fiber) => (devices.some(({ name }) => name === fiber) ? { dma_unmap_page: leaveOut() } : {}),
  },
  {
    id: "hmm-2019-dma-forgets-stale",
    title: "a driver that finds its range invalid tries again, and what it had mapped stays mapped",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap",
    ...inDmaMap,
    breaks: "DMA-ONCE",
    at: ({ devices }, fiber) => {
      if (!devices.some(({ name }) => name === fiber)) return {}
      let stale = false
      return {
        hmm_range_valid: (original) =>
          Effect.tap(original, (valid) =>
            Effect.sync(() => {
              stale = valid === false
            }),
          ),
        dma_unmap_page: (original) => Effect.suspend(() => (stale ? Effect.void : original)),
        mutex_unlock: (original) =>
          Effect.tap(original, () =>
            Effect.sync(() => {
              stale = false
            }),
          ),
      }
    },
  },
  {
    id: "hmm-2019-dma-dirties-stale",
    title: "a driver that finds its range invalid says of the pages, which are somebody else's, that they are dirty",
    source:
      "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap, the comment on why it is safe to call set_page_dirty; compare 0a98219bcc96",
    ...inDmaMap,
    breaks: builtIn.assertion,
    at: (world, fiber) => {
      const device = dmaDevices(world).find(({ name }) => name === fiber)
      return device === undefined
        ? {}
        : {
            hmm_range_valid: (original) =>
              Effect.tap(original, (valid) =>
                valid === true
                  ? Effect.void
                  : Effect.forEach(pagesOf(device.range), (va) => setPageDirty(device.dma, va)),
              ),
          }
    },
  },
  {
    id: "hmm-2019-dma-forgets-dirty",
    title:
      "a page is unmapped before it is marked, which then finds none: what the device has stored is not written back",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap: set_page_dirty before dma_unmap_page; by inference",
    ...inDmaMap,
    breaks: "DMA-DIRTY",
    at: () => moveBehind("set_page_dirty", "dma_unmap_page"),
  },
  {
    id: "hmm-2019-dma-unmapped-only",
    title: "the callback undoes the DMA mapping and leaves the device what it maps",
    source: "mm/hmm.c of Linux 5.3: hmm_range_dma_unmap; include/linux/hmm.h: sync_cpu_device_pagetables",
    scenario: dmaMap.id,
    bound: { pages: 1, cpus: 1 },
    breaks: "DMA-TRANSLATES",
    at: (world, fiber) => {
      const [device] = dmaDevices(world)
      return fiber === device?.name || device === undefined ? {} : { device_unmap: leaveOut(pagesOf(device.range)) }
    },
  },
]
