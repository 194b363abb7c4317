import * as Effect from "effect/Effect"
import { choose, type Setup } from "../../../checker/index.ts"
import { type CounterDevice, counterDevice, counterFault } from "../../../model/driver/counter2008.ts"
import { type DmaEngine, dmaEngine, dmaFault } from "../../../model/driver/dmaEngine2008.ts"
import { deviceStore, type ExternalMapper } from "../../../model/driver/external2008.ts"
import { type RangeListDevice, rangeListDevice, rangeListFault } from "../../../model/driver/rangeList2008.ts"
import { pagesOf } from "../../../model/mm/range.ts"
import { listAdd } from "../../../model/notifier/2008/list.ts"
import { type Machine, machine } from "../../../model/notifier/2008/machine.ts"
import { names } from "../../define.ts"
import { type Record2008, record2008 } from "./record.ts"

/** What the properties and seeded bugs of the 2008 notifiers see. */
export interface World2008 {
  readonly machine: Machine
  readonly counters: ReadonlyArray<CounterDevice>
  readonly rangeLists: ReadonlyArray<RangeListDevice>
  /** Those that hear of no ranges, and keep references. */
  readonly engines: ReadonlyArray<DmaEngine>
  /** All kinds. */
  readonly devices: ReadonlyArray<ExternalMapper>
  readonly record: Record2008
}

/** What there is, for those who say what happens with it. */
type Parts = Pick<World2008, "machine" | "counters" | "rangeLists" | "engines">

export interface Shape {
  readonly pages: number
  readonly accountsDirty: boolean
  readonly counters?: number
  readonly rangeLists?: number
  readonly engines?: number
  /** Whether the devices have registered before anything else happens. */
  readonly registered?: boolean
  readonly fibers: (parts: Parts) => { readonly [name: string]: Effect.Effect<unknown, unknown> }
}

/** A process that maps a file, devices that map the process, and what happens to them. */
export const world2008 = (shape: Shape): Setup<World2008> => {
  const made = machine(shape.pages, shape.accountsDirty)
  const counters = names("gru", shape.counters ?? 0).map((name) => counterDevice(made, name))
  const rangeLists = names("xpmem", shape.rangeLists ?? 0).map((name) => rangeListDevice(made, name))
  const engines = names("dma", shape.engines ?? 0).map((name) => dmaEngine(made, name))
  const devices = [...counters, ...rangeLists, ...engines]
  if (shape.registered !== false) for (const { name } of devices) listAdd(made.mmuNotifiers, name)
  const fibers = shape.fibers({ machine: made, counters, rangeLists, engines })
  const record = record2008(made, Object.keys(fibers), devices, rangeLists)
  return {
    world: { machine: made, counters, rangeLists, engines, devices, record },
    fibers,
    monitors: [record.monitor],
  }
}

/** A device that faults on a page for writing, and stores there if it is not taken away again before. */
export const counterVisit = (device: CounterDevice) => visit(device, (va) => counterFault(device, va, true))

/** The same of the other style. */
export const rangeListVisit = (device: RangeListDevice) => visit(device, (va) => rangeListFault(device, va, true))

/** And of the one that hears of no ranges. */
export const dmaVisit = (device: DmaEngine) => visit(device, (va) => dmaFault(device, va, true))

const visit = Effect.fnUntraced(function* (device: ExternalMapper, fault: (va: number) => Effect.Effect<boolean>) {
  const { pages } = device.machine.mm
  const va = pages === 1 ? 0 : yield* choose("page", pagesOf({ start: 0, end: pages }))
  if (yield* fault(va)) yield* deviceStore(device, va)
})

/** Devices by name, each visiting a page. */
export const visitors = ({ counters, rangeLists, engines }: Parts) =>
  Object.fromEntries([
    ...counters.map((device) => [device.name, counterVisit(device)] as const),
    ...rangeLists.map((device) => [device.name, rangeListVisit(device)] as const),
    ...engines.map((device) => [device.name, dmaVisit(device)] as const),
  ])
