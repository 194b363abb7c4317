/** What device memory promises to come about: `device/live/...`. */
import * as Effect from "effect/Effect"
import { gpuMigrateToDevice } from "../../../model/driver/gpu.ts"
import { hmmRangeFault } from "../../../model/hmm/rangeFault.ts"
import { userStore } from "../../../model/mm/access.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../../../model/mm/mm.ts"
import type { IntervalSubscription } from "../../../model/notifier/interval.ts"
import { names, parameter, scenariosOf } from "../../define.ts"
import { page, prepare } from "../../mm/pages.ts"
import type { MmWorld } from "../../mm/world.ts"
import { batchOf, shareWithChild, withoutPreemption } from "./layOut.ts"
import { drained, privateFaults } from "./properties.ts"
import { firstGpu, liveWorld, unmapFromGpus } from "./world.ts"

export const define = scenariosOf("device/live", liveWorld, [])

/** Threads that store to the page. */
export const stores = ({ parent }: MmWorld, count: number) =>
  Object.fromEntries(names("cpu", count).map((cpu) => [cpu, userStore(parent, cpu, page, cpu)]))

/** The sequence that a subscription is made with. */
const firstSeq = 1

/** A driver's hmm_range_fault on one page, for a subscription that nobody has inserted: its sequence stays as it is. */
const rangeFault = Effect.fnUntraced(function* (mm: Mm, iv: IntervalSubscription, va: number) {
  yield* mmapReadLock(mm)
  yield* hmmRangeFault(mm, iv, firstSeq, { start: va, end: va + 1 }, false)
  yield* mmapReadUnlock(mm)
})

/** Faults on one private page, by threads and in the kernel. */
export const faults = define(
  "private-faults",
  "threads store to a page in a GPU's memory, and a driver wants it by hmm_range_fault",
  {
    cpus: parameter("threads that store", 2, 3, 0),
    drivers: parameter("drivers that call hmm_range_fault", 1, 2, 0),
  },
  (bound) => ({
    gpus: ["private"],
    cpus: names("cpu", bound.cpus),
    fibers: (world) => ({
      ...stores(world, bound.cpus),
      ...Object.fromEntries(
        names("hmm", bound.drivers).map((name) => [name, rangeFault(world.parent, firstGpu(world).iv, page)]),
      ),
    }),
  }),
  privateFaults,
)

/**
 * What the second of the two livelocks needs: a migration of system and device pages together that has locked a page of the
 * latter kind, which a child maps too, and now waits for a work item on the CPU of the driver that faults on it there.
 */
export const drain = define(
  "lru-drain",
  "a driver wants a page that is being migrated together with one which is in its own CPU's LRU batch",
  {},
  () => ({
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
      world.system.lruBatches.push(batchOf(world, inBatch))
    },
    fibers: (world) => {
      const [, peer] = world.gpus
      if (peer === undefined) throw new RangeError("the machine has two GPUs")
      return {
        hmm0: rangeFault(world.child, firstGpu(world).iv, shared),
        gpu1: gpuMigrateToDevice(peer, { start: inBatch, end: shared + 1 }, ["system", "private"]),
      }
    },
    monitor: ({ system: { lruBatches } }, record) => ({
      ...withoutPreemption(lruBatches, "hmm0"),
      "migrate_device_unmap: folio_isolate_lru": ({ fiber }) => {
        if (fiber === "gpu1" && lruBatches.some(({ state }) => state.pages.length > 0)) record.undrained = true
      },
    }),
  }),
  drained,
)

/** The page that is on its way to the LRU, and the one in device memory. */
const inBatch = 0
const shared = 1
