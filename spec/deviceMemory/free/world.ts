import * as Effect from "effect/Effect"
import { choose, type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import {
  chargeAnon,
  type DevPagemap,
  deviceFolioPut,
  devicePage,
  devPagemap,
  folioAddNewAnonRmap,
  folioNrPages,
  prepFolio,
} from "../../../model/deviceMemory/freeZoneDeviceFolio.ts"
import { type Devmem, devmem, devmemAlloc, devmemRemove } from "../../../model/driver/devmem.ts"
import { names } from "../../define.ts"

/** What a fiber that frees a folio is at. */
export type Freeing = {
  /** The pages whose reference to the page map it has still to drop, and the first of them; none is -1. */
  pages: number
  pfn: number
}

/** What has gone wrong so far. */
export type Slips = {
  /** The driver was given a folio that was not clean, was in use, or that it had. */
  unclean: boolean
  twice: boolean
  /** The driver was called, or a page used, behind the end of the page map. */
  afterEnd: boolean
}

/** What the properties and seeded bugs of device memory see. */
export interface DeviceFreeWorld {
  readonly pgmap: DevPagemap
  readonly devmem: Devmem
  readonly freeing: ReadonlyMap<string, Struct<Freeing>>
  readonly slips: Struct<Slips>
}

export interface Bound {
  /** Processes that have a reference each to the folio that is there from the beginning. */
  readonly holders: number
  /** Processes that migrate to the device. */
  readonly migrations: number
  readonly remove: number
}

const pages = 2
const cgroup = "memcg"

/** Two pages of a device, the upper of which is in use. */
export const deviceFreeWorld = (bound: Bound): Setup<DeviceFreeWorld> => {
  const pgmap = devPagemap("pgmap", pages, [cgroup])
  const memory = devmem(pgmap)
  memory.state.free = [0]
  prepFolio(pgmap, 1, 0)
  chargeAnon(pgmap, 1, cgroup)
  devicePage(pgmap, 1).state.refcount = bound.holders

  const fibers: Record<string, Effect.Effect<unknown>> = {
    ...Object.fromEntries(names("task", bound.holders).map((name) => [name, deviceFolioPut(pgmap, 1)])),
    ...Object.fromEntries(names("gpu", bound.migrations).map((name) => [name, migrates(memory)])),
    ...(bound.remove === 1 ? { rmmod: devmemRemove(memory) } : {}),
  }
  const none: Freeing = { pages: 0, pfn: -1 }
  const freeing = new Map(Object.keys(fibers).map((name) => [name, struct(`freeing.${name}`, none)]))
  const slips = struct<Slips>("slips", { unclean: false, twice: false, afterEnd: false })
  return {
    world: { pgmap, devmem: memory, freeing, slips },
    fibers,
    monitors: [monitor(pgmap, freeing, slips)],
  }
}

/** A page or two are moved to the device, and later freed. */
const migrates = Effect.fnUntraced(function* (memory: Devmem) {
  const pfn = yield* devmemAlloc(memory, yield* choose("order", [0, 1]))
  if (pfn === null) return
  yield* folioAddNewAnonRmap(memory.pgmap, pfn, cgroup)
  yield* deviceFolioPut(memory.pgmap, pfn)
})

const monitor = (pgmap: DevPagemap, freeing: DeviceFreeWorld["freeing"], slips: DeviceFreeWorld["slips"]): Monitor => ({
  folio_put: ({ fiber, args, result }) => {
    const mine = freeing.get(fiber)
    if (mine === undefined || result !== true) return
    mine.pfn = Number(args[0])
    mine.pages = folioNrPages(devicePage(pgmap, mine.pfn))
  },
  dmirror_devmem_free: ({ fiber, args }) => {
    const { state } = devicePage(pgmap, Number(args[0]))
    if (state.memcg !== "" || state.anonExclusive || state.mapping !== "" || state.refcount > 0) slips.unclean = true
    if (freeing.get(fiber)?.pfn !== Number(args[0])) slips.twice = true
    const mine = freeing.get(fiber)
    if (mine !== undefined) mine.pfn = -1
    if (!pgmap.state.mapped) slips.afterEnd = true
  },
  percpu_ref_put_many: ({ fiber }) => {
    const mine = freeing.get(fiber)
    if (mine !== undefined) mine.pages = 0
  },
})
