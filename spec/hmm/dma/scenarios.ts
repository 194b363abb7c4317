import type { Property } from "../../../checker/index.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { allCalls } from "../../driver/calls.ts"
import { dmaProperties, p2pProperties } from "./properties.ts"
import { type DmaWorld, dmaWorld, type Shape } from "./world.ts"

const scenarioOf = scenariosOf("hmm/dma", dmaWorld, dmaProperties)

/**
 * A device with a page and reserved addresses, while threads discard what it maps, unless the shape says otherwise.
 *
 * @param invalidations how many of them there are by default
 */
const define = (
  id: string,
  summary: string,
  invalidations: number,
  shape: Partial<Shape> & Pick<Shape, "uses">,
  more: ReadonlyArray<Property<DmaWorld>> = [],
) =>
  scenarioOf(
    id,
    summary,
    { invalidations: parameter("threads that invalidate with a system call, once each", invalidations, 3, 0) },
    (bound) => ({ pages: 1, useIova: true, calls: ["madvise(MADV_DONTNEED)"], ...shape, cpus: bound.invalidations }),
    more,
  )

/** Against every call that invalidates; what was mapped to be loaded is to be stored to. */
export const calls = define(
  "calls",
  "a device loads from a page and stores to it by its DMA address while a thread of the process invalidates, or exits",
  1,
  { uses: ["load", "store"], calls: allCalls },
)

/** What only the device knows to be dirty. */
export const swappedIn = define(
  "swapped-in",
  "a device stores by its DMA address to a page that was read from swap, which is reclaimed",
  1,
  { swappedIn: true, uses: ["store"], calls: ["madvise(MADV_PAGEOUT)"] },
)

/** Two windows that overlap. */
export const overlapping = define(
  "overlapping",
  "a device loads from a page by its DMA address while threads of the process discard it at once",
  2,
  { uses: ["load"] },
)

/** Two faults that fill one list. */
export const queues = define(
  "queues",
  "two queues of a device fault on one page, while a thread of the process may discard it",
  0,
  { uses: ["load"], queues: 2 },
)

/** What is not asked for is looked at. */
export const prefetch = define(
  "prefetch",
  "a device stores to a page and prefetches what is there while a thread of the process discards it",
  1,
  { uses: ["store", "prefetch", "load"] },
)

/** An IOMMU that finds addresses itself, or finds none. */
export const plain = define(
  "plain",
  "no addresses are reserved, there may be no memory for the IOMMU's tables, and a thread of the process discards a page",
  1,
  { pages: 2, useIova: false, mayFail: true, uses: ["load", "store"] },
)

/** An IOMMU with reserved addresses that has no memory. */
export const failing = define(
  "failing",
  "the IOMMU may have no memory for a page or for its flush while a thread of the process discards the page",
  1,
  { mayFail: true, uses: ["load", "store"] },
)

/** A page that is another device's. */
export const p2p = define(
  "p2p",
  "the page is another device's, reached through the host bridge, by an address of the bus, or not at all",
  1,
  { mayFail: true, p2p: true, uses: ["load", "store"], calls: ["madvise(MADV_DONTNEED)", "munmap"] },
  p2pProperties,
)

export const dmaScenarios = [calls, swappedIn, overlapping, queues, prefetch, plain, failing, p2p]
