/** What several properties of device memory look at. */
import type { Property } from "../../../checker/index.ts"
import { type DevPagemap, type PagemapType, pgmapOf } from "../../../model/deviceMemory/pgmap.ts"
import type { Gpu, GpuPte } from "../../../model/driver/gpu.ts"
import type { Folio, Frame } from "../../../model/mm/folio.ts"
import { isLive } from "../../../model/mm/folio.ts"
import type { Pte } from "../../../model/mm/pte.ts"
import { sameFrame } from "../../mm/properties/places.ts"
import type { Source, Target } from "../record.ts"
import type { DeviceWorld } from "../world.ts"

export type Spec = Property<DeviceWorld>

/** The pages that are being moved, by whom. */
export const sources = ({
  migrations,
}: DeviceWorld): ReadonlyArray<{ readonly fiber: string; readonly one: Source }> => {
  const found: Array<{ readonly fiber: string; readonly one: Source }> = []
  for (const [fiber, { value }] of migrations.byFiber) for (const one of value.sources) found.push({ fiber, one })
  return found
}

/** The pages that are to take their places. */
export const targets = ({
  migrations,
}: DeviceWorld): ReadonlyArray<{ readonly fiber: string; readonly one: Target }> => {
  const found: Array<{ readonly fiber: string; readonly one: Target }> = []
  for (const [fiber, { value }] of migrations.byFiber) for (const one of value.targets) found.push({ fiber, one })
  return found
}

/** The private pages whose faults are being handled. */
export const faultPages = ({ migrations }: DeviceWorld) =>
  [...migrations.byFiber].flatMap(([fiber, { value }]) => (value.fault === null ? [] : [{ fiber, page: value.fault }]))

/** The folio of a frame that is still in use. */
export const liveFolio = ({ folios }: DeviceWorld, frame: Frame): Folio | undefined =>
  isLive(folios, frame) ? folios.arena.slots[frame.pfn] : undefined

/** The pages of devices' memory that are given out. */
export const devicePages = ({ folios }: DeviceWorld): ReadonlyArray<Folio> => {
  const found: Array<Folio> = []
  for (const pfn of folios.pgmaps.keys()) {
    const folio = folios.arena.slots[pfn]
    if (folio?.live === true) found.push(folio)
  }
  return found
}

/** An entry of a GPU's page table, and where it is. */
export interface GpuEntry {
  readonly gpu: Gpu
  readonly va: number
  readonly entry: GpuPte
}

/** What the GPUs map. */
export const gpuEntries = ({ gpus }: DeviceWorld): ReadonlyArray<GpuEntry> => {
  // Loops here and below: most properties ask this of every new state.
  const found: Array<GpuEntry> = []
  for (const gpu of gpus) {
    for (const [va, { value: entry }] of gpu.pageTable.entries()) if (entry !== null) found.push({ gpu, va, entry })
  }
  return found
}

/** Whether some entry of a process is of that kind. */
export const hasEntry = ({ mms }: DeviceWorld, ...kinds: ReadonlyArray<NonNullable<Pte>["kind"]>): boolean => {
  for (const mm of mms) {
    for (const { value: pte } of mm.pte) if (pte !== null && kinds.includes(pte.kind)) return true
  }
  return false
}

/** Whether a CPU or a GPU can reach the page through an entry, or by a fault on one. */
export const isReachable = (world: DeviceWorld, page: Frame): boolean =>
  (liveFolio(world, page)?.mapcount ?? 0) > 0 || gpuEntries(world).some(({ entry }) => sameFrame(entry.page, page))

/** The device memory that a page lies in. */
export const memoryOf = ({ folios }: DeviceWorld, page: Frame): DevPagemap<PagemapType> | undefined =>
  pgmapOf(folios, page)
