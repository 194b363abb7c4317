/** Devices, and threads, that take a page from each other: `device/live/ping-pong`. */
import { type Scenario, scenario } from "../../../checker/index.ts"
import { gpuAccess } from "../../../model/driver/gpu.ts"
import { userStore } from "../../../model/mm/access.ts"
import { forgetNumbers } from "../../../model/notifier/sequence.ts"
import { names, parameter } from "../../define.ts"
import { page, prepare } from "../../mm/pages.ts"
import { pingPong } from "./properties.ts"
import { type LiveWorld, liveWorld } from "./world.ts"

/**
 * Nothing keeps exclusive pages where they are (the kernel guarantees no end): that it ends is the drivers'
 * doing, who give up after some faults. A seeded bug shows it without that.
 */
export const takeFromEachOther: Scenario<LiveWorld> = scenario({
  id: "device/live/ping-pong",
  summary: "GPUs access a page atomically, which each must have for itself, and threads store there",
  parameters: {
    gpus: parameter("GPUs", 1, 2),
    cpus: parameter("threads that store", 1, 1, 0),
  },
  setup: (bound) => {
    const cpus = names("cpu", bound.cpus)
    return liveWorld({
      gpus: names("gpu", bound.gpus).map(() => "private" as const),
      cpus,
      subscribed: true,
      prepare: (world) => {
        prepare(world, page, "anon")
        forgetNumbers(world.parent.subscriptions)
      },
      fibers: (world) => ({
        ...Object.fromEntries(cpus.map((cpu) => [cpu, userStore(world.parent, cpu, page, cpu)])),
        ...Object.fromEntries(
          world.gpus.map((gpu) => [gpu.name, gpuAccess(gpu, page, { kind: "atomic", content: gpu.name })]),
        ),
      }),
    })
  },
  properties: pingPong,
})
