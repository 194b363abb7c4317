import type * as Effect from "effect/Effect"
import type { Setup, Taken } from "../../../checker/index.ts"
import { gpuAccess, nouveauSvmmInit, type Svmm } from "../../../model/driver/nouveauSvm.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import type { NotifierSubscriptions } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, type Process, processOf } from "../calls.ts"
import { type Locking, recordLocking } from "../locksHeld.ts"
import { recordStores, type Stores } from "../stores.ts"
import { recordWindows, type Windows } from "../windows.ts"
import { type FaultRecord, recordFaults, windowSteps } from "./record.ts"

/** What the properties and seeded bugs of nouveau see. */
export interface NouveauWorld {
  readonly mm: Mm
  readonly subs: NotifierSubscriptions
  readonly gpus: ReadonlyArray<Svmm>
  readonly windows: Windows
  readonly record: FaultRecord
  readonly locking: Locking
  readonly stores: Stores
}

export interface Shape {
  readonly pages: number
  readonly gpus: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  /** Which calls invalidate; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /** Who else is there. */
  readonly others?: (process: Process) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/**
 * A process with GPUs that share its memory, and threads of it that invalidate. The first GPU stores to the last page,
 * which all threads invalidate, the others load it.
 */
export const nouveauWorld = (shape: Shape): Setup<NouveauWorld> => {
  const { pages, calls } = shape
  const cpus = names("cpu", shape.cpus)
  const process = processOf({ pages, cpus, users: cpus.length === 0 ? 1 : 0 })
  const { mm } = process
  const gpus = names("gpu", shape.gpus).map((name) => nouveauSvmmInit(mm, name))
  const fibers = {
    ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidator(process, position, calls)] as const)),
    ...Object.fromEntries(
      gpus.map((gpu, i) => [gpu.name, gpuAccess(gpu, pages - 1, i === 0 ? gpu.name : undefined)] as const),
    ),
    ...shape.others?.(process),
  }
  const { windows, monitor } = recordWindows(Object.keys(fibers), windowSteps(gpus))
  const record = recordFaults(gpus)
  const gpuNamed = (name: unknown) => gpus.find((gpu) => gpu.name === name)
  const holdsMutex = ({ fiber, args }: Taken) => gpuNamed(args[0])?.mutex.state.holder === fiber
  const locking = recordLocking({
    nouveau_svmm_invalidate: holdsMutex,
    nouveau_svmm_release: holdsMutex,
    nouveau_hmm_convert_pfn: holdsMutex,
  })
  const stores = recordStores(
    "gpu_store",
    ({ args }) => gpuNamed(args[0])?.pageTable[Number(args[1])]?.value?.write === true,
  )
  return {
    world: { mm, subs: mm.subscriptions, gpus, windows, record, locking, stores },
    fibers,
    monitors: [monitor, record.monitor, locking.monitor, stores.monitor],
  }
}
