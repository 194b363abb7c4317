import * as Effect from "effect/Effect"
import { choose } from "../../../checker/index.ts"
import { counterDetach } from "../../../model/driver/counter2008.ts"
import { rangeListDetach } from "../../../model/driver/rangeList2008.ts"
import type { Machine } from "../../../model/notifier/2008/machine.ts"
import { mmuNotifierRegister } from "../../../model/notifier/2008/mmuNotifier.ts"
import { shrinkPage, writePage } from "../../../model/notifier/2008/rmap.ts"
import { exit, madviseDontneed, munmap, truncate } from "../../../model/notifier/2008/unmap.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { properties2008 } from "./properties.ts"
import { counterVisit, rangeListVisit, visitors, world2008 } from "./world.ts"

const define = scenariosOf("notifier/2008", world2008, properties2008)

/** One processor invalidates all pages or the last one; the first may also truncate the file by that. */
const invalidator = Effect.fnUntraced(function* (of: Machine, cpu: number) {
  const { pages } = of.mm
  const whole = { start: 0, end: pages }
  const last = { start: pages - 1, end: pages }
  const calls = ["madvise(MADV_DONTNEED)", "munmap"] as const
  const call = yield* choose("syscall", cpu === 0 ? ([...calls, "ftruncate"] as const) : calls)
  if (call === "ftruncate") yield* truncate(of, pages - 1)
  else if (call === "munmap") yield* munmap(of, last)
  else yield* madviseDontneed(of, whole)
})

const invalidators = (of: Machine, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, cpu) => [`cpu${cpu}`, invalidator(of, cpu)] as const))

const invalidations = parameter("processors that unmap, give back or truncate, once each", 2, 3)
const pages = parameter("pages of the file", 2, 3)

/** Devices of one style each against ranges that are invalidated. */
export const counter = define(
  "counter",
  "a device that counts invalidations faults while processors invalidate ranges",
  { pages, invalidations, devices: parameter("devices", 1, 2) },
  (bound) => ({
    pages: bound.pages,
    accountsDirty: true,
    counters: bound.devices,
    fibers: (parts) => ({ ...invalidators(parts.machine, bound.invalidations), ...visitors(parts) }),
  }),
)

export const rangeList = define(
  "range-list",
  "a device that remembers ranges, and sleeps, faults while processors invalidate ranges",
  { pages, invalidations, devices: parameter("devices", 1, 2) },
  (bound) => ({
    pages: bound.pages,
    accountsDirty: true,
    rangeLists: bound.devices,
    fibers: (parts) => ({ ...invalidators(parts.machine, bound.invalidations), ...visitors(parts) }),
  }),
)

/** Who comes late: its device registers, and then faults. */
const registering = (
  name: string,
  summary: string,
  shape: { readonly counters?: number; readonly rangeLists?: number },
) =>
  define(
    name,
    summary,
    { pages, invalidations: parameter("processors that invalidate beside the one that truncates", 1, 2, 0) },
    (bound) => ({
      ...shape,
      pages: bound.pages,
      accountsDirty: true,
      registered: false,
      fibers: (parts) => ({
        cpu0: truncate(parts.machine, bound.pages - 1),
        ...Object.fromEntries(
          Array.from({ length: bound.invalidations }, (_, other) => [
            `cpu${other + 1}`,
            invalidator(parts.machine, other + 1),
          ]),
        ),
        ...Object.fromEntries(
          Object.entries(visitors(parts)).map(([device, visit]) => [
            device,
            Effect.andThen(mmuNotifierRegister(parts.machine, device), visit),
          ]),
        ),
      }),
    }),
  )

export const register = registering("register", "a device registers while the file is truncated, and then faults", {
  counters: 1,
})

/** The same of one that remembers ranges: it hears of the end of a range whose beginning it was not told. */
export const registerRangeList = registering(
  "register-range-list",
  "a device that remembers ranges registers while the file is truncated, and then faults",
  { rangeLists: 1 },
)

const both = {
  counters: parameter("devices that count", 1, 2, 0),
  rangeLists: parameter("devices that remember ranges", 1, 2, 0),
}

/** The rmap notifier, its sleep, and a partition that does not answer. */
export const reclaim = define(
  "reclaim",
  "a page is reclaimed that devices map and store to, while the process gives it back",
  { ...both, madvise: parameter("whether the process gives the page back", 1, 1, 0) },
  (bound) => ({
    pages: 1,
    accountsDirty: false,
    ...bound,
    fibers: (parts) => ({
      kswapd: shrinkPage(parts.machine, 0, false),
      ...(bound.madvise === 1 ? { cpu0: madviseDontneed(parts.machine, { start: 0, end: 1 }) } : {}),
      ...visitors(parts),
    }),
  }),
)

