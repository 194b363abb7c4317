import * as Effect from "effect/Effect"
import { madvise } from "../../../model/mm/madvise.ts"
import { oomReapTask } from "../../../model/mm/oomReaper.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { allCalls } from "../calls.ts"
import { nouveauPromises, nouveauProperties, refusalPromises } from "./properties.ts"
import { nouveauWorld } from "./world.ts"

const define = scenariosOf("driver/nouveau", nouveauWorld, nouveauProperties)

const pages = (initial: number) => parameter("pages of the process", initial, 3)
const gpus = (initial: number) => parameter("GPUs: the first one stores, the others load", initial, 3)
const invalidations = (initial: number, min = 1) =>
  parameter("threads that invalidate with a system call, once each", initial, 3, min)

/** A GPU against every call that invalidates. */
export const faults = define(
  "faults",
  "GPUs fault while a thread of the process invalidates in one of all ways, and get through",
  { pages: pages(2), gpus: gpus(1), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations }),
  nouveauPromises,
)

/** Subscriptions that come while a range is open that met none. Reclaim, which goes through `faults`, is left out. */
export const overlapping = define(
  "overlapping",
  "a GPU faults while several threads of the process invalidate at once",
  { pages: pages(1), gpus: gpus(1), invalidations: invalidations(2) },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: allCalls.filter((call) => call !== "madvise(MADV_PAGEOUT)"),
  }),
)

/** Ranges that must not sleep, which the classic notifier refuses. */
export const oomReaper = define(
  "oom-reaper",
  "a GPU faults while the OOM reaper, which must not wait, takes the process's memory, or is refused",
  { pages: pages(1), gpus: gpus(1), invalidations: invalidations(0, 0) },
  (bound) => ({ ...bound, cpus: bound.invalidations, others: ({ mm }) => ({ "oom-reaper": oomReapTask(mm) }) }),
  refusalPromises,
)

/** Pages that are dropped unless they are dirty. */
export const lazyfree = define(
  "lazyfree",
  "a GPU stores to a page that the process has given to MADV_FREE",
  { gpus: gpus(1) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: 0,
    others: ({ mm }) => ({ cpu: Effect.ignore(madvise(mm, { start: 0, end: 1 }, "MADV_FREE")) }),
  }),
)
