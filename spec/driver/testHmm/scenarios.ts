import * as Effect from "effect/Effect"
import { scenario, step } from "../../../checker/index.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { folioAllocUncharged } from "../../../model/mm/folio.ts"
import { dupMmap } from "../../../model/mm/fork.ts"
import { madvise } from "../../../model/mm/madvise.ts"
import { oomReapTask } from "../../../model/mm/oomReaper.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { allCalls } from "../calls.ts"
import { dmirrorPromises, dmirrorProperties, orderProperties, privatePromises } from "./properties.ts"
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
  "a page is migrated to the device's private memory while the device is written to, and threads drop the page",
  { invalidations: invalidations(0, 0) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    uses: ["migrate", "write"],
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** The same, of a page that is dropped meanwhile. */
export const zappedMigration = define(
  "zapped-migration",
  "a page is migrated to the device's private memory while a thread drops it",
  { invalidations: invalidations(1) },
  (bound) => ({ pages: 1, cpus: bound.invalidations, uses: ["migrate"], calls: ["madvise(MADV_DONTNEED)"] }),
)

/** A page in the device's memory, which the process wants back when there may be no memory for it. */
export const privateFault = scenario({
  id: "driver/test-hmm/private-fault",
  summary: "threads store to a page in the device's memory, while others take the only page of memory that is free",
  parameters: { threads: parameter("threads of the process that store to the page, once each", 2, 3) },
  setup: ({ threads }) =>
    dmirrorWorld({
      pages: 1,
      cpus: threads,
      uses: [],
      spare: 0,
      inDevice: 1,
      thread: ({ mm }, cpu) => Effect.ignore(userStore(mm, cpu, 0, cpu)),
      others: ({ mm }) => ({ others: step("alloc_page", () => folioAllocUncharged(mm.system.folios)) }),
    }),
  // What the others have taken is nobody's mapping.
  properties: [...dmirrorProperties.filter(({ id }) => id !== "MIRROR-NO-REF"), ...privatePromises],
})

/** Pages that are to come back, for some of which there may be no memory. */
export const migrateBack = scenario({
  id: "driver/test-hmm/migrate-back",
  summary:
    "two pages in the device's memory are migrated back and read by a thread, while others take one of two pages that are free",
  setup: () =>
    dmirrorWorld({
      pages: 2,
      cpus: 1,
      uses: ["migrate-back"],
      spare: 0,
      inDevice: 2,
      thread: ({ mm }, cpu) => Effect.forEach([0, 1], (va) => Effect.ignore(userLoad(mm, cpu, va))),
      others: ({ mm }) => ({ others: step("alloc_page", () => folioAllocUncharged(mm.system.folios)) }),
    }),
  // What the others have taken is nobody's mapping.
  properties: [...dmirrorProperties.filter(({ id }) => id !== "MIRROR-NO-REF"), ...privatePromises],
})

/** Exclusive access, which a zap does not wait for. */
export const exclusive = define(
  "exclusive",
  "the device gets a page for itself while a thread of the process drops, protects or shares it",
  { invalidations: invalidations(1) },
  (bound) => ({
    pages: 1,
    cpus: bound.invalidations,
    uses: ["exclusive"],
    calls: ["madvise(MADV_DONTNEED)", "mprotect(PROT_READ)", "fork"],
  }),
  dmirrorPromises,
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
