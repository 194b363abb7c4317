import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import { type DevPagemap, driverPgmaps } from "../../../model/deviceMemory/pgmap.ts"
import {
  type Dmirror,
  dmirrorFopsOpen,
  dmirrorFopsRelease,
  dmirrorOf,
  dmirrorRead,
  dmirrorWrite,
} from "../../../model/driver/testHmm.ts"
import { dmirrorDevice } from "../../../model/driver/testHmmDevice.ts"
import { dmirrorExclusive } from "../../../model/driver/testHmmExclusive.ts"
import { dmirrorMigrateToDevice, dmirrorMigrateToSystem, migrationOf } from "../../../model/driver/testHmmMigrate.ts"
import { dmirrorSnapshot, type Snapshot, snapshotOf } from "../../../model/driver/testHmmSnapshot.ts"
import { folioOf, frameOf } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { type NotifierSubscriptions, treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, type Process, processOf } from "../calls.ts"
import { type Installs, recordInstalls } from "../installs.ts"
import { type Locking, recordLocking } from "../locksHeld.ts"
import { intervalSteps, recordWindows, type Windows } from "../windows.ts"
import { type DmirrorRecord, recordDmirror } from "./record.ts"

/** What the properties and seeded bugs of the self tests' driver see. */
export interface DmirrorWorld {
  readonly mm: Mm
  /** The address space of the child, if the process forks. */
  readonly child: Mm
  readonly subs: NotifierSubscriptions
  readonly dmirror: Dmirror
  readonly snapshot: Snapshot | undefined
  readonly uses: ReadonlyArray<Use>
  /** The threads of the process, by their CPUs. */
  readonly threads: ReadonlyArray<string>
  readonly windows: Windows
  readonly record: DmirrorRecord
  readonly installs: Installs
  readonly locking: Locking
}

export interface Shape {
  readonly pages: number
  /** CPUs with threads of the process. */
  readonly cpus: number
  /** What a thread does; by default it invalidates with a system call. */
  readonly thread?: (process: Process, cpu: string) => Effect.Effect<unknown, unknown>
  /** Which calls invalidate; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /** The tasks that use the device: the process may be gone meanwhile, as the file may be shared. */
  readonly uses: ReadonlyArray<Use>
  /** How many pages of system memory are free; two by default. */
  readonly spare?: number
  /** How many pages, the first ones, are in the device's memory, whoever had its file open. */
  readonly inDevice?: number
  /** Who else is there. */
  readonly others?: (process: Process) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/**
 * One `ioctl`, at the last page; `session` opens the file, writes and closes it, else it is open from the beginning;
 * `migrate-back` is of all pages; `reads` reads the first page, the second one, and the first one again.
 */
export type Use = "read" | "reads" | "write" | "snapshot" | "migrate" | "migrate-back" | "exclusive" | "session"

/** The driver's steps that look at the device's page table or change it, but for the end of the file. */
const usesOfTable = [
  "dmirror_do_update",
  "dmirror_do_fault",
  "dmirror_do_read",
  "dmirror_do_write",
  "dmirror_migrate_finalize_and_map",
  "dmirror_atomic_map",
]

/** A process whose memory the device mirrors, and threads of it that invalidate. */
export const dmirrorWorld = (shape: Shape): Setup<DmirrorWorld> => {
  const { pages, uses } = shape
  const cpus = names("cpu", shape.cpus)
  const process = processOf({
    pages,
    cpus,
    users: cpus.length === 0 ? 1 : 0,
    spare: shape.spare ?? 2,
    devices: [{ name: "devmem", type: "private", owner: "mdevice", pages: shape.inDevice ?? 1 }],
  })
  const { mm } = process
  const [memory] = driverPgmaps(mm.system.folios)
  if (memory === undefined) throw new RangeError("the device has no memory")
  const dmirror = dmirrorOf(mm, "dmirror", dmirrorDevice(mm.system, memory))
  const snapshot = uses.includes("snapshot") ? snapshotOf(dmirror, { start: 0, end: pages }) : undefined
  for (const va of pagesOf({ start: 0, end: shape.inDevice ?? 0 })) moveToDevice(mm, memory, va)
  if (shape.inDevice === undefined && !uses.includes("session")) treeInsert(mm.subscriptions, dmirror.name)
  const va = pages - 1
  const fibers = {
    ...Object.fromEntries(
      cpus.map(
        (cpu, position) => [cpu, shape.thread?.(process, cpu) ?? invalidator(process, position, shape.calls)] as const,
      ),
    ),
    ...Object.fromEntries(uses.map((use) => [use, useOf(dmirror, snapshot, va, use)] as const)),
    ...shape.others?.(process),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), intervalSteps)
  const record = recordDmirror(dmirror, "snapshot")
  // Those that map the last page and no other.
  const mapping = uses.filter((use) => use === "read" || use === "write" || use === "migrate" || use === "exclusive")
  const maps = () => at(dmirror.pt, va).value !== null
  const installs = recordInstalls(mapping, "mmu_interval_read_retry", "mutex_unlock", maps)
  const locking = recordLocking(
    Object.fromEntries(usesOfTable.map((name) => [name, ({ fiber }) => dmirror.mutex.state.holder === fiber])),
  )
  return {
    world: {
      mm,
      child: process.child,
      subs: mm.subscriptions,
      dmirror,
      snapshot,
      uses,
      threads: cpus,
      windows,
      record,
      installs,
      locking,
    },
    fibers,
    monitors: [monitor, record.monitor, installs.monitor, locking.monitor],
  }
}

/** What a migration of a page leaves behind. */
const moveToDevice = (mm: Mm, memory: DevPagemap, va: number): void => {
  const { folios } = mm.system
  const pte = at(mm.pte, va)
  const from = mappedPage(pte.value)
  const folio = folios.arena.allocate(({ index }) => folios.pgmaps.get(index) === memory)
  if (from === null || folio === undefined) throw new RangeError("there is no page to be moved")
  memory.state.refs++
  const { refcount, mapcount, anonExclusive, memcg, mapping, offset, dirty, content } = folioOf(folios, from)
  Object.assign(folio, { refcount, mapcount, anonExclusive, memcg, mapping, offset, dirty, content })
  pte.value = { kind: "private", page: frameOf(folio), write: true }
  for (const tlb of mm.tlbs.values()) at(tlb, va).value = null
  folios.arena.free(folioOf(folios, from))
}

const useOf = (
  dmirror: Dmirror,
  snapshot: Snapshot | undefined,
  va: number,
  use: Use,
): Effect.Effect<unknown, unknown> => {
  const page = { start: va, end: va + 1 }
  switch (use) {
    case "read":
      return dmirrorRead(dmirror, page)
    case "reads":
      return Effect.forEach([0, 1, 0], (start) => dmirrorRead(dmirror, { start, end: start + 1 }))
    case "write":
      return dmirrorWrite(dmirror, va, ["device"])
    case "snapshot":
      return snapshot === undefined ? Effect.void : dmirrorSnapshot(snapshot)
    case "migrate":
      return dmirrorMigrateToDevice(migrationOf(dmirror, page))
    case "migrate-back":
      return dmirrorMigrateToSystem(dmirror, { start: 0, end: dmirror.mm.pages })
    case "exclusive":
      return dmirrorExclusive(dmirror, page)
    case "session":
      return dmirrorFopsOpen(dmirror).pipe(
        Effect.andThen(dmirrorWrite(dmirror, va, ["device"])),
        Effect.andThen(dmirrorFopsRelease(dmirror)),
      )
  }
}
