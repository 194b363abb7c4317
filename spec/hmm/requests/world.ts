/** A device that asks HMM for two pages, each in its own way, and threads of its process that invalidate. */
import * as Effect from "effect/Effect"
import { choose, type Setup } from "../../../checker/index.ts"
import { mirrorDevice } from "../../../model/driver/mirror.ts"
import { mirrorFaultTimeout } from "../../../model/driver/mirrorUnlockable.ts"
import { type WindowMirror, windowFault, windowMirror } from "../../../model/driver/windowMirror.ts"
import { mmgetNotZero, mmput } from "../../../model/mm/exit.ts"
import { migratePage } from "../../../model/mm/migrate.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { oomReapTask } from "../../../model/mm/oomReaper.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../../driver/calls.ts"
import { intervalSteps, recordWindows, type Windows } from "../../driver/windows.ts"
import { toDeviceMemory } from "../deviceMemory.ts"
import { type RequestsRecord, recordRequests } from "./record.ts"
import { wishes, wishNamed } from "./wishes.ts"

/** What the properties and seeded bugs see. */
export interface RequestsWorld {
  readonly mm: Mm
  readonly device: WindowMirror
  readonly windows: Windows
  readonly record: RequestsRecord
}

export interface Shape {
  readonly cpus: number
  readonly calls: ReadonlyArray<Call>
  /** Whether they are about the second page alone. */
  readonly lastPage?: boolean
  /** How many pages the device asks HMM for at once. */
  readonly chunk: number
  /** In which ways it asks, by position; all by default. */
  readonly wishes?: ReadonlyArray<number>
  /** Whose private memory the second page lies in, if it does: `card0` is the device's own. */
  readonly owner?: "card0" | "card1"
  /** Whether the second page is moved. */
  readonly migrates?: boolean
  /** Whether the OOM reaper comes. */
  readonly reaper?: boolean
  /** Whether HMM has `mmap_lock` to itself and a time to be done, and wants all pages for storing. */
  readonly timeout?: boolean
}

const device0 = "gpu0"

export const requestsWorld = (shape: Shape): Setup<RequestsWorld> => {
  const cpus = names("cpu", shape.cpus)
  const { owner } = shape
  const devices = owner === undefined ? [] : [{ name: "vram", type: "private" as const, owner, pages: 1 }]
  const process = processOf({
    pages: 2,
    cpus,
    spare: 3,
    devices,
    users: shape.reaper === true || cpus.length === 0 ? 1 : 0,
  })
  const { mm } = process
  if (owner !== undefined) toDeviceMemory(process.mm, 1)
  const device = windowMirror(mirrorDevice(mm, device0, { start: 0, end: 2 }), shape.chunk)
  treeInsert(mm.subscriptions, device0)
  const fibers = {
    ...Object.fromEntries(
      cpus.map((cpu) => [cpu, invalidator(process, shape.lastPage === true ? 1 : 0, shape.calls)] as const),
    ),
    ...(shape.migrates === true ? { kcompactd: migratePage(mm, 1) } : {}),
    ...(shape.reaper === true ? { oom_reaper: oomReapTask(mm) } : {}),
    [device0]: shape.timeout === true ? faultsInTime(device) : faults(device, shape.wishes),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), intervalSteps)
  const record = recordRequests(device)
  return { world: { mm, device, windows, record }, fibers, monitors: [monitor, record.monitor] }
}

const faults = Effect.fnUntraced(function* (device: WindowMirror, some: Shape["wishes"]) {
  const possible = some === undefined ? wishes : some.flatMap((position) => wishes[position] ?? [])
  const name = yield* choose(
    "wish",
    possible.map((wish) => wish.name),
  )
  yield* windowFault(device, { ...wishNamed(name), owner: "card0" })
})

const faultsInTime = Effect.fnUntraced(function* (device: WindowMirror) {
  if (!(yield* mmgetNotZero(device.mm))) return
  yield* mirrorFaultTimeout(device, true)
  yield* mmput(device.mm)
})
