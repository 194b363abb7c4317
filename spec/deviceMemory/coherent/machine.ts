/** The machine of the memory-management core with GPUs, and the questions that are asked of it. */

import type * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import type { MemoryType } from "../../../model/deviceMemory/pgmap.ts"
import { at } from "../../../model/mm/range.ts"
import { type PageKind, page, prepare } from "../../mm/pages.ts"
import { build, type MmWorld, subscribe } from "../../mm/world.ts"
import { recordMigrations } from "../record.ts"
import type { DeviceWorld } from "../world.ts"
import { withoutElsewhere } from "../world.ts"
import { type CoherentRecord, recordCoherent } from "./record.ts"

/** What the properties and seeded bugs of coherent memory see. */
export interface CoherentWorld extends DeviceWorld {
  readonly coherent: CoherentRecord
}

/** What happens on the machine. */
export interface Story {
  readonly kind: PageKind
  /** The GPUs of the parent, by what kind of memory they have. */
  readonly gpus: ReadonlyArray<MemoryType>
  readonly gpuPages?: number
  /** All fibers, those that others start too. */
  readonly names: ReadonlyArray<string>
  /** The fibers by name: threads of the parent are called cpu..., those of the child child.... */
  readonly fibers: (world: CoherentWorld) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
  readonly counted?: boolean
  /** What else is there at the beginning. */
  readonly layOut?: (world: CoherentWorld) => void
}

/** Sets a story up. */
export const tell = (story: Story): Setup<CoherentWorld> => {
  const { names, kind, gpus } = story
  const of = (prefix: string) => names.filter((name) => name.startsWith(prefix))
  const machine = { devices: 0, gpus, ...(story.gpuPages === undefined ? {} : { gpuPages: story.gpuPages }) }
  const built = build(machine, { parent: of("cpu"), child: of("child"), fibers: names })
  const coherent = recordCoherent(built.world, story.counted)
  const migrations = recordMigrations(built.world, names)
  const world: CoherentWorld = { ...built.world, migrations, coherent }
  subscribe(world)
  prepare(world, page, kind)
  story.layOut?.(world)
  return {
    world,
    fibers: story.fibers(world),
    monitors: [...withoutElsewhere(built.monitors), migrations.monitor, ...coherent.monitors],
  }
}

/** The page, wherever it lies, is the given GPU's alone, and no other maps it. At the beginning. */
export const makeExclusive = ({ parent, gpus }: MmWorld, which: number): void => {
  const entry = at(parent.pte, page)
  const gpu = gpus[which]
  if (entry.value?.kind !== "present" || gpu === undefined) throw new RangeError("there is no page to be had alone")
  for (const one of gpus) at(one.pageTable, page).value = null
  for (const cache of parent.tlbs.values()) at(cache, page).value = null
  at(gpu.pageTable, page).value = { page: entry.value.page, write: true, atomic: true }
  entry.value = { kind: "exclusive", page: entry.value.page }
}
