/** What device memory promises to come about: `device/live/...`. */
import * as Effect from "effect/Effect"
import { type Parameter, type Scenario, scenario } from "../../../checker/index.ts"
import { gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { hmmRangeFault } from "../../../model/hmm/rangeFault.ts"
import { userStore } from "../../../model/mm/access.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import type { IntervalSubscription } from "../../../model/notifier/interval.ts"
import { page, prepare } from "../../mm/world.ts"
import { batchOf, shareWithChild, withoutPreemption } from "./layOut.ts"
import { privateFaults } from "./properties.ts"
import { firstGpu, type LiveWorld, liveWorld, unmapFromGpus } from "./world.ts"

export const parameter = (description: string, initial: number, max: number, min = 0): Parameter => ({
  description,
  default: initial,
  min,
  max,
})

export const names = (kind: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${kind}${i}`)

/** The sequence that a subscription is made with. */
const firstSeq = 1

/** A driver's hmm_range_fault on one page, for a subscription that nobody has inserted: its sequence stays as it is. */
const rangeFault = Effect.fnUntraced(function* (mm: Mm, iv: IntervalSubscription, va: number) {
  yield* mmapReadLock(mm)
  yield* hmmRangeFault(mm, iv, firstSeq, { start: va, end: va + 1 }, false)
  yield* mmapReadUnlock(mm)
})

/** Faults on one private page, by threads and in the kernel. */
export const faults: Scenario<LiveWorld> = scenario({
  id: "device/live/private-faults",
  summary: "threads store to a page in a GPU's memory, and a driver wants it by hmm_range_fault",
  parameters: {
    cpus: parameter("threads that store", 2, 3),
    drivers: parameter("drivers that call hmm_range_fault", 1, 2),
  },
  setup: (bound) => {
    const cpus = names("cpu", bound.cpus)
    return liveWorld({
      gpus: ["private"],
      cpus,
      fibers: (world) => ({
        ...Object.fromEntries(cpus.map((cpu) => [cpu, userStore(world.parent, cpu, page, cpu)])),
        ...Object.fromEntries(
          names("hmm", bound.drivers).map((name) => [name, rangeFault(world.parent, firstGpu(world).iv, page)]),
        ),
      }),
    })
  },
  properties: privateFaults,
})

/**
 * What the second of the two livelocks needs: a migration of system and device pages together that has locked a page of the
 * latter kind, which a child maps too, and now waits for a work item on the CPU of the driver that faults on it there.
 */
export const drain: Scenario<LiveWorld> = scenario({
  id: "device/live/lru-drain",
  summary: "a driver wants a page that is being migrated together with one which is in its own CPU's LRU batch",
  setup: () =>
    liveWorld({
      gpus: ["private", "private"],
      gpuOwner: "peers",
      gpuPages: 2,
      mmPages: 2,
      children: ["hmm0"],
      prepare: (world) => {
        prepare(world, inBatch, "anon")
        prepare(world, shared, "device")
        unmapFromGpus(world)
        shareWithChild(world, shared)
        world.system.lruBatches.push(batchOf(world, "hmm0", inBatch))
      },
      fibers: (world) => {
        const [, peer] = world.gpus
        if (peer === undefined) throw new RangeError("the machine has two GPUs")
        return {
          hmm0: rangeFault(world.child, firstGpu(world).iv, shared),
          gpu1: gpuMigrateToDevice(peer, { start: inBatch, end: shared + 1 }, ["system", "private"]),
        }
      },
      monitor: ({ system }) => withoutPreemption(system.lruBatches, "hmm0"),
    }),
  properties: privateFaults,
})

/** The page that is on its way to the LRU, and the one in device memory. */
const inBatch = 0
const shared = 1
