/**
 * A driver on the HMM of Linux 5.3: the loop of Documentation/vm/hmm.rst, "Address space mirroring implementation and
 * API". As documented the range is unregistered with the driver's lock and `mmap_lock` held; as that may be the end of
 * the process, whose mirrors' release takes the same lock, here it is done behind them.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, enterLoop, procedure, step } from "../../checker/program/index.ts"
import {
  type HmmMirror,
  type HmmMirrorOps,
  type HmmOfMm,
  type HmmRange,
  hmmMirror,
  hmmMirrorRegister,
  hmmMirrorUnregister,
  hmmRange,
  hmmRangeRegister,
  hmmRangeUnregister,
  hmmRangeValid,
  hmmRangeWaitUntilValid,
} from "../hmm/mirror2019.ts"
import { hmmRangeFault2019 } from "../hmm/rangeFault2019.ts"
import type { Frame } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { mmgetNotZero, mmput } from "../notifier/notifiedMm.ts"
import { type Mutex, mutex, mutexLock, mutexTrylock, mutexUnlock } from "../sync/mutex.ts"
import { downRead, downWrite, upRead, upWrite } from "../sync/rwsem.ts"

/** The driver's state for one address space. */
export interface HmmMirrorDevice {
  readonly name: string
  readonly mirror: HmmMirror
  /** What it faults on. */
  readonly range: HmmRange
  /** `driver->update` */
  readonly update: Mutex
  readonly pageTable: ReadonlyArray<Cell<Frame | null>>
}

/** Makes a device that maps nothing and has not registered. */
export const hmmMirrorDevice = (of: HmmOfMm, name: string, mirrored: Range): HmmMirrorDevice => {
  const update = mutex(`${name}.update`, "driver_lock")
  const pageTable = of.mm.pte.map((_, va) => cell<Frame | null>(`${name}.pte${va}`, null))
  const mirror = hmmMirror(
    of,
    name,
    mirrorOps(of, name, update, (range) => deviceUnmap(name, pageTable, range)),
  )
  return { name, mirror, range: hmmRange(mirror, `${name}.range`, mirrored), update, pageTable }
}

/**
 * `struct hmm_mirror_ops` of a device.
 *
 * @param update the driver's lock
 * @param drop lets go of all that the device has of a range
 */
export const mirrorOps = (
  of: HmmOfMm,
  name: string,
  update: Mutex,
  drop: (range: Range) => Effect.Effect<void>,
): HmmMirrorOps => ({
  syncCpuDevicePagetables: procedure(function* (range: NotifierRange) {
    if (range.blockable) yield* mutexLock(update)
    else if (!(yield* mutexTrylock(update))) {
      return yield* step("sync_cpu_device_pagetables: -EAGAIN", [name], () => false)
    }
    yield* drop(range)
    yield* mutexUnlock(update)
    return true
  }),
  release: procedure(function* () {
    yield* mutexLock(update)
    yield* drop({ start: 0, end: of.mm.pages })
    yield* mutexUnlock(update)
  }),
})

/** Drops the device's translations of a range, its TLB's included. */
const deviceUnmap = (name: string, pageTable: HmmMirrorDevice["pageTable"], range: Range): Effect.Effect<void> =>
  step("device_unmap", [name, range.start, range.end], () => {
    for (const va of pagesOf(range)) at(pageTable, va).value = null
  })

/**
 * A device fault: `driver_populate_range`.
 *
 * @param block whether faults of the process's keep `mmap_lock`
 * @returns false when the process has nothing there, or is exiting
 */
export const hmmMirrorFault = procedure(function* (device: HmmMirrorDevice, block: boolean) {
  const { mirror, name, pageTable, range, update } = device
  const { mm } = mirror.of
  if (!(yield* hmmRangeRegister(range))) return false
  let mapped = false
  const head = yield* enterLoop("driver_populate_range")
  for (;;) {
    yield* head()
    const seq = yield* hmmRangeWaitUntilValid(range)
    yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
    const found = yield* hmmRangeFault2019(range, block)
    if ("error" in found) {
      if (found.error !== "-EAGAIN") yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
      if (found.error === "-EFAULT") break
      continue
    }
    yield* mutexLock(update)
    mapped = yield* hmmRangeValid(range, seq)
    if (mapped) {
      for (const [position, va] of pagesOf(range).entries()) {
        yield* step("device_map", [name, va], () => {
          at(pageTable, va).value = found.pfns[position] ?? null
        })
      }
    }
    yield* mutexUnlock(update)
    yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
    if (mapped) break
  }
  yield* hmmRangeUnregister(range)
  return mapped
})

/**
 * The process opens the device: `hmm_mirror_register` and the locks it wants.
 *
 * @returns false when the process is exiting, or a signal came
 */
export const hmmMirrorAttach = procedure(function* ({ mirror }: HmmMirrorDevice) {
  const { mm } = mirror.of
  if (!(yield* mmgetNotZero(mm))) return false
  yield* downWrite(mm.mmapLock, "mmap_write_lock", [mm.name])
  const registered = yield* hmmMirrorRegister(mirror)
  yield* upWrite(mm.mmapLock, "mmap_write_unlock", [mm.name])
  yield* mmput(mm)
  return registered
})

/** The device is closed: it drops all that it maps, is told of nothing any more, and its state is freed. */
export const hmmMirrorDetach = procedure(function* ({ mirror, name, pageTable, update }: HmmMirrorDevice) {
  yield* mutexLock(update)
  yield* deviceUnmap(name, pageTable, { start: 0, end: mirror.of.mm.pages })
  yield* mutexUnlock(update)
  yield* hmmMirrorUnregister(mirror)
  yield* step("kfree(mirror)", [name], () => undefined)
})
