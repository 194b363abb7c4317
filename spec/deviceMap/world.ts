import * as Effect from "effect/Effect"
import { assert, choose, type Setup, type Struct, step } from "../../checker/index.ts"
import { deviceAccess, userAccess } from "../../model/deviceMap/access.ts"
import { type BlockDevice, block, blockDevice, takeBlock } from "../../model/deviceMap/blockDevice.ts"
import {
  type Device,
  device,
  type MappedFile,
  mappedFile,
  type Process,
  process,
} from "../../model/deviceMap/mappedFile.ts"
import {
  moveWindow,
  munmapMapped,
  punchMapped,
  relocateMapped,
  shrinkDevice,
  truncateMapped,
} from "../../model/deviceMap/revokers.ts"
import { fibersNamed, names } from "../define.ts"
import { type DeviceMapRecord, deviceMapMonitor, deviceMapRecord } from "./record.ts"

/** What the properties and seeded bugs of device mappings see. */
export interface DeviceMapWorld {
  readonly bdev: BlockDevice
  readonly file: MappedFile
  readonly record: Struct<DeviceMapRecord>
  /** The fibers that are threads of processes. */
  readonly threads: ReadonlyArray<string>
}

/** Who revokes. */
export const allRevokers = ["ftruncate", "fallocate", "writeback", "BAR", "shrinker", "munmap"] as const
export type Revoker = (typeof allRevokers)[number]

export interface Shape {
  /** Devices, each of a process of its own, and how often each loads or stores. */
  readonly devices: number
  readonly accesses: number
  /** Processes, of those, whose threads load or store once. */
  readonly cpus?: number
  /** How often somebody revokes, and who may. */
  readonly revocations?: number
  readonly revokers?: ReadonlyArray<Revoker>
  /** Other files that take a block and are written to. */
  readonly others?: number
  readonly coherent?: number
  readonly windows?: number
  /** The file's name; that of a device if its driver has implemented the callbacks. */
  readonly name?: string
}

const other = "other"

/** A file of one page in a block, a free block, and devices that work on processes that map the file. */
export const deviceMapWorld = (shape: Shape): Setup<DeviceMapWorld> => {
  const name = shape.name ?? "data"
  const bdev = blockDevice("nvme0", 2, shape.windows ?? 1)
  const processes = names("mm", shape.devices).map(process)
  const devices = processes.map((each, i) => device(`gpu${i}`, each))
  const file = mappedFile({
    name,
    bdev,
    coherent: shape.coherent === 1,
    processes,
    devices,
    block: takeBlock(bdev, name),
  })
  block(bdev, 0).content = "file"
  const record = deviceMapRecord("file")
  const runners = processes.slice(0, shape.cpus ?? 0)
  const fibers = {
    ...Object.fromEntries(devices.map((device) => [device.name, works(file, device, shape.accesses)])),
    ...Object.fromEntries(runners.map((process) => [thread(process), runs(file, process)])),
    ...fibersNamed("kernel", shape.revocations ?? 0, () => revokes(file, shape.revokers ?? allRevokers)),
    ...fibersNamed("other", shape.others ?? 0, () => otherFile(bdev)),
  }
  const threads = runners.map(thread)
  return { world: { bdev, file, record, threads }, fibers, monitors: [deviceMapMonitor(record, file)] }
}

const works = Effect.fnUntraced(function* (file: MappedFile, device: Device, accesses: number) {
  for (let i = 0; i < accesses; i++) {
    const access = yield* choose("access", ["load", "store"])
    const { by } = yield* deviceAccess(file, device, access === "load" ? null : `${device.name}.${i}`)
    yield* step("device_access: done", [device.name, by], () => undefined)
  }
})

const runs = Effect.fnUntraced(function* (file: MappedFile, process: Process) {
  const access = yield* choose("access", ["load", "store"])
  yield* userAccess(file, process, access === "load" ? null : process.name)
})

const revokes = Effect.fnUntraced(function* (file: MappedFile, revokers: ReadonlyArray<Revoker>) {
  const by = yield* choose("revoker", revokers)
  const [device] = file.devices
  if (by === "ftruncate") yield* truncateMapped(file)
  if (by === "fallocate") yield* punchMapped(file)
  if (by === "writeback") yield* relocateMapped(file)
  if (by === "BAR") yield* moveWindow(file, 0, 1)
  if (by === "shrinker" && device !== undefined) yield* shrinkDevice(file, device)
  if (by === "munmap" && device !== undefined) yield* munmapMapped(file, device.process)
})

/** Another file gets a block, if there is one, and is written to. */
const otherFile = Effect.fnUntraced(function* (bdev: BlockDevice) {
  const taken = yield* step("other: allocate", [], () => takeBlock(bdev, other))
  if (taken === null) return
  yield* step("other: write", [taken], () => {
    const given = block(bdev, taken)
    assert(given.owner === other, `block ${taken} was given to ${other}, and is ${given.owner || "nobody"}'s`)
    given.content = other
  })
})

/** Whether a block of another file holds what was not written to that. Within a property. */
export const isForeignStore = ({ bdev }: DeviceMapWorld): boolean =>
  bdev.blocks.some(({ owner, content }) => owner === other && content !== "0" && content !== other)

/** Whether another file has a block. Within a property. */
export const hasOther = ({ bdev }: DeviceMapWorld): boolean => bdev.blocks.some(({ owner }) => owner === other)

const thread = ({ name }: Process): string => `cpu.${name}`
