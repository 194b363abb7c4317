import * as Effect from "effect/Effect"
import type { Setup } from "../../../checker/index.ts"
import { type ImplicitMr, implicitAccess, implicitMr } from "../../../model/driver/mlx5Implicit.ts"
import { type Mlx5Dev, mlx5Dev, type OdpMr, odpMr, rdmaAccess } from "../../../model/driver/mlx5Odp.ts"
import { mmputWorker } from "../../../model/mm/exit.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { mappedPage } from "../../../model/mm/pte.ts"
import { at } from "../../../model/mm/range.ts"
import { treeInsert } from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { type Call, invalidator, processOf } from "../calls.ts"
import { swapIn } from "../dirtyAtUnmap.ts"
import type { Locking } from "../locksHeld.ts"
import { intervalSteps, recordWindows, type Windows } from "../windows.ts"
import { lockingOf } from "./locking.ts"
import { type OdpRecord, recordOdp } from "./record.ts"

/** What the properties and seeded bugs of on-demand paging see. */
export interface OdpWorld {
  readonly mm: Mm
  readonly dev: Mlx5Dev
  /** The region of all memory, where there is one. */
  readonly imr: ImplicitMr | undefined
  /** All regions with pages of their own: one of the application's, or the children of the implicit one. */
  readonly mrs: ReadonlyArray<OdpMr>
  /** The queues of the device that use it, by name. */
  readonly nics: ReadonlyArray<string>
  readonly windows: Windows
  readonly record: OdpRecord
  readonly locking: Locking
}

export interface Shape {
  readonly pages: number
  /** CPUs whose threads of the process invalidate, once each or, where it says so, in rounds. */
  readonly cpus: number
  readonly rounds?: number
  /** Queues of the device, each of which accesses a page once: the first stores, the others load. */
  readonly nics: number
  /** Whether the region is one of all memory. */
  readonly implicit?: boolean
  /** Whether it has a child from the beginning, by which the device uses the first page. */
  readonly child?: boolean
  /** Which calls invalidate; all by default. */
  readonly calls?: ReadonlyArray<Call>
  /** Whether the pages have been read from swap, and nobody has stored to them since. */
  readonly swappedIn?: boolean
  /** Who else is there. */
  readonly others?: (parts: Pick<OdpWorld, "dev" | "imr" | "mrs">) => {
    readonly [name: string]: Effect.Effect<unknown, unknown>
  }
}

/** The application's region. */
const region = "mr"

/** A process with memory that it has registered, all of it, its threads, and the queues of a device. */
export const odpWorld = (shape: Shape): Setup<OdpWorld> => {
  const { pages } = shape
  const cpus = names("cpu", shape.cpus)
  const nics = names("nic", shape.nics)
  // Where no thread invalidates, one waits.
  const process = processOf({ pages, cpus, users: cpus.length === 0 ? 1 : 0 })
  const { mm } = process
  if (shape.swappedIn === true) for (const va of mm.pte.keys()) swapIn(mm, va)
  const dev = mlx5Dev(mm)
  const imr = shape.implicit === true ? implicitMr(dev, region, 2) : undefined
  const own = imr === undefined ? [odpMr(dev, region, { start: 0, end: pages }, true)] : []
  for (const { umem } of own) treeInsert(mm.subscriptions, umem.name)
  const mrs = imr === undefined ? own : [...imr.places.values()]
  if (imr !== undefined && shape.child === true) adopt(imr)

  const access = (position: number) => {
    const content = position === 0 ? "nic0" : undefined
    if (imr !== undefined) return implicitAccess(imr, position % pages, content)
    return Effect.forEach(own, (mr) => rdmaAccess(dev, mr, position % pages, content))
  }
  const invalidates = (position: number) =>
    Effect.forEach(Array.from({ length: shape.rounds ?? 1 }), () => invalidator(process, position, shape.calls))
  const fibers = {
    ...Object.fromEntries(nics.map((nic, position) => [nic, access(position)] as const)),
    ...Object.fromEntries(cpus.map((cpu, position) => [cpu, invalidates(position)] as const)),
    ...shape.others?.({ dev, imr, mrs }),
  }
  const { windows, monitor } = recordWindows([...Object.keys(fibers), mmputWorker], intervalSteps)
  const record = recordOdp(mrs)
  const locking = lockingOf(mrs, imr, dev)
  return {
    world: { mm, dev, imr, mrs, nics, windows, record, locking },
    fibers,
    monitors: [monitor, record.monitor, locking.monitor],
  }
}

/** What a fault at the first page leaves behind. */
const adopt = ({ dev: { mm }, places, children, ksm }: ImplicitMr): void => {
  const [mr] = places.values()
  const page = mappedPage(at(mm.pte, 0).value)
  if (mr === undefined || page === null) throw new RangeError("there is no place for a child, or no page")
  const { name, umem, mkey, state, mtt } = mr
  Object.assign(state, { live: true, life: 1, private: true })
  // The reference is the table's.
  Object.assign(mkey, { exists: true, usecount: 1 })
  treeInsert(mm.subscriptions, umem.name)
  at(children, 0).value = at(ksm, 0).value = { name, life: 1 }
  at(umem.pfnList, 0).value = at(mtt, 0).value = { page, write: true }
}
