/** What seeded bugs of device memory do at a step: ways that several of them share. */
import * as Effect from "effect/Effect"
import { changeBody, type Plain, type Replacement, step } from "../../../checker/index.ts"
import type { Gpu, GpuPte } from "../../../model/driver/gpu.ts"
import { type Folio, type Frame, frameOf } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { mutexLock, mutexUnlock } from "../../../model/sync/mutex.ts"
import type { DeviceWorld } from "../world.ts"

/** The page in a frame, whatever its life. Within a step. */
export const folioIn = ({ folios }: DeviceWorld, pfn: Plain | undefined): Folio => {
  const folio = folios.arena.slots[Number(pfn)]
  if (folio === undefined) throw new RangeError(`there is no page ${pfn}`)
  return folio
}

/** The first GPU. */
export const firstGpu = ({ gpus }: DeviceWorld): Gpu => {
  const [gpu] = gpus
  if (gpu === undefined) throw new RangeError("the machine has no GPU")
  return gpu
}

/** The step is taken, and then something else in the same instant. */
export const andAtOnce = (next: (args: ReadonlyArray<Plain>, result: unknown) => void): Replacement =>
  changeBody(({ args, body }) => {
    const result = body()
    next(args, result)
    return result
  })

/** The driver maps a page on its GPU, its lock held, and asks for no sequence. */
export const mapUnasked = Effect.fnUntraced(function* (gpu: Gpu, va: number, entry: GpuPte) {
  yield* mutexLock(gpu.lock)
  yield* step("nouveau_pfns_map", [gpu.name, va], () => {
    at(gpu.pageTable, va).value = entry
  })
  yield* mutexUnlock(gpu.lock)
})

/** What `folio_migrate_mapping` is about: the pages, and where the first of them was. Within a step. */
export const moveOf = (world: DeviceWorld, fiber: string, args: ReadonlyArray<Plain>) => {
  const source = world.migrations.byFiber.get(fiber)?.value.sources.find(({ page }) => page.pfn === args[0])
  const page: Frame = frameOf(folioIn(world, args[1]))
  return source === undefined ? null : { va: source.va, write: source.write, page }
}
