/** The memory of the self tests' devices (lib/test_hmm.c: struct dmirror_device): who gives it out, and who takes it back. */
import * as Effect from "effect/Effect"
import { procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"
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
import { type Frame, folioAllocUncharged, folioOf, folioTrylock, pagesOfFolio } from "../mm/folio.ts"
import { folioAllocHugeUncharged } from "../mm/largeFolio.ts"
import { spanOf } from "../mm/mm.ts"
import type { System } from "../mm/system.ts"

/** `struct dmirror_device`: a device, and its memory, which is one chunk. */
export interface DmirrorDevice {
  readonly memory: DevPagemap
  readonly state: Struct<{
    /**
     * HMM_DMIRROR_FLAG_FAIL_ALLOC: the next allocation of a huge page fails. (The driver has it in its file, which its
     * pages know.)
     */
    failAlloc: boolean
  }>
}

/** `dmirror_device_init` */
export const dmirrorDevice = (system: System, memory: DevPagemap): DmirrorDevice => {
  const device = { memory, state: struct(`${memory.name}.flags`, { failAlloc: false }) }
  memory.migrateToRam = (fault) => dmirrorDevmemFault(system, device, fault)
  return device
}

/** HMM_DMIRROR_FLAGS with HMM_DMIRROR_FLAG_FAIL_ALLOC. */
export const dmirrorFailAlloc = ({ memory, state }: DmirrorDevice): Effect.Effect<void> =>
  step("HMM_DMIRROR_FLAGS", [memory.name], () => {
    state.failAlloc = true
  })

/** Whether the allocation of a huge page is to fail now. Within a step. */
export const failsNow = ({ state }: DmirrorDevice): boolean => {
  const fails = state.failAlloc
  if (fails) state.failAlloc = false
  return fails
}

/** A page of system memory, locked, with what is in the device's page; `null` when there is none. */
const allocAndCopy = ({ folios }: System, src: Frame, by: string): Effect.Effect<Frame | null> =>
  step(by, [src.pfn], () => {
    const dst = folioAllocUncharged(folios)
    if (dst === null) return null
    const folio = folioOf(folios, dst)
    folio.lock = self()
    folio.content = folioOf(folios, src).content
    return dst
  })

/** A huge page of system memory, locked, with what is in the device's; `null` when there is none. */
const allocAndCopyHuge = (
  { folios }: System,
  src: Frame,
  by: string,
  device: DmirrorDevice | null,
): Effect.Effect<ReadonlyArray<Frame> | null> =>
  step(`${by}: folio_alloc`, [src.pfn], () => {
    const dst = device !== null && failsNow(device) ? null : folioAllocHugeUncharged(folios)
    if (dst === null) return null
    folioTrylock(folios, dst)
    const pages = pagesOfFolio(folios, dst)
    for (const [position, page] of pagesOfFolio(folios, src).entries()) {
      folioOf(folios, pages[position] ?? dst).content = folioOf(folios, page).content
    }
    return pages
  })

/** The pages of a huge page, which its lock keeps together. */
export const piecesOf = ({ folios }: System, src: Frame): Effect.Effect<ReadonlyArray<Frame>> =>
  step("folio_page", [src.pfn], () => pagesOfFolio(folios, src))

/**
 * A copy of every page that is to be moved, as far as there is memory: of a huge one as it is, or else page by page.
 *
 * @param device whose memory they are, if allocations may be told to fail
 * @returns the slots, and whether there was enough
 */
export const allocAndCopyAll = procedure(function* <Slot extends DeviceSlot>(
  system: System,
  all: ReadonlyArray<Slot>,
  by: string,
  device: DmirrorDevice | null,
) {
  const slots = [...all]
  let enough = true
  for (const [position, { src, migrate, compound }] of all.entries()) {
    if (src === null || !migrate || !enough) continue
    const huge = compound === true ? yield* allocAndCopyHuge(system, src, by, device) : null
    const pieces = compound === true && huge === null ? yield* piecesOf(system, src) : [src]
    for (const [piece, page] of pieces.entries()) {
      const slot = slots[position + piece]
      const dst: Frame | null = huge?.[0] ?? (yield* allocAndCopy(system, page, by))
      if (dst === null || slot === undefined) enough = false
      else slots[position + piece] = { ...slot, dst }
      if (!enough) break
    }
  }
  return { slots, enough }
})

/**
 * `dmirror_devmem_fault`: gives a page back that a CPU has faulted on. What the device maps there its subscription has
 * dropped, which hears of this migration; the driver does it by hand, with no lock.
 */
const dmirrorDevmemFault = procedure(function* (
  system: System,
  device: DmirrorDevice,
  { mm, va, page, huge }: PrivateFault,
) {
  const { memory } = device
  const range = huge === true ? spanOf(mm, va) : { start: va, end: va + 1 }
  const only = { mm, range, select: memory.type, owner: memory.owner, faultPage: page }
  const args: MigrateVma = huge === true ? { ...only, compound: true } : only
  const done: FaultResult = "done"
  const collected = yield* migrateVmaSetup(args)
  // It is gone, or somebody else refers to it: the fault comes again.
  if (!collected.some(({ src, migrate }) => src !== null && migrate)) return done
  const { slots, enough } = yield* allocAndCopyAll(system, collected, "dmirror_devmem_fault_alloc_and_copy", device)
  if (!enough) {
    // What there was memory for is given back: nothing was moved.
    yield* migrateVmaFinalize(
      args,
      slots.map((slot) => ({ ...slot, migrate: false })),
    )
    return yield* step("dmirror_devmem_fault: VM_FAULT_OOM", [page.pfn], (): FaultResult => "OOM")
  }
  const moved = yield* migrateVmaPages(args, slots)
  yield* migrateVmaFinalize(args, moved)
  return done
})

/** For a huge page there has to be a huge one: the driver does not split here. */
const allocAlike = (system: System, src: Frame, compound: boolean): Effect.Effect<Frame | null> =>
  compound
    ? Effect.map(allocAndCopyHuge(system, src, "dmirror_device_evict_chunk", null), (pages) => pages?.[0] ?? null)
    : allocAndCopy(system, src, "dmirror_device_evict_chunk")

/** `dmirror_device_evict_chunk`: all pages that are in use, and that can be moved, go to system memory. */
export const dmirrorDeviceEvictChunk = procedure(function* (system: System, { memory }: DmirrorDevice) {
  const pfns = [...system.folios.pgmaps].filter(([, pgmap]) => pgmap === memory).map(([pfn]) => pfn)
  const slots: Array<DeviceSlot> = []
  for (const slot of yield* migrateDevicePfns(system, pfns)) {
    const { src, migrate, compound } = slot
    const dst = src !== null && migrate ? yield* allocAlike(system, src, compound === true) : null
    slots.push({ ...slot, dst })
  }
  const moved = yield* migrateDevicePages(system, slots)
  yield* migrateDeviceFinalize(system, moved)
})

/** `dmirror_device_remove_chunks`: the device has no memory any more. */
export const dmirrorDeviceRemoveChunks = procedure(function* (system: System, device: DmirrorDevice) {
  yield* pgmapKill(device.memory)
  yield* dmirrorDeviceEvictChunk(system, device)
  yield* memunmapPages(system.folios, device.memory)
})
