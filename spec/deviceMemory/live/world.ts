/**
 * Machines on which it is asked what comes about in the end: few fibers, and no recorders, as fibers that try again and again
 * must come back to states that have been before. For the same reason a page's lives are told apart by twos, and no device
 * subscribes where fibers go on for ever: the sequence of the interval notifier would tell every round from the one before.
 */
import type * as Effect from "effect/Effect"
import { type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import type { Gpu } from "../../../model/driver/gpu.ts"
import type { Provider } from "../../../model/driver/gpuEvict.ts"
import { page, prepare } from "../../mm/pages.ts"
import { build, type Machine, type MmWorld, subscribe } from "../../mm/world.ts"

/** What the properties and seeded bugs of liveness see. */
export interface LiveWorld extends MmWorld {
  /** The fibers whose end is promised. */
  readonly finite: ReadonlyArray<string>
  readonly record: LiveRecord
  /** What the first GPU's driver has for the process, if it says. */
  readonly provider: Provider | null
}

/** What has become of a page that a GPU wants for itself, and of a drain. */
export type LiveRecord = Struct<{
  /** It has it, is programmed, or somebody has taken it back before that. */
  exclusive: "not yet" | "made" | "programmed" | "lost"
  /** Whether a migration that has had the batches of pages for the LRU drained has gone on with pages in one. */
  undrained: boolean
}>

type Fibers = { readonly [name: string]: Effect.Effect<unknown, unknown> }

export interface Shape extends Omit<Machine, "devices" | "lives"> {
  /** Threads of the parent and of the child. */
  readonly cpus?: ReadonlyArray<string>
  readonly children?: ReadonlyArray<string>
  /** What is there in the beginning; by default a page in the memory of the first GPU. */
  readonly prepare?: (world: MmWorld) => void
  /** Whether the GPUs have subscribed. */
  readonly subscribed?: boolean
  readonly provider?: (world: MmWorld) => Provider
  readonly fibers: (world: MmWorld, provider: Provider | null) => Fibers
  /** The fibers whose end is not promised. */
  readonly endless?: ReadonlyArray<string>
  readonly monitor?: (world: MmWorld, record: LiveRecord) => Monitor
}

/** Sets a machine up. */
export const liveWorld = (shape: Shape): Setup<LiveWorld> => {
  const cpus = shape.cpus ?? []
  const machine = { mmPages: 1, folios: 3, swapSlots: 0, ...shape, devices: 0, lives: 2 }
  const { world } = build(machine, { parent: cpus, child: shape.children ?? [], fibers: [] })
  if (shape.subscribed === true) subscribe(world)
  if (shape.prepare === undefined) {
    prepare(world, page, "device")
    if (shape.subscribed !== true) unmapFromGpus(world)
  } else shape.prepare(world)
  const provider = shape.provider?.(world) ?? null
  const fibers = shape.fibers(world, provider)
  const finite = Object.keys(fibers).filter((name) => shape.endless?.includes(name) !== true)
  const record: LiveRecord = struct("live", { exclusive: "not yet", undrained: false })
  return {
    world: { ...world, finite, record, provider },
    fibers,
    monitors: shape.monitor === undefined ? [] : [shape.monitor(world, record)],
  }
}

export const firstGpu = ({ gpus: [gpu] }: MmWorld): Gpu => {
  if (gpu === undefined) throw new RangeError("the machine has no GPU")
  return gpu
}

/** The GPUs that do not listen map nothing. */
export const unmapFromGpus = ({ gpus }: MmWorld): void => {
  for (const { pageTable } of gpus) for (const entry of pageTable) entry.value = null
}
