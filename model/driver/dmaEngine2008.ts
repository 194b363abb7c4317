/**
 * A DMA engine or framebuffer of 2008 that has no more than `release` and `invalidate_page`: it hears of single pages and
 * of the end of the process, not of ranges. So it keeps a reference to every page that it maps, and goes on with the page
 * when the process has unmapped it. What it hears of lets pages be reclaimed and written back that its reference alone
 * would keep from that for ever ("stuck with page pinning").
 */
import { enterLoop, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { folioOf } from "../mm/folio.ts"
import { at, pagesOf } from "../mm/range.ts"
import { dropUser, getUserPages, type Machine, putPage } from "../notifier/2008/machine.ts"
import { mmuNotifier } from "../notifier/2008/mmuNotifier.ts"
import { keep, release, type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { type ExternalMapper, externalMapper, setEntry, wholeOf } from "./external2008.ts"

/** The device. */
export interface DmaEngine extends ExternalMapper {
  /** Taken in callbacks, under the page table's lock too. */
  readonly lock: SpinLock
  /** How many pages it has been told to let go of. */
  readonly state: Struct<{ seq: number }>
}

/** Makes a device, and its notifier, not registered. */
export const dmaEngine = (machine: Machine, name: string): DmaEngine => {
  const device: DmaEngine = {
    ...externalMapper(machine, name),
    lock: spinLock(`${name}.lock`),
    state: struct(name, { seq: 0 }),
  }
  mmuNotifier(machine, name, {
    release: underLock(device.lock, "dma_release", [name], () => {
      for (const va of pagesOf(wholeOf(device))) letGo(device, va)
    }),
    invalidatePage: (va) => underLock(device.lock, "dma_invalidate_page", [name, va], () => letGo(device, va)),
  })
  return device
}

/** Drops an entry with its reference; a page that the device has stored to is marked dirty. Within a step. */
const letGo = ({ machine, pageTable, state }: DmaEngine, va: number): void => {
  state.seq++
  const entry = at(pageTable, va)
  if (entry.value === null) return
  const { page, dirty } = entry.value
  entry.value = null
  if (dirty) folioOf(machine.folios, page).dirty = true
  putPage(machine, page)
}

/** A fault of the device, or the setup of a transfer. False when the process has nothing there. */
export const dmaFault = procedure(function* (device: DmaEngine, va: number, write: boolean) {
  const { name, machine, lock, state } = device
  const head = yield* enterLoop("dma_fault")
  for (;;) {
    yield* head()
    const seq = yield* step("dma_fault", [name, va], () => state.seq)
    const frame = yield* getUserPages(machine, va, write, true)
    if (typeof frame === "string") return false
    const retry = yield* underLock(lock, "dma_fault: retry", [name, va], () => {
      keep(lock)
      return state.seq !== seq
    })
    yield* step(retry ? "dma_fault: put_page" : "device_map", [name, va], () => {
      if (retry) putPage(machine, frame)
      else setEntry(device, va, frame, write)
      release(lock)
      dropUser(machine)
    })
    if (!retry) return true
  }
})
