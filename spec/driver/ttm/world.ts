import * as Effect from "effect/Effect"
import { type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import { submitJob, type TtmDevice, ttmDevice } from "../../../model/driver/ttm.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { zeroes } from "../../../model/mm/folio.ts"
import { getUserPages, putUserPage, storeThrough } from "../../../model/mm/gup.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
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

/** What the properties and seeded bugs of buffer objects see. */
export interface TtmWorld {
  readonly device: TtmDevice
  /** Processes, each of which maps one object as its page 0. */
  readonly mms: ReadonlyArray<Mm>
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
  const processes = names("mm", shape.processes)
  // Each object has a page of the system's, besides the device's memory.
  const machine = system({ folios: 1 + shape.objects, cgroups: ["gpu", ...processes], pagesPerTable: 1 })
  const device = ttmDevice(machine, "gpu", shape.objects)
  const mms = processes.map((name) => addressSpace(machine, name, 1, [cpu]))
  const objectOf = (mm: string) => processes.indexOf(mm) % shape.objects
  for (const mm of mms) {
    at(mm.vma, 0).value = { ...anonymous, shared: true, accounted: false, file: "gpu", pgoff: objectOf(mm.name) }
  }
  const record = struct<TtmRecord>("record", {
    contents: device.objects.map(() => zeroes),
    lost: false,
  })
  const [first] = mms
  const fibers = {
    ...Object.fromEntries(mms.map((mm) => [`thread.${mm.name}`, storeAndLoad(mm)])),
    ...fibersNamed("submit", shape.jobs, (by) => {
      const object = device.objects[(shape.objects - 1 + Number(by.at(-1))) % shape.objects]
      return object === undefined ? Effect.void : submitJob(device, object, by)
    }),
    ...fibersNamed("munmap", first === undefined ? 0 : (shape.unmaps ?? 0), () =>
      first === undefined ? Effect.void : Effect.ignore(munmap(first, { start: 0, end: 1 })),
    ),
    ...fibersNamed("dio", first === undefined ? 0 : (shape.transfers ?? 0), (by) =>
      first === undefined ? Effect.void : transfer(first, by),
    ),
  }
  return { world: { device, mms, record }, fibers, monitors: [monitor(record, objectOf)] }
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

const monitor = (record: Struct<TtmRecord>, objectOf: (mm: string) => number): Monitor => {
  const stored = (object: number, content: string) => {
    record.contents = record.contents.map((before, index) => (index === object ? content : before))
  }
  return {
    user_store: ({ args, result }) => {
      if (typeof result === "string") stored(objectOf(String(args[0])), result)
    },
    user_load: ({ args, result }) => {
      if (typeof result === "string" && result !== record.contents[objectOf(String(args[0]))]) record.lost = true
    },
    gpu_store: ({ args }) => stored(Number(String(args[0]).slice("bo".length)), String(args[1])),
  }
}
