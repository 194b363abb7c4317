import * as Effect from "effect/Effect"
import { gruRegisterMmuNotifier } from "../../../model/driver/gru.ts"
import { gruAccess } from "../../../model/driver/gruFault.ts"
import { pagemapScan } from "../../../model/mm/pagemapScan.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { allCalls } from "../calls.ts"
import { gruPromises, gruProperties } from "./properties.ts"
import { gruWorld, instruction } from "./world.ts"

const define = scenariosOf("driver/gru", gruWorld, [...gruProperties, ...gruPromises])

const pages = (initial: number) => parameter("pages of the process", initial, 3)
const grus = (initial: number, min = 1) =>
  parameter("GRUs: the first one's instruction stores, the others' load", initial, 2, min)
const invalidations = (initial: number) =>
  parameter("threads that munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit, once each", initial, 3)

/** One fault against one call of each kind. */
export const oneFault = define(
  "one-fault",
  "a GRU faults while a thread of the process invalidates or ends",
  { pages: pages(1), grus: grus(1), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations }),
)

/** An instruction that only loads. */
export const load = define(
  "load",
  "a GRU loads from a page while a thread of the process invalidates or ends",
  { pages: pages(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    grus: 1,
    cpus: bound.invalidations,
    gru: (gms, gru) => gruAccess(gms, gru, gms.mm.pages - 1),
  }),
)

/** Two invalidations that overlap. */
export const overlapping = define(
  "overlapping",
  "a GRU faults while threads of the process invalidate ranges that overlap",
  {
    pages: pages(2),
    grus: grus(1, 0),
    invalidations: invalidations(2),
    reclaim: parameter("whether they also MADV_PAGEOUT", 0, 1, 0),
  },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: bound.reclaim === 1 ? allCalls : allCalls.filter((call) => call !== "madvise(MADV_PAGEOUT)"),
  }),
)

/** Pages that may be stored to and are clean: the driver must have somebody mark them. */
export const clean = define(
  "clean",
  "a GRU stores to a page that was swapped in for a load, while it is reclaimed",
  { pages: pages(1) },
  (bound) => ({ ...bound, grus: 1, cpus: 1, calls: ["madvise(MADV_PAGEOUT)"], clean: true }),
)

/** Who comes late, and a range that is announced in rounds. */
export const scan = define(
  "pagemap-scan",
  "a GRU begins to be used while a thread write-protects the process's pages in rounds",
  { pages: pages(2), buffer: parameter("how many pages fit in the buffer of a round", 1, 3) },
  (bound) => ({
    pages: bound.pages,
    grus: 1,
    cpus: 1,
    registered: false,
    thread: (mm) => pagemapScan(mm, { start: 0, end: bound.pages }, bound.buffer),
    gru: (gms, gru, position) => Effect.andThen(gruRegisterMmuNotifier(gms), instruction(gms, gru, position)),
  }),
)
