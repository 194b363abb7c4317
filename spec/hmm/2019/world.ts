import type * as Effect from "effect/Effect"
import type { Monitor, Setup, Struct } from "../../../checker/index.ts"
import { type HmmMirrorDevice, hmmMirrorDevice } from "../../../model/driver/hmmMirror.ts"
import { type HmmOfMm, haveRegistered, hmmOfMm } from "../../../model/hmm/mirror2019.ts"
import type { Frame } from "../../../model/mm/folio.ts"
import type { Range } from "../../../model/mm/range.ts"
import { type NotifiedMm, notifiedMm } from "../../../model/notifier/notifiedMm.ts"
import { srcuDomain } from "../../../model/sync/srcu.ts"
import { names } from "../../define.ts"
import { type Hmm2019Record, record } from "./record.ts"

/** What there is, for those who say what happens with it. */
export interface Parts {
  readonly mm: NotifiedMm
  readonly hmm: HmmOfMm
  readonly devices: ReadonlyArray<HmmMirrorDevice>
}

/** What the properties and seeded bugs of the HMM of 2019 see. */
export interface Hmm2019World extends Parts {
  readonly record: Hmm2019Record
  /** What hmm_range_dma_map has said to a device, until that asks whether the range is valid or goes in again. */
  readonly dmaResults: ReadonlyMap<string, { readonly value: "error" | number | null }>
  readonly dropped: Dropped | null
}

/** The pages that a callback takes from devices, until it gives up the driver's lock, and whether one was clean then. */
export type Dropped = Struct<{ pages: ReadonlyArray<Frame>; clean: boolean }>

export interface DmaResults {
  readonly dmaResults: Hmm2019World["dmaResults"]
  readonly dropped: Dropped
  readonly monitors: ReadonlyArray<Monitor>
}

export interface Shape {
  readonly pages: number
  /** Who uses the address space from the beginning. */
  readonly users?: number
  readonly devices: number
  /** What kind of device it is: by default one with a page table of its own. */
  readonly device?: (hmm: HmmOfMm, name: string, mirrored: Range) => HmmMirrorDevice
  /** What is recorded of hmm_range_dma_map, where it is called. */
  readonly dmaResults?: (parts: Parts) => DmaResults
  /** How many of them have registered before anything else happens. */
  readonly registered: number
  /** The names of the other fibers. */
  readonly others: ReadonlyArray<string>
  readonly fibers: (parts: Parts) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/** A process, devices that mirror a page of it each, and what happens to them. */
export const hmm2019World = (shape: Shape): Setup<Hmm2019World> => {
  const gpus = names("gpu", shape.devices)
  const all = [...gpus, ...shape.others]
  const mm = notifiedMm("mm", shape.pages, shape.users ?? 1, srcuDomain("srcu", all))
  const hmm = hmmOfMm(mm, Math.max(1, shape.devices))
  const devices = gpus.map((name, i) =>
    (shape.device ?? hmmMirrorDevice)(hmm, name, { start: i % shape.pages, end: (i % shape.pages) + 1 }),
  )
  haveRegistered(
    hmm,
    devices.slice(0, shape.registered).map(({ mirror }) => mirror),
  )
  const made = record({ mm, hmm, devices }, all)
  const results = shape.dmaResults?.({ mm, hmm, devices })
  return {
    world: {
      mm,
      hmm,
      devices,
      record: made,
      dmaResults: results?.dmaResults ?? new Map(),
      dropped: results?.dropped ?? null,
    },
    fibers: shape.fibers({ mm, hmm, devices }),
    monitors: [made.monitor, ...(results?.monitors ?? [])],
  }
}
