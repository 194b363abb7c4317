import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import {
  type IbUcontext,
  ibUcontext,
  ibUmemOdpGet,
  rdmaAccess2014,
  type Umem2014,
  umem2014,
} from "../../../model/driver/umemOdp2014.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../calls.ts"
import { swapIn } from "../dirtyAtUnmap.ts"
import type { Locking } from "../locksHeld.ts"
import type { Windows } from "../windows.ts"
import { type Record2014, record2014 } from "./record.ts"

/** What the properties and seeded bugs of the on-demand paging of 2014 see. */
export interface OdpWorld2014 {
  readonly mm: Mm
  readonly context: IbUcontext
  readonly umems: ReadonlyArray<Umem2014>
  readonly windows: Windows
  readonly record: Record2014
  readonly locking: Locking
}

export interface Shape {
  readonly pages: number
  /** CPUs whose threads of the process invalidate, once each. */
  readonly cpus: number
  /** Which calls invalidate; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /** Queues of the device, each with a umem of its own, of all memory: the first stores, the others load. */
  readonly nics: number
  /** Whether the memory is registered at the beginning; otherwise a thread registers it, umem by umem. */
  readonly registered: boolean
  /** Whether the device uses the memory; it does by default. */
  readonly accesses?: boolean
  /** Whether the pages have been read from swap, and nobody has stored to them since. */
  readonly swappedIn?: boolean
}

/** A process, its threads, and the queues of a device. */
export const odpWorld2014 = (shape: Shape): Setup<OdpWorld2014> => {
  const { pages, registered } = shape
  const cpus = names("cpu", shape.cpus)
  const nics = names("nic", shape.nics)
  // Who registers memory is a thread of the process too.
  const process = processOf({ pages, cpus, users: registered ? 0 : 1 })
  const { mm } = process
  if (shape.swappedIn === true) for (const va of mm.pte.keys()) swapIn(mm, va)
  const context = ibUcontext(mm)
  const umems = nics.map((_, position) => umem2014(context, `mr${position}`, { start: 0, end: pages }, registered))

  const access = Effect.fnUntraced(function* (umem: Umem2014, position: number) {
    if (!registered) yield* ibUmemOdpGet(umem)
    if (shape.accesses !== false) yield* rdmaAccess2014(umem, position % pages, position === 0 ? "nic0" : undefined)
  })
  const fibers = {
    ...Object.fromEntries(umems.map((umem, position) => [`nic${position}`, access(umem, position)] as const)),
    ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidator(process, position, shape.calls)] as const)),
  }
  const record = record2014(context, Object.keys(fibers))
  return {
    world: { mm, context, umems, windows: record.windows, record, locking: record.locking },
    fibers,
    monitors: record.monitors,
  }
}
