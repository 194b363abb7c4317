/** Races of more than two operations, or on machines of a special kind: where a bug needs more than a pair. */
import * as Effect from "effect/Effect"
import { type Scenario, scenario, step } from "../../../checker/index.ts"
import { getUserPages, putUserPage, setPageDirty, storeThrough } from "../../../model/mm/gup.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { operations } from "../operations.ts"
import { entries, type Spec } from "../properties/places.ts"
import { mmProperties } from "../properties.ts"
import { type Machine, type MmWorld, type Operation, type PageKind, page, race } from "../world.ts"

/** An operation of the matrix. */
const the = (id: string): Operation => {
  const found = operations.find((operation) => operation.id === id)
  if (found === undefined) throw new RangeError(`there is no operation ${id}`)
  return found
}

const raceOf = (
  id: string,
  summary: string,
  kinds: ReadonlyArray<PageKind>,
  racing: ReadonlyArray<Operation>,
  machine: Omit<Machine, "devices"> = {},
  more: ReadonlyArray<Spec> = [],
): Scenario<MmWorld> =>
  scenario({
    id: `mm/races/${id}`,
    summary,
    parameters: {
      devices: { description: "devices that mirror the process and access the page once", default: 0, min: 0, max: 2 },
    },
    setup: ({ devices }) => race(kinds, racing, { ...machine, devices }),
    properties: [...mmProperties, ...more],
  })

/** A debugger stores to a page that its process may not store to: /proc/self/mem, ptrace (mm/memory.c: __access_remote_vm). */
const forcedWrite: Operation = {
  id: "access-remote-vm",
  actor: "ptrace",
  pages: ["readonly"],
  run: Effect.fnUntraced(function* ({ system, parent }, fiber) {
    const got = yield* getUserPages(parent, page, { write: true, pin: false, force: true })
    yield* storeThrough(system, got, fiber, "__access_remote_vm: copy_to_user_page")
    yield* setPageDirty(system, got)
    yield* putUserPage(system, got)
  }),
}

/** The child puts its page into a pipe, unmaps it, and reads the pipe later (fs/splice.c: vmsplice_to_pipe). */
const vmsplice: Operation = {
  id: "vmsplice",
  actor: "child",
  pages: ["cow"],
  run: Effect.fnUntraced(function* ({ system, child }) {
    const got = yield* getUserPages(child, page, { write: false, pin: false })
    yield* munmap(child, { start: page, end: page + 1 })
    yield* step("read(pipe)", [got.frame?.pfn ?? "zero page"], () => undefined)
    yield* putUserPage(system, got)
  }),
}

/** Another process stores to a page of its own: it gets the first page that is free. */
const stranger: Operation = { ...the("child-store"), id: "stranger-store" }

export const dirtyCow = raceOf(
  "forced-write+madvise",
  "a debugger stores to a private page of a file, and the process gives it up",
  ["readonly"],
  [forcedWrite, the("madvise-dontneed")],
)

export const vmspliceAndStore = raceOf(
  "vmsplice+store",
  "a child holds a reference to a page that it no longer maps, and the parent stores there",
  ["cow"],
  [vmsplice, the("store")],
)

export const forkAndPin = raceOf(
  "fork+pin+store",
  "a process forks while a thread pins a page for a device and another stores there",
  ["anon"],
  [the("fork"), the("pin-fast-write"), the("store")],
)

export const forkAndFault = raceOf(
  "fork+fault+store",
  "a process forks while a thread without a translation and one that has it store to a page",
  ["anon"],
  [the("fork"), the("store"), the("store")],
  { cold: [1] },
)

export const recycledPage = raceOf(
  "pin+munmap+stranger",
  "a page is pinned without locks while it is unmapped and another process gets it",
  ["anon"],
  [the("pin-fast-write"), the("munmap"), stranger],
  { stranger: true },
)

export const hintAndMigrate = raceOf(
  "numa-hint+migrate+store",
  "a page gets a NUMA hint and is moved while it is stored to through a TLB",
  ["anon"],
  [the("numa-hint"), the("migrate"), the("store")],
)

export const hintAndPin = raceOf(
  "pin+numa-hint+store",
  "a page that is pinned gets a NUMA hint and is stored to",
  ["anon"],
  [the("pin-fast-write"), the("numa-hint"), the("store")],
)

export const twoSwapIns = raceOf(
  "swap-in+store+reclaim",
  "a page is swapped in twice at once, and swapped out again in between",
  ["swap"],
  [the("load"), the("store"), the("madvise-pageout")],
)

export const storeAndMigrate = raceOf(
  "store+migrate+reclaim",
  "a page that was swapped in is stored to, moved and reclaimed",
  ["swapcache"],
  [the("store"), the("migrate"), the("madvise-pageout")],
)

export const storeAndProtect = raceOf(
  "store+mprotect+reclaim",
  "a page that was swapped in is stored to while its entry changes, and reclaimed",
  ["swapcache"],
  [the("store"), the("mprotect"), the("madvise-pageout")],
)

export const lazyFree = raceOf(
  "pin+lazyfree-reclaim",
  "a device fills a page that the process has given to MADV_FREE, and memory is short",
  ["lazyfree"],
  [the("pin-fast-write"), the("reclaim")],
)

export const truncatedUnmapped = raceOf(
  "store+truncate",
  "a private copy of a page of a file is made while the file is truncated",
  ["cached"],
  [the("store"), the("truncate")],
)

/** Whoever meets a migration entry sleeps without a reference: it would keep the page from being moved. */
const waitersLetMove: Spec = {
  kind: "atEnd",
  id: "MIG-WAITERS-LET-MOVE",
  statement: "A page that nobody uses but by its address is moved, however many wait for that.",
  source: "mm/migrate.c: migration_entry_wait_on_locked; commit ffa65753c431",
  holds: (world) => entries(world).every(({ pte }) => pte.kind !== "present" || pte.page.pfn !== firstPage),
  explain: () => "The page is where it was.",
}

/** Where the page is at the beginning. */
const firstPage = 0

export const migrationWait = raceOf(
  "migrate+loads",
  "a page is moved while two threads load from it",
  ["anon"],
  [the("migrate"), the("load"), the("load")],
  {},
  [waitersLetMove],
)

export const races: ReadonlyArray<Scenario<MmWorld>> = [
  dirtyCow,
  vmspliceAndStore,
  forkAndPin,
  forkAndFault,
  recycledPage,
  hintAndMigrate,
  hintAndPin,
  twoSwapIns,
  storeAndMigrate,
  storeAndProtect,
  lazyFree,
  truncatedUnmapped,
  migrationWait,
]
