/**
 * How a GPU's driver gets its memory back (drivers/gpu/drm/nouveau/nouveau_dmem.c: nouveau_dmem_evict_chunk,
 * nouveau_dmem_fini; lib/test_hmm.c: dmirror_device_evict_chunk, dmirror_device_remove_chunks): page by page, wherever it is
 * mapped.
 */
import * as Effect from "effect/Effect"
import { assert, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { migrateDevicePages, migrateDevicePfns } from "../deviceMemory/migrateDevice.ts"
import { type DeviceSlot, migrateDeviceFinalize } from "../deviceMemory/migrateVma.ts"
import { type DevPagemap, memunmapPages } from "../deviceMemory/pgmap.ts"
import type { Range } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import { type Mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { allocSystemPage, copyPage, type Gpu, gpuMigrateToDevice } from "./gpu.ts"

/** `nouveau_dmem_evict_chunk`: moves what can be moved to system memory. What somebody else has locked or refers to stays. */
export const gpuEvict = procedure(function* (system: System, memory: DevPagemap) {
  const slots: Array<DeviceSlot> = []
  for (const slot of yield* migrateDevicePfns(system, pfnsOf(system, memory))) {
    const { src } = slot
    const dst = slot.migrate && src !== null ? yield* allocSystemPage(system) : null
    if (dst !== null) yield* copyPage(system, src, dst)
    slots.push({ ...slot, dst })
  }
  const moved = yield* migrateDevicePages(system, slots)
  yield* migrateDeviceFinalize(system, moved)
})

const pfnsOf = ({ folios }: System, memory: DevPagemap): ReadonlyArray<number> =>
  [...folios.pgmaps].flatMap(([pfn, pgmap]) => (pgmap === memory ? [pfn] : []))

/**
 * Takes pages into the GPU's memory, where there may be no place for them: then what is there goes first
 * (drivers/gpu/drm/amd/amdkfd/kfd_svm.c: svm_range_vram_node_new, svm_range_evict_svm_bo_worker).
 *
 * @returns whether all were moved
 */
export const gpuMigrateEvicting = procedure(function* (gpu: Gpu, range: Range) {
  const { memory, mm } = gpu
  const full = yield* step("ttm_mem_evict_first", [memory.name], () => memory.state.refs === memory.pages)
  if (full) yield* gpuEvict(mm.system, memory)
  return yield* gpuMigrateToDevice(gpu, range)
})

/**
 * The driver is unbound: it gives no page out any more, when the migrations that have one are done gets back those that are
 * out, and takes its memory away (nouveau_dmem_fini, dmirror_device_remove_chunks). What could not be had in the one pass, as
 * its process was faulting on it, or somebody referred to it, comes back by itself, and memunmap_pages waits for it.
 *
 * @param migrations what each migration to the device holds
 */
export const gpuUnbind = procedure(function* (system: System, memory: DevPagemap, migrations: Mutex) {
  yield* mutexLock(migrations)
  yield* step("devmem_chunk->remove", [memory.name], () => {
    memory.state.dying = true
  })
  yield* mutexUnlock(migrations)
  yield* gpuEvict(system, memory)
  yield* memunmapPages(system.folios, memory)
})

/** What the driver has for whoever has opened the device: its pages refer to it (`zone_device_data`). */
export interface Provider {
  readonly name: string
  readonly state: Struct<{ freed: boolean }>
}

/** Opens the device: from now on what brings pages of its memory back is done for whoever has. */
export const gpuOpen = ({ name, memory }: Gpu): Provider => {
  const provider: Provider = { name: `${name}.file`, state: struct(`${name}.file`, { freed: false }) }
  const { migrateToRam } = memory
  memory.migrateToRam = (fault) =>
    Effect.andThen(
      step("page->zone_device_data", [fault.page.pfn], () =>
        assert(!provider.state.freed, `${provider.name} is used after it was freed`),
      ),
      migrateToRam(fault),
    )
  return provider
}

/**
 * The device is closed (dmirror_fops_release): what is in its memory goes back before the object of whoever had it open does.
 * A fault that is under way has locked its page, so that the eviction passes that over: it is waited for.
 */
export const gpuClose = procedure(function* ({ mm, memory }: Gpu, provider: Provider) {
  yield* gpuEvict(mm.system, memory)
  yield* guardedStep(
    "dmirror_fops_release: wait for faults",
    [memory.name],
    () => memory.state.refs === 0,
    () => undefined,
  )
  yield* step("dmirror_fops_release: kfree", [provider.name], () => {
    provider.state.freed = true
  })
})
