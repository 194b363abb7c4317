/** What a GPU does to a page, and what takes pages to its memory and back. */
import * as Effect from "effect/Effect"
import { type GpuAccess, gpuAccess, gpuMigrateToDevice } from "../../model/driver/gpu.ts"
import { type PageKind, page } from "../mm/pages.ts"
import type { MmWorld, NamedOperation, Operation } from "../mm/world.ts"

/** What can be there where device memory makes a difference. */
export const deviceKinds: ReadonlyArray<PageKind> = ["none", "zero", "anon", "cow", "swap", "device", "exclusive"]

const gpuDoes = (access: (fiber: string) => GpuAccess) => (world: MmWorld, fiber: string) => {
  const [gpu] = world.gpus
  return gpu === undefined ? Effect.void : gpuAccess(gpu, page, access(fiber))
}

export const gpuOperations: ReadonlyArray<NamedOperation> = [
  {
    id: "gpu-load",
    summary: "The GPU loads from the page by its own page table, with the faults that this takes (hmm_range_fault).",
    actor: "gpu",
    pages: deviceKinds,
    run: gpuDoes(() => ({ kind: "load" })),
  },
  {
    id: "gpu-store",
    summary: "The GPU stores to the page by its own page table, with the faults that this takes (hmm_range_fault).",
    actor: "gpu",
    pages: deviceKinds,
    run: gpuDoes((fiber) => ({ kind: "store", content: fiber })),
  },
  {
    id: "gpu-atomic",
    summary: "The GPU accesses the page atomically, for which no CPU may map it meanwhile (make_device_exclusive).",
    actor: "gpu",
    pages: deviceKinds,
    run: gpuDoes((fiber) => ({ kind: "atomic", content: fiber })),
  },
  {
    id: "migrate-to-device",
    summary: "The GPU's driver moves the page to the memory of the GPU (migrate_vma_setup to migrate_vma_finalize).",
    actor: "gpu",
    pages: deviceKinds,
    run: ({ gpus: [gpu] }) =>
      gpu === undefined ? Effect.void : gpuMigrateToDevice(gpu, { start: page, end: page + 1 }),
  },
]

/** The same by the second GPU. */
export const byOther = ({ id, ...operation }: Operation): Operation => ({
  ...operation,
  id: `other-${id}`,
  run: (world, fiber) => operation.run({ ...world, gpus: world.gpus.slice(1) }, fiber),
})

/** The operation of that name. */
export const gpuOperation = (id: string): NamedOperation => {
  const found = gpuOperations.find((one) => one.id === id)
  if (found === undefined) throw new RangeError(`there is no operation ${id}`)
  return found
}

/** An access of a GPU, by its number. */
export interface Access {
  readonly gpu: number
  readonly va: number
  readonly kind: GpuAccess["kind"]
}

/** Accesses of GPUs, one after the other. */
export const gpuAccesses = (id: string, accesses: ReadonlyArray<Access>): Operation => ({
  id,
  actor: "gpu",
  pages: deviceKinds,
  run: Effect.fnUntraced(function* ({ gpus }, fiber) {
    for (const [position, { gpu: number, va, kind }] of accesses.entries()) {
      const gpu = gpus[number]
      const content = `${fiber}.${position + 1}`
      if (gpu !== undefined) yield* gpuAccess(gpu, va, kind === "load" ? { kind } : { kind, content })
    }
  }),
})
