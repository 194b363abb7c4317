import * as Effect from "effect/Effect"
import { userStore } from "../../../model/mm/access.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { madvise } from "../../../model/mm/madvise.ts"
import { oomReapTask } from "../../../model/mm/oomReaper.ts"
import { allCalls } from "../calls.ts"
import { parameter, scenariosOf } from "../define.ts"
import { dmirrorPromises, dmirrorProperties, orderProperties } from "./properties.ts"
import { dmirrorWorld } from "./world.ts"

const define = scenariosOf("driver/test-hmm", dmirrorWorld, dmirrorProperties)

const pages = (initial: number) => parameter("pages of the process", initial, 3)
const invalidations = (initial: number, min = 1) =>
  parameter("threads that invalidate with a system call, once each", initial, 3, min)

/** The device against every call that invalidates. */
export const faults = define(
  "faults",
  "the device is written to while a thread of the process invalidates in one of all ways, and gets through",
  { pages: pages(2), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations, uses: ["write"] }),
  dmirrorPromises,
)

/** Two faults on one table. */
export const twoFaults = define(
  "two-faults",
  "the device is written to and read while a thread of the process invalidates",
  { pages: pages(1), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations, uses: ["write", "read"], calls: ["munmap", "fork"] }),
)

/** Windows that overlap in time. Reclaim, which goes through `faults`, is left out. */
export const overlapping = define(
  "overlapping",
  "the device is written to while several threads of the process invalidate at once",
  { pages: pages(1), invalidations: invalidations(2) },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    uses: ["write"],
    calls: allCalls.filter((call) => call !== "madvise(MADV_PAGEOUT)"),
  }),
)

/** A subscription that comes and goes beside the one that stays. */
export const snapshot = define(
  "snapshot",
  "a snapshot is taken while a thread of the process invalidates",
  { pages: pages(2), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations, uses: ["snapshot"] }),
  dmirrorPromises,
)

/** The subscription of an open file. */
export const session = define(
  "session",
  "the device's file is opened, written to and closed while a thread of the process invalidates",
  { pages: pages(1), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations, uses: ["session"] }),
  dmirrorPromises,
)

/** What copy-on-write must not reorder. */
export const orderedReads = define(
  "ordered-reads",
  "the device reads two pages that are shared with a child, while the process stores to the one and then to the other",
  {},
  () => ({
    pages: 2,
    cpus: 1,
    uses: ["reads"],
    thread: Effect.fnUntraced(function* ({ mm, child }, cpu) {
      yield* Effect.ignore(dupMmap(mm, child))
      for (const va of [0, 1]) yield* Effect.ignore(userStore(mm, cpu, va, "new"))
    }),
  }),
  orderProperties,
)

/** Migration, which announces itself to the driver whose it is. */
export const migration = define(
  "migration",
  "a page is migrated to the device's coherent memory while the device is written to, and a thread drops the page",
  { writers: parameter("tasks that write to the device", 1, 1, 0), invalidations: invalidations(1, 0) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    uses: bound.writers > 0 ? ["migrate", "write"] : ["migrate"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** Callbacks that must not sleep. */
export const oomReaper = define(
  "oom-reaper",
  "the device is written to while the OOM reaper, which must not wait, takes the process's memory, or is refused",
  { pages: pages(1) },
  (bound) => ({ ...bound, cpus: 0, uses: ["write"], others: ({ mm }) => ({ "oom-reaper": oomReapTask(mm) }) }),
  dmirrorPromises,
)

/** Pages that are dropped unless they are dirty. */
export const lazyfree = define(
  "lazyfree",
  "the device is written to at a page that the process has given to MADV_FREE",
  {},
  () => ({
    pages: 1,
    cpus: 0,
    uses: ["write"],
    others: ({ mm }) => ({ cpu: Effect.ignore(madvise(mm, { start: 0, end: 1 }, "MADV_FREE")) }),
  }),
)
