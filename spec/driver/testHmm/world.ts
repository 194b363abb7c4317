import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import {
  type Dmirror,
  dmirrorFopsOpen,
  dmirrorFopsRelease,
  dmirrorOf,
  dmirrorRead,
  dmirrorSnapshot,
  dmirrorWrite,
  type Snapshot,
  snapshotOf,
} from "../../../model/driver/testHmm.ts"
import { dmirrorMigrateToDevice, migrationOf } from "../../../model/driver/testHmmMigrate.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { type NotifierSubscriptions, treeInsert } from "../../../model/notifier/interval.ts"
import { type Call, invalidator, type Process, processOf } from "../calls.ts"
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
  readonly windows: Windows
  readonly record: DmirrorRecord
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
  /** Who else is there. */
  readonly others?: (process: Process) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/**
 * One `ioctl`, at the last page; `session` opens the file, writes and closes it, else it is open from the beginning;
 * `reads` reads the first page, the second one, and the first one again.
 */
export type Use = "read" | "reads" | "write" | "snapshot" | "migrate" | "session"

/** A process whose memory the device mirrors, and threads of it that invalidate. */
export const dmirrorWorld = (shape: Shape): Setup<DmirrorWorld> => {
  const { pages, uses } = shape
  const cpus = Array.from({ length: shape.cpus }, (_, i) => `cpu${i}`)
  const process = processOf({ pages, cpus, users: cpus.length === 0 ? 1 : 0 })
  const { mm } = process
  const dmirror = dmirrorOf(mm, "dmirror")
  const snapshot = uses.includes("snapshot") ? snapshotOf(dmirror, { start: 0, end: pages }) : undefined
  if (!uses.includes("session")) treeInsert(mm.subscriptions, dmirror.name)
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
  return {
    world: { mm, child: process.child, subs: mm.subscriptions, dmirror, snapshot, uses, windows, record },
    fibers,
    monitors: [monitor, record.monitor],
  }
}

const useOf = (
  dmirror: Dmirror,
  snapshot: Snapshot | undefined,
  va: number,
  use: Use,
): Effect.Effect<unknown, unknown> => {
  switch (use) {
    case "read":
      return dmirrorRead(dmirror, va)
    case "reads":
      return Effect.forEach([0, 1, 0], (page) => dmirrorRead(dmirror, page))
    case "write":
      return dmirrorWrite(dmirror, va, "device")
    case "snapshot":
      return snapshot === undefined ? Effect.void : dmirrorSnapshot(snapshot)
    case "migrate":
      return dmirrorMigrateToDevice(migrationOf(dmirror, va))
    case "session":
      return dmirrorFopsOpen(dmirror).pipe(
        Effect.andThen(dmirrorWrite(dmirror, va, "device")),
        Effect.andThen(dmirrorFopsRelease(dmirror)),
      )
  }
}
