import { type Parameter, type Property, type Scenario, scenario } from "../../../checker/index.ts"
import { dmaProperties, p2pProperties } from "./properties.ts"
import { type DmaWorld, dmaWorld, type Shape } from "./world.ts"

const parameter = (description: string, initial: number, max: number, min = 1): Parameter => ({
  description,
  default: initial,
  min,
  max,
})

const define = <const P extends { readonly [name: string]: Parameter }>(
  id: string,
  summary: string,
  parameters: P,
  shape: (bound: { readonly [name in keyof P]: number }) => Shape,
  more: ReadonlyArray<Property<DmaWorld>> = [],
): Scenario<DmaWorld> =>
  scenario({
    id: `hmm/dma/${id}`,
    summary,
    parameters,
    setup: (bound) => dmaWorld(shape(bound)),
    properties: [...dmaProperties, ...more],
  })

const invalidations = (initial: number) =>
  parameter("threads that invalidate with a system call, once each", initial, 3, 0)

/** Against every call that invalidates; what was mapped to be loaded is to be stored to. */
export const calls = define(
  "calls",
  "a device loads from a page and stores to it by its DMA address while a thread of the process invalidates, or exits",
  { invalidations: invalidations(1) },
  (bound) => ({ pages: 1, cpus: bound.invalidations, useIova: true, uses: ["load", "store"] }),
)

/** Two windows that overlap. */
export const overlapping = define(
  "overlapping",
  "a device loads from a page by its DMA address while threads of the process discard it at once",
  { invalidations: invalidations(2) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    useIova: true,
    uses: ["load"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** Two faults that fill one list. */
export const queues = define(
  "queues",
  "two queues of a device fault on one page, while a thread of the process may discard it",
  { invalidations: invalidations(0) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    useIova: true,
    uses: ["load"],
    queues: 2,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** What is not asked for is looked at. */
export const prefetch = define(
  "prefetch",
  "a device stores to a page and prefetches what is there while a thread of the process discards it",
  { invalidations: invalidations(1) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    useIova: true,
    uses: ["store", "prefetch", "load"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** An IOMMU that finds addresses itself, or finds none. */
export const plain = define(
  "plain",
  "no addresses are reserved, there may be no memory for the IOMMU's tables, and a thread of the process discards a page",
  { invalidations: invalidations(1) },
  (bound) => ({
    pages: 2,
    cpus: bound.invalidations,
    useIova: false,
    mayFail: true,
    uses: ["load", "store"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** An IOMMU with reserved addresses that has no memory. */
export const failing = define(
  "failing",
  "the IOMMU may have no memory for a page or for its flush while a thread of the process discards the page",
  { invalidations: invalidations(1) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    useIova: true,
    mayFail: true,
    uses: ["load", "store"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** A page that is another device's. */
export const p2p = define(
  "p2p",
  "the page is another device's, reached through the host bridge, by an address of the bus, or not at all",
  { invalidations: invalidations(1) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    useIova: true,
    mayFail: true,
    p2p: true,
    uses: ["load", "store"],
    calls: ["madvise(MADV_DONTNEED)", "munmap"],
  }),
  p2pProperties,
)

export const dmaScenarios = [calls, overlapping, queues, prefetch, plain, failing, p2p]
