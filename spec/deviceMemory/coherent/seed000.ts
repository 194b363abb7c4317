/**
 * What was asked of device memory in 2015 (Interacting with coherent memory on external devices, LKML): ordinary areas, no
 * PFNMAP, the accounting of any memory, pages that the system's allocator does not know, and few places in the core that
 * ask whether a page is a device's. The last is a test of the model's source, the others are properties.
 */
import * as Effect from "effect/Effect"
import { type Scenario, scenario } from "../../../checker/index.ts"
import { gpuAccess, gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { userStore } from "../../../model/mm/access.ts"
import { page } from "../../mm/pages.ts"
import { deviceProperties } from "../properties.ts"
import { type CoherentWorld, tell } from "./machine.ts"

export const acceptance: Scenario<CoherentWorld> = scenario({
  id: "device/seed000/acceptance",
  summary: "memory that comes into being in a device's coherent memory is used as any other: both store to it",
  setup: () =>
    tell({
      kind: "none",
      gpus: ["coherent"],
      names: ["cpu0", "gpu0"],
      fibers: (world) => ({
        gpu0: Effect.gen(function* () {
          const [gpu] = world.gpus
          if (gpu === undefined) return
          yield* gpuMigrateToDevice(gpu, { start: page, end: page + 1 })
          yield* gpuAccess(gpu, page, { kind: "store", content: gpu.name })
        }),
        cpu0: Effect.gen(function* () {
          yield* userStore(world.parent, "cpu0", page, "cpu0")
        }),
      }),
    }),
  properties: deviceProperties,
})
