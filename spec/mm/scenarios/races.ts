/** Processes and kernel threads that race for one page, where a bug needs more than two of them. */
import * as Effect from "effect/Effect"
import { step } from "../../../checker/index.ts"
import { filemapRemoveFolio } from "../../../model/file/inode.ts"
import { userStore } from "../../../model/mm/access.ts"
import { folioOf, folioPut } from "../../../model/mm/folio.ts"
import { getUserPages, putUserPage, setPageDirty, storeThrough } from "../../../model/mm/gup.ts"
import { mremap } from "../../../model/mm/mremap.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { operation } from "../operations.ts"
import { otherPage, page, prepare } from "../pages.ts"
import { entries, type Spec } from "../properties/places.ts"
import type { Operation } from "../world.ts"
import { raceOf } from "./race.ts"

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
const stranger: Operation = { ...operation("child-store"), id: "stranger-store" }

export const dirtyCow = raceOf({
  name: "forced-write+madvise",
  summary: "a debugger stores to a private page of a file, and the process gives it up",
  pages: ["readonly"],
  operations: [forcedWrite, operation("madvise-dontneed")],
})

export const forcedWriteAndUnmap = raceOf({
  name: "forced-write+munmap",
  summary: "a debugger stores to a private page of a file, and the process unmaps it",
  pages: ["readonly"],
  operations: [forcedWrite, operation("munmap")],
})

export const vmspliceAndStore = raceOf({
  name: "vmsplice+store",
  summary: "a child holds a reference to a page that it no longer maps, and the parent stores there",
  pages: ["cow"],
  operations: [vmsplice, operation("store")],
})

export const forkAndPin = raceOf({
  name: "fork+pin+store",
  summary: "a process forks while a thread pins a page for a device and another stores there",
  pages: ["anon"],
  operations: [operation("fork"), operation("pin-fast-write"), operation("store")],
})

export const forkAndFault = raceOf({
  name: "fork+fault+store",
  summary: "a process forks while a thread without a translation and one that has it store to a page",
  pages: ["anon"],
  operations: [operation("fork"), operation("store"), operation("store")],
  cold: [1],
})

export const recycledPage = raceOf({
  name: "pin+munmap+stranger",
  summary: "a page is pinned without locks while it is unmapped and another process gets it",
  pages: ["anon"],
  operations: [operation("pin-fast-write"), operation("munmap"), stranger],
  stranger: true,
})

export const hintAndMigrate = raceOf({
  name: "numa-hint+migrate+store",
  summary: "a page gets a NUMA hint and is moved while it is stored to through a TLB",
  pages: ["anon"],
  operations: [operation("numa-hint"), operation("migrate"), operation("store")],
})

export const hintAndPin = raceOf({
  name: "pin+numa-hint+store",
  summary: "a page that is pinned gets a NUMA hint and is stored to",
  pages: ["anon"],
  operations: [operation("pin-fast-write"), operation("numa-hint"), operation("store")],
})

export const twoSwapIns = raceOf({
  name: "swap-in+store+reclaim",
  summary: "a page is swapped in twice at once, and swapped out again in between",
  pages: ["swap"],
  operations: [operation("load"), operation("store"), operation("madvise-pageout")],
})

export const storeAndMigrate = raceOf({
  name: "store+migrate+reclaim",
  summary: "a page that was swapped in is stored to, moved and reclaimed",
  pages: ["swapcache"],
  operations: [operation("store"), operation("migrate"), operation("madvise-pageout")],
})

export const storeAndProtect = raceOf({
  name: "store+mprotect+reclaim",
  summary: "a page that was swapped in is stored to while its entry changes, and reclaimed",
  pages: ["swapcache"],
  operations: [operation("store"), operation("mprotect"), operation("madvise-pageout")],
})

export const storeAndFork = raceOf({
  name: "store+fork+reclaim",
  summary: "a page that was swapped in is stored to while fork shares it, and reclaimed",
  pages: ["swapcache"],
  operations: [operation("store"), operation("fork"), operation("madvise-pageout")],
})

export const lazyFree = raceOf({
  name: "pin+lazyfree-reclaim",
  summary: "a device fills a page that the process has given to MADV_FREE, and memory is short",
  pages: ["lazyfree"],
  operations: [operation("pin-fast-write"), operation("reclaim")],
})

export const truncatedUnmapped = raceOf({
  name: "store+truncate",
  summary: "a private copy of a page of a file is made while the file is truncated",
  pages: ["cached"],
  operations: [operation("store"), operation("truncate")],
})

export const readIn = raceOf({
  name: "loads-read-in",
  summary: "two threads load from a page of a file that is not in the page cache",
  pages: ["cached"],
  operations: [operation("load"), operation("load")],
  layOut: ({ system, file }) => {
    for (const { value: cached } of file.cache) {
      if (cached === null) continue
      filemapRemoveFolio(system, folioOf(system.folios, cached))
      folioPut(system.folios, cached)
    }
  },
})

/** A CPU has the translation, and its thread does not run: the OOM reaper is alone with what others have left. */
export const loneReap = raceOf({
  name: "oom-reap",
  summary: "the OOM reaper takes a page of which a TLB has the translation, and a device hears of it",
  pages: ["anon"],
  operations: [operation("oom-reap")],
  devices: 1,
  watching: true,
})

/** Two read under the lock of an area that a third waits to change. */
export const faultsAndUnmap = raceOf({
  name: "loads+munmap",
  summary: "two threads fault on a page at once, and a third unmaps it",
  pages: ["none"],
  operations: [operation("load"), operation("load"), operation("munmap")],
})

/** Half of the area goes, with `mmap_lock` held for read. */
export const shrink = raceOf({
  name: "shrink+store+reap",
  summary: "a process shrinks its area while a thread stores to what goes, and the OOM reaper takes it too",
  pages: ["anon"],
  operations: [
    {
      id: "mremap-shrink",
      actor: "cpu",
      pages: ["anon"],
      run: ({ parent }) => mremap(parent, { start: page, end: otherPage + 1 }, 1),
    },
    { ...operation("store"), id: "store-behind", run: ({ parent }, cpu) => userStore(parent, cpu, otherPage, cpu) },
    operation("oom-reap"),
  ],
  layOut: (world) => prepare(world, otherPage, "anon"),
})

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

export const migrationWait = raceOf({
  name: "migrate+loads",
  summary: "a page is moved while two threads load from it",
  pages: ["anon"],
  operations: [operation("migrate"), operation("load"), operation("load")],
  properties: [waitersLetMove],
})
