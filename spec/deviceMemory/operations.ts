/** What a GPU does to a page, and what takes pages to its memory and back. */
import * as Effect from "effect/Effect"
import { type GpuAccess, gpuAccess, gpuMigrateToDevice } from "../../model/driver/gpu.ts"
import { type MmWorld, type Operation, type PageKind, page } from "../mm/world.ts"

/** What can be there where device memory makes a difference. */
export const deviceKinds: ReadonlyArray<PageKind> = ["none", "zero", "anon", "cow", "swap", "device", "exclusive"]

const gpuDoes = (access: (fiber: string) => GpuAccess) => (world: MmWorld, fiber: string) => {
  const [gpu] = world.gpus
  return gpu === undefined ? Effect.void : gpuAccess(gpu, page, access(fiber))
}

export const gpuOperations: ReadonlyArray<Operation> = [
  { id: "gpu-load", actor: "gpu", pages: deviceKinds, run: gpuDoes(() => ({ kind: "load" })) },
  { id: "gpu-store", actor: "gpu", pages: deviceKinds, run: gpuDoes((fiber) => ({ kind: "store", content: fiber })) },
  { id: "gpu-atomic", actor: "gpu", pages: deviceKinds, run: gpuDoes((fiber) => ({ kind: "atomic", content: fiber })) },
  {
    id: "migrate-to-device",
    actor: "gpu",
    pages: deviceKinds,
    run: ({ gpus: [gpu] }) =>
      gpu === undefined ? Effect.void : gpuMigrateToDevice(gpu, { start: page, end: page + 1 }),
  },
]
