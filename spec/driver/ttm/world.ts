import * as Effect from "effect/Effect"
import { type Monitor, type Plain, type Setup, type Struct, struct } from "../../../checker/index.ts"
import { type BufferObject, objectAt, submitJob, type TtmDevice, ttmDevice } from "../../../model/driver/ttm.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { zeroes } from "../../../model/mm/folio.ts"
import { getUserPages, putUserPage, storeThrough } from "../../../model/mm/gup.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { mmOf } from "../../../model/mm/rmap.ts"
import { system } from "../../../model/mm/system.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { anonymous } from "../../../model/mm/vma.ts"
import { fibersNamed, names } from "../../define.ts"

/** What is remembered of a run. */
export type TtmRecord = {
  /** What each object holds: stored last, by a process or by the device. */
  contents: ReadonlyArray<string>
  /** A load returned something else. */
  lost: boolean
}

/** A process, and the object that it maps as its page 0. */
export interface Process {
  readonly mm: Mm
  readonly bo: BufferObject
}

/** What the properties and seeded bugs of buffer objects see. */
export interface TtmWorld {
  readonly device: TtmDevice
  readonly processes: ReadonlyArray<Process>
  readonly record: Struct<TtmRecord>
}

export interface Shape {
  readonly objects: number
  /** Processes that store to an object, to one after the other, and load. */
  readonly processes: number
  /** Jobs that are submitted, to one object after the other, the last one first. */
  readonly jobs: number
  /** Whether the first process unmaps its object in another thread. */
  readonly unmaps?: number
  /** Devices that ask for the page of the first process, to write to it. */
  readonly transfers?: number
}

const cpu = "cpu"

/** A GPU whose memory has room for one object, and processes that map its objects. */
export const ttmWorld = (shape: Shape): Setup<TtmWorld> => {
  const mms = names("mm", shape.processes)
  // Each object has a page of the system's, besides the device's memory.
  const machine = system({ folios: 1 + shape.objects, cgroups: ["gpu", ...mms], pagesPerTable: 1 })
  const device = ttmDevice(machine, "gpu", shape.objects)
  const processes = mms.map((name, i): Process => {
    const mm = addressSpace(machine, name, 1, [cpu])
    const bo = objectAt(device.objects, i % shape.objects)
    at(mm.vma, 0).value = { ...anonymous, shared: true, accounted: false, file: "gpu", pgoff: bo.index }
    return { mm, bo }
  })
  const record = struct<TtmRecord>("record", { contents: device.objects.map(() => zeroes), lost: false })
  const first = mmOf(machine, "mm0")
  const fibers = {
    ...Object.fromEntries(processes.map(({ mm }) => [`thread.${mm.name}`, storeAndLoad(mm)])),
    ...fibersNamed("submit", shape.jobs, (by) => {
      const behind = Number(by.at(-1)) % shape.objects
      return submitJob(device, objectAt(device.objects, (shape.objects - 1 + behind) % shape.objects), by)
    }),
    ...fibersNamed("munmap", shape.unmaps ?? 0, () => Effect.ignore(munmap(first, { start: 0, end: 1 }))),
    ...fibersNamed("dio", shape.transfers ?? 0, (by) => transfer(first, by)),
  }
  return { world: { device, processes, record }, fibers, monitors: [monitor(record, device, processes)] }
}

const storeAndLoad = (mm: Mm): Effect.Effect<void> =>
  Effect.ignore(Effect.andThen(userStore(mm, cpu, 0, mm.name), userLoad(mm, cpu, 0)))

/** Direct I/O, or any device that is to write to memory of the process. */
const transfer = (mm: Mm, by: string): Effect.Effect<void> =>
  Effect.ignore(
    Effect.gen(function* () {
      const page = yield* getUserPages(mm, 0, { write: true, pin: true })
      yield* storeThrough(mm.system, page, by)
      yield* putUserPage(mm.system, page)
    }),
  )

const monitor = (record: Struct<TtmRecord>, { objects }: TtmDevice, processes: ReadonlyArray<Process>): Monitor => {
  const ofProcess = new Map(processes.map(({ mm, bo }) => [mm.name, bo.index]))
  const ofObject = new Map(objects.map(({ name, index }) => [name, index]))
  const stored = (object: number | undefined, content: Plain) => {
    record.contents = record.contents.map((before, index) => (index === object ? String(content) : before))
  }
  return {
    user_store: ({ args, result }) => {
      if (result !== null) stored(ofProcess.get(String(args[0])), result)
    },
    user_load: ({ args, result }) => {
      if (result !== null && result !== record.contents[ofProcess.get(String(args[0])) ?? -1]) record.lost = true
    },
    gpu_store: ({ args: [object, content] }) => stored(ofObject.get(String(object)), content),
  }
}
