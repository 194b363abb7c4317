/** Pages that one GPU takes from another (drivers/gpu/drm/amd/amdkfd/kfd_migrate.c: svm_migrate_vram_to_vram). */
import { procedure } from "../../checker/program/index.ts"
import type { Range } from "../mm/range.ts"
import { type Gpu, gpuMigrateToDevice } from "./gpu.ts"
import { svmMigrateVramToRam } from "./gpuToSystem.ts"

/**
 * Takes the pages of a range from another GPU of the same driver. Where both have one owner, as GPUs that reach each other's
 * memory do (Xe: drm_pagemap), in one migration; else by way of system memory, as each may move only its own.
 */
export const gpuMigrateFromPeer = procedure(function* (gpu: Gpu, peer: Gpu, range: Range) {
  if (gpu.memory.owner === peer.memory.owner) return yield* gpuMigrateToDevice(gpu, range, ["system", peer.memory.type])
  yield* svmMigrateVramToRam(gpu.mm, peer.memory, range)
  return yield* gpuMigrateToDevice(gpu, range)
})