/** age_page, of several devices. */
export const age = define(
  "age",
  "a page is reclaimed unless somebody has used it",
  { counters: parameter("devices that count", 2, 3, 2) },
  (bound) => ({
    pages: 1,
    accountsDirty: false,
    counters: bound.counters,
    fibers: (parts) => ({
      kswapd: Effect.andThen(shrinkPage(parts.machine, 0, true), shrinkPage(parts.machine, 0, true)),
      ...visitors(parts),
    }),
  }),
)

/** page_mkclean, which takes no refusal. */
export const writeback = define(
  "writeback",
  "a page is written back, so that the next store to it is noticed, while devices store to it",
  { ...both, reclaim: parameter("whether the page is reclaimed too", 0, 1, 0) },
  (bound) => ({
    pages: 1,
    accountsDirty: true,
    ...bound,
    fibers: (parts) => ({
      pdflush: Effect.andThen(writePage(parts.machine, 0), writePage(parts.machine, 0)),
      ...(bound.reclaim === 1 ? { kswapd: shrinkPage(parts.machine, 0, false) } : {}),
      ...visitors(parts),
    }),
  }),
)

/** Who leaves, while callbacks run that sleep. */
export const unregister = define(
  "unregister",
  "a device faults, lets go, unregisters and is freed while a page is reclaimed and the file truncated",
  { truncate: parameter("whether the file is truncated too", 1, 1, 0) },
  (bound) => ({
    pages: 1,
    // A page is marked dirty by who lets go of it alone.
    accountsDirty: false,
    rangeLists: 1,
    fibers: ({ machine, rangeLists }) => ({
      kswapd: shrinkPage(machine, 0, false),
      ...(bound.truncate === 1 ? { cpu0: truncate(machine, 0) } : {}),
      ...Object.fromEntries(
        rangeLists.map((device) => [device.name, Effect.andThen(rangeListVisit(device), rangeListDetach(device))]),
      ),
    }),
  }),
)

/** Who leaves, while callbacks run that may not sleep, under a lock of the page table that nobody waits for. */
export const unregisterCounter = define(
  "unregister-counter",
  "a device that counts invalidations faults, lets go, unregisters and is freed while a page is reclaimed and given back",
  { madvise: parameter("whether the process gives the page back too", 1, 1, 0) },
  (bound) => ({
    pages: 1,
    // A page is marked dirty by who lets go of it alone.
    accountsDirty: false,
    counters: 1,
    fibers: ({ machine, counters }) => ({
      kswapd: shrinkPage(machine, 0, false),
      ...(bound.madvise === 1 ? { cpu0: madviseDontneed(machine, { start: 0, end: 1 }) } : {}),
      ...Object.fromEntries(
        counters.map((device) => [device.name, Effect.andThen(counterVisit(device), counterDetach(device))]),
      ),
    }),
  }),
)

/** release, when no thread of the process is left, but threads of others are about. */
export const exits = define(
  "exit",
  "a process exits, and its drivers free what they keep for it, while a page is reclaimed and the file truncated",
  { ...both, truncate: parameter("whether the file is truncated too", 1, 1, 0) },
  (bound) => ({
    pages: 1,
    // A page is marked dirty by who lets go of it alone.
    accountsDirty: false,
    ...bound,
    rangeLists: bound.rangeLists,
    fibers: (parts) => ({
      cpu0: exit(parts.machine),
      kswapd: shrinkPage(parts.machine, 0, false),
      ...(bound.truncate === 1 ? { cpu1: truncate(parts.machine, 0) } : {}),
      ...visitors(parts),
    }),
  }),
)

/** What becomes of the process, in the scenario of a device that hears of no ranges. */
const changes = Effect.fnUntraced(function* (of: Machine) {
  const whole = { start: 0, end: of.mm.pages }
  const call = yield* choose("syscall", ["madvise(MADV_DONTNEED)", "munmap", "ftruncate", "exit"])
  if (call === "ftruncate") yield* truncate(of, 0)
  else if (call === "munmap") yield* munmap(of, whole)
  else if (call === "exit") yield* exit(of)
  else yield* madviseDontneed(of, whole)
})

/** Who has only `release` and `invalidate_page`. */
export const engine = define(
  "dma-engine",
  "a device that hears of single pages and of the end of the process stores to a page that is unmapped, truncated, reclaimed and written back",
  {
    reclaim: parameter("whether the page is reclaimed", 1, 1, 0),
    writeback: parameter("whether it is written back", 1, 1, 0),
  },
  (bound) => ({
    pages: 1,
    accountsDirty: true,
    engines: 1,
    fibers: (parts) => ({
      cpu0: changes(parts.machine),
      ...(bound.reclaim === 1 ? { kswapd: shrinkPage(parts.machine, 0, false) } : {}),
      ...(bound.writeback === 1 ? { pdflush: writePage(parts.machine, 0) } : {}),
      ...visitors(parts),
    }),
  }),
)
