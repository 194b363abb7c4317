/** The memory of the self tests' devices (lib/test_hmm.c: struct dmirror_device): who gives it out, and who takes it back. */
import * as Effect from "effect/Effect"
import { self, step } from "../../checker/program/index.ts"
import { migrateDevicePages, migrateDevicePfns } from "../deviceMemory/migrateDevice.ts"
import {
  type DeviceSlot,
  type MigrateVma,
  migrateDeviceFinalize,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../deviceMemory/migrateVma.ts"
import { type DevPagemap, memunmapPages, type PrivateFault, pgmapKill } from "../deviceMemory/pgmap.ts"
import type { FaultResult } from "../mm/fault.ts"
import { type Frame, folioAllocUncharged, folioOf } from "../mm/folio.ts"
import type { System } from "../mm/system.ts"

/** `struct dmirror_device`: a device, and its memory, which is one chunk. */
export interface DmirrorDevice {
  readonly memory: DevPagemap
}

/** `dmirror_device_init` */
export const dmirrorDevice = (system: System, memory: DevPagemap): DmirrorDevice => {
  memory.migrateToRam = (fault) => dmirrorDevmemFault(system, memory, fault)
  return { memory }
}

/** A page of system memory, locked, with what is in the device's page; `null` when there is none. */
export const allocAndCopy = ({ folios }: System, src: Frame, by: string): Effect.Effect<Frame | null> =>
  step(by, [src.pfn], () => {
    const dst = folioAllocUncharged(folios)
    if (dst === null) return null
    const folio = folioOf(folios, dst)
    folio.lock = self()
    folio.content = folioOf(folios, src).content
    return dst
  })

/**
 * `dmirror_devmem_fault`: gives a page back that a CPU has faulted on. What the device maps there its subscription has
 * dropped, which hears of this migration; the driver does it by hand, with no lock.
 */
const dmirrorDevmemFault = Effect.fnUntraced(function* (
  system: System,
  memory: DevPagemap,
  { mm, va, page }: PrivateFault,
) {
  const range = { start: va, end: va + 1 }
  const args: MigrateVma = { mm, range, select: memory.type, owner: memory.owner, faultPage: page }
  const done: FaultResult = "done"
  const [slot] = yield* migrateVmaSetup(args)
  // It is gone, or somebody else refers to it: the fault comes again.
  if (slot === undefined || slot.src === null || !slot.migrate) return done
  const dst = yield* allocAndCopy(system, slot.src, "dmirror_devmem_fault_alloc_and_copy")
  if (dst === null) {
    yield* migrateVmaFinalize(args, [slot])
    return yield* step("dmirror_devmem_fault: VM_FAULT_OOM", [page.pfn], (): FaultResult => "OOM")
  }
  const moved = yield* migrateVmaPages(args, [{ ...slot, dst }])
  yield* migrateVmaFinalize(args, moved)
  return done
})

/** `dmirror_device_evict_chunk`: all pages that are in use, and that can be moved, go to system memory. */
export const dmirrorDeviceEvictChunk = Effect.fnUntraced(function* (system: System, { memory }: DmirrorDevice) {
  const pfns = [...system.folios.pgmaps].filter(([, pgmap]) => pgmap === memory).map(([pfn]) => pfn)
  const slots: Array<DeviceSlot> = []
  for (const slot of yield* migrateDevicePfns(system, pfns)) {
    const { src, migrate } = slot
    const dst = src !== null && migrate ? yield* allocAndCopy(system, src, "dmirror_device_evict_chunk") : null
    slots.push({ ...slot, dst })
  }
  const moved = yield* migrateDevicePages(system, slots)
  yield* migrateDeviceFinalize(system, moved)
})

/** `dmirror_device_remove_chunks`: the device has no memory any more. */
export const dmirrorDeviceRemoveChunks = Effect.fnUntraced(function* (system: System, device: DmirrorDevice) {
  yield* pgmapKill(device.memory)
  yield* dmirrorDeviceEvictChunk(system, device)
  yield* memunmapPages(system.folios, device.memory)
})
