/** Pages that one GPU takes from another (drivers/gpu/drm/amd/amdkfd/kfd_migrate.c: svm_migrate_vram_to_vram). */
import * as Effect from "effect/Effect"
import {
  type MigrateSlot,
  type MigrateVma,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../deviceMemory/migrateVma.ts"
import type { DevPagemap } from "../deviceMemory/pgmap.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import type { Range } from "../mm/range.ts"
import { allocSystemPage, copyPage, type Gpu, gpuMigrateToDevice } from "./gpu.ts"

/**
 * Takes the pages of a range from another GPU of the same driver. Where both have one owner, as GPUs that reach each other's
 * memory do (Xe: drm_pagemap), in one migration; else by way of system memory, as each may move only its own.
 */
export const gpuMigrateFromPeer = Effect.fnUntraced(function* (gpu: Gpu, peer: Gpu, range: Range) {
  if (gpu.memory.owner === peer.memory.owner) return yield* gpuMigrateToDevice(gpu, range, ["system", peer.memory.type])
  yield* svmMigrateVramToRam(gpu.mm, peer.memory, range)
  return yield* gpuMigrateToDevice(gpu, range)
})

/** `svm_migrate_vram_to_ram`: of the pages of a range, those in a GPU's memory. */
export const svmMigrateVramToRam = Effect.fnUntraced(function* (mm: Mm, memory: DevPagemap, range: Range) {
  if (!(yield* mmgetNotZero(mm))) return
  yield* mmapReadLock(mm)
  const args: MigrateVma = { mm, range, select: memory.type, owner: memory.owner }
  const slots: Array<MigrateSlot> = []
  for (const slot of yield* migrateVmaSetup(args)) {
    const dst = slot.migrate && slot.src !== null ? yield* allocSystemPage(mm.system) : null
    if (dst !== null) yield* copyPage(mm.system, slot.src, dst)
    slots.push({ ...slot, dst })
  }
  const moved = yield* migrateVmaPages(args, slots)
  yield* migrateVmaFinalize(args, moved)
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
})
