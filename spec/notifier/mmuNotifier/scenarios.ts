import * as Effect from "effect/Effect"
import { checkpoint, type Parameter, type Property, type Scenario, scenario, step } from "../../../checker/index.ts"
import { type CountingDevice, countingDrop, countingFault } from "../../../model/driver/counting.ts"
import { refusingAtomicFault, refusingFault, refusingMigrate } from "../../../model/driver/refusing.ts"
import { secondaryTlbVisit } from "../../../model/driver/secondaryTlb.ts"
import { type TwoPassDevice, twoPassAccess, twoPassDrop } from "../../../model/driver/twoPass.ts"
import {
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuNotifier,
  mmuNotifierGet,
  mmuNotifierPut,
  mmuNotifierRegister,
  mmuNotifierUnregister,
} from "../../../model/notifier/mmuNotifier.ts"
import {
  damonPtepMkold,
  damonYoung,
  folioReferenced,
  madviseDontneed,
  mmgetNotZero,
  mmput,
  type NotifiedMm,
  oomReapTask,
  pageMkclean,
  reclaim,
  truncate,
} from "../../../model/notifier/notifiedMm.ts"
import { allEnd, exclusively, mmuNotifierProperties, readBegins, registerEnds, unregisterEnds } from "./properties.ts"
import { type MmuNotifierWorld, mmuNotifierWorld, names, type Parts, type Shape } from "./world.ts"

const parameter = (description: string, initial: number, max: number, min = 1): Parameter => ({
  description,
  default: initial,
  min,
  max,
})

const define = <const P extends { readonly [name: string]: Parameter }>(
  id: string,
  summary: string,
  parameters: P,
  shape: (bound: { readonly [name in keyof P]: number }) => Shape,
  promises: ReadonlyArray<Property<MmuNotifierWorld>> = [],
): Scenario<MmuNotifierWorld> =>
  scenario({
    id: `notifier/mmu/${id}`,
    summary,
    parameters,
    setup: (bound) => mmuNotifierWorld(shape(bound)),
    properties: [...mmuNotifierProperties, ...promises],
  })

/** Each processor announces a range under another lock: that of the file, the area, the anonymous area. */
const invalidations = [truncate, madviseDontneed, reclaim] as const

const invalidators = (mm: NotifiedMm, count: number) =>
  Object.fromEntries(
    invalidations.slice(0, count).map((call, cpu) => [`cpu${cpu}`, call(mm, { start: 0, end: mm.pages })] as const),
  )

const cpus = (initial: number, min = 1) => parameter("processors that take the pages away, once each", initial, 3, min)
const pages = parameter("pages of the process", 1, 3)

/** Every device faults on a page of its own, as far as there are. */
const faults = ({ mm, counting, refusing }: Parts) =>
  Object.fromEntries([
    ...counting.map((device, i) => [device.name, countingFault(device, i % mm.pages)] as const),
    ...refusing.map((device, i) => [device.name, refusingFault(device, i % mm.pages)] as const),
  ])

/** Whether anybody is told of an end without its start. */
export const register = define(
  "register",
  "devices register while ranges are being invalidated, and then fault; a signal may come first",
  {
    pages,
    devices: parameter("devices that register", 1, 2),
    cpus: cpus(2, 0),
    exit: parameter("whether the process exits", 1, 1, 0),
  },
  (bound) => ({
    pages: bound.pages,
    counting: bound.devices,
    registered: false,
    signals: true,
    subscribers: names("kvm", bound.devices),
    others: [...names("cpu", bound.cpus), ...(bound.exit === 1 ? ["exit"] : [])],
    fibers: ({ mm, counting }) => ({
      ...invalidators(mm, bound.cpus),
      ...(bound.exit === 1 ? { exit: mmput(mm) } : {}),
      ...Object.fromEntries(counting.map((device, i) => [device.name, registers(device, i % mm.pages)] as const)),
    }),
  }),
  registerEnds,
)

const registers = Effect.fnUntraced(function* (device: CountingDevice, va: number) {
  if (!(yield* mmgetNotZero(device.mm))) return
  const result = yield* mmuNotifierRegister(device.mm, device.notifier)
  yield* mmput(device.mm)
  if (result === "registered") yield* countingFault(device, va)
})

/** Whether the tree may come while somebody is between a start and an end. */
export const firstInsert = define(
  "first-insert",
  "devices insert the first interval subscriptions while ranges are being invalidated, fault, and remove them",
  { pages, devices: parameter("devices that subscribe", 1, 2), cpus: cpus(2) },
  (bound) => ({
    pages: bound.pages,
    twoPass: bound.devices,
    inserted: false,
    registered: false,
    signals: true,
    subscribers: names("gpu", bound.devices),
    others: names("cpu", bound.cpus),
    fibers: ({ mm, twoPass: devices }) => ({
      ...invalidators(mm, bound.cpus),
      ...Object.fromEntries(devices.map((device, i) => [device.name, inserts(device, i % mm.pages)] as const)),
    }),
  }),
)

const inserts = Effect.fnUntraced(function* (device: TwoPassDevice, va: number) {
  if (!(yield* mmuIntervalNotifierInsert(device.mm, device.iv))) return
  yield* twoPassAccess(device, va)
  yield* twoPassDrop(device)
  yield* mmuIntervalNotifierRemove(device.mm, device.iv)
})

/** Ranges that overlap in time, announced to the tree and to the list. */
export const overlapping = define(
  "overlapping",
  "processors invalidate at once while devices fault, on the list alone and on the interval tree as well",
  {
    pages,
    counting: parameter("devices that count invalidations", 1, 2, 0),
    refusing: parameter("devices with a subscription of either kind", 1, 1, 0),
    cpus: cpus(2),
  },
  (bound) => ({
    ...bound,
    registered: true,
    subscribers: [...names("kvm", bound.counting), ...names("svm", bound.refusing)],
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({ ...invalidators(parts.mm, bound.cpus), ...faults(parts) }),
  }),
)

/** What a refusal leaves behind. */
export const nonBlockable = define(
  "non-blockable",
  "the OOM reaper, which may not sleep, is refused by the second of two notifiers while its device faults",
  {
    pages,
    attempts: parameter("how often the reaper tries", 2, 3),
    cpus: cpus(0, 0),
  },
  (bound) => ({
    pages: bound.pages,
    counting: 1,
    refusing: 1,
    registered: true,
    subscribers: ["kvm0", "svm0"],
    others: ["oom_reaper", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      oom_reaper: oomReapTask(parts.mm, bound.attempts),
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
    }),
  }),
  allEnd,
)

/** Release twice, and at once. */
export const unregister = define(
  "unregister-vs-exit",
  "a device faults, unregisters and is freed while its process exits and its file is truncated",
  { pages, devices: parameter("devices that unregister", 1, 2), cpus: cpus(1, 0) },
  (bound) => ({
    pages: bound.pages,
    counting: bound.devices,
    registered: true,
    subscribers: names("kvm", bound.devices),
    others: ["exit", ...names("cpu", bound.cpus)],
    fibers: ({ mm, counting }) => ({
      exit: mmput(mm),
      ...invalidators(mm, bound.cpus),
      ...Object.fromEntries(counting.map((device, i) => [device.name, unregisters(device, i % mm.pages)] as const)),
    }),
  }),
  unregisterEnds,
)

/** What the grace period at exit is for. */
export const releaseOnce = define(
  "release-once",
  "a device whose second release leaves the work to the first unregisters while its process exits",
  { pages, devices: parameter("devices that unregister", 1, 2) },
  (bound) => ({
    pages: bound.pages,
    counting: bound.devices,
    releaseOnce: true,
    registered: true,
    subscribers: names("kvm", bound.devices),
    others: ["exit"],
    fibers: ({ mm, counting }) => ({
      exit: mmput(mm),
      ...Object.fromEntries(counting.map((device, i) => [device.name, unregisters(device, i % mm.pages)] as const)),
    }),
  }),
  unregisterEnds,
)

const unregisters = Effect.fnUntraced(function* (device: CountingDevice, va: number) {
  yield* countingFault(device, va)
  yield* mmuNotifierUnregister(device.mm, device.notifier)
  yield* step("kfree", [device.name], () => undefined)
})

/** One notifier for all who use a driver. */
export const getPut = define(
  "get-put",
  "users of one driver get its notifier, fault, let go and put it, while ranges are being invalidated",
  { pages, users: parameter("users of the driver", 2, 3), cpus: cpus(1) },
  (bound) => ({
    pages: bound.pages,
    counting: bound.users,
    oneDriver: true,
    registered: false,
    subscribers: names("user", bound.users),
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...Object.fromEntries(
        names("user", bound.users).map((name, i) => [name, getsAndPuts(parts, i % bound.pages)] as const),
      ),
    }),
  }),
)

const getsAndPuts = Effect.fnUntraced(function* ({ mm, counting }: Parts, va: number) {
  const got = yield* mmuNotifierGet(mm, "kvm")
  const device = counting.find(({ name }) => name === got)
  if (device === undefined) return
  yield* countingFault(device, va)
  yield* countingDrop(device, va)
  yield* mmuNotifierPut(mm, device.notifier)
})

/** Who used a page. */
export const young = define(
  "young",
  "reclaim and DAMON ask whether a page was used, by the process or by any device, while devices fault",
  {
    devices: parameter("devices", 2, 3, 2),
    asks: parameter("how often reclaim asks", 1, 3, 0),
    damon: parameter("how often DAMON makes the page old and asks", 1, 2, 0),
    cpus: cpus(0, 0),
  },
  (bound) => ({
    pages: 1,
    counting: bound.devices,
    registered: true,
    subscribers: names("kvm", bound.devices),
    others: ["kswapd", "kdamond", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      kswapd: repeat(bound.asks, folioReferenced(parts.mm, 0)),
      kdamond: repeat(bound.damon, Effect.andThen(damonPtepMkold(parts.mm, 0), damonYoung(parts.mm, 0))),
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
    }),
  }),
)

/** One after the other, as often as given. */
const repeat = Effect.fnUntraced(function* (times: number, what: Effect.Effect<unknown>) {
  for (let time = 0; time < times; time++) {
    yield* checkpoint("again", time)
    yield* what
  }
})

/** The two passes of an interval subscription. */
export const twoPass = define(
  "two-pass",
  "devices whose subscription has two passes load from a page while it is taken away; the OOM reaper is refused by a device behind them",
  {
    pages,
    devices: parameter("devices with two passes", 1, 2),
    cpus: cpus(2),
    attempts: parameter("how often the reaper tries", 0, 2, 0),
  },
  (bound) => ({
    pages: bound.pages,
    twoPass: bound.devices,
    refusing: bound.attempts > 0 ? 1 : 0,
    registered: true,
    subscribers: [...names("gpu", bound.devices), ...names("svm", bound.attempts > 0 ? 1 : 0)],
    others: ["oom_reaper", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...(bound.attempts > 0 ? { oom_reaper: oomReapTask(parts.mm, bound.attempts) } : {}),
      ...faults(parts),
      ...Object.fromEntries(
        parts.twoPass.map((device, i) => [device.name, twoPassAccess(device, i % parts.mm.pages)] as const),
      ),
    }),
  }),
)

/** Devices that walk the CPU's page table. */
export const secondaryTlb = define(
  "secondary-tlb",
  "devices that walk the page table are bound, load and are unbound while pages are taken away and the process exits",
  {
    pages,
    devices: parameter("devices", 1, 2),
    cpus: cpus(1, 0),
    exit: parameter("whether the process exits", 1, 1, 0),
  },
  (bound) => ({
    pages: bound.pages,
    secondaryTlb: bound.devices,
    registered: false,
    subscribers: ["both", ...names("smmu", bound.devices)],
    others: [...names("cpu", bound.cpus), ...(bound.exit === 1 ? ["exit"] : [])],
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...(bound.exit === 1 ? { exit: mmput(parts.mm) } : {}),
      both: registersBoth(parts.mm),
      ...Object.fromEntries(
        parts.secondaryTlb.map((device, i) => [device.name, secondaryTlbVisit(device, i % parts.mm.pages)] as const),
      ),
    }),
  }),
)

/** A driver that wants to hear of flushes and of ranges. */
const registersBoth = (mm: NotifiedMm) => {
  const notifier = mmuNotifier(mm.subs, "both", "both", {
    invalidateRangeStart: () => Effect.succeed(true),
    archInvalidateSecondaryTlbs: () => Effect.void,
  })
  return Effect.gen(function* () {
    if (!(yield* mmgetNotZero(mm))) return
    yield* mmuNotifierRegister(mm, notifier)
    yield* mmput(mm)
  })
}

/** Events of a device's own. */
export const ownMigrate = define(
  "own-migrate",
  "a device moves a page to its memory and ignores the event of it, while it and others fault on the page",
  { others: parameter("other devices", 1, 2, 0), cpus: cpus(0, 0) },
  (bound) => ({
    pages: 1,
    spare: 1,
    refusing: 1 + bound.others,
    registered: true,
    subscribers: names("svm", 1 + bound.others),
    others: ["migrate", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
      ...Object.fromEntries(parts.refusing.slice(0, 1).map((device) => ["migrate", refusingMigrate(device, 0)])),
    }),
  }),
)

export const ownExclusive = define(
  "own-exclusive",
  "a device has a page for itself and ignores the event of it, while others fault on the page",
  { others: parameter("other devices", 1, 2), cpus: cpus(0, 0) },
  (bound) => ({
    pages: 1,
    refusing: 1 + bound.others,
    registered: true,
    subscribers: names("svm", 1 + bound.others),
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
      ...Object.fromEntries(
        parts.refusing.slice(0, 1).map((device) => [device.name, refusingAtomicFault(device, 0)] as const),
      ),
    }),
  }),
  exclusively,
)

/** Those who wait for invalidations to end. */
export const readBegin = define(
  "read-begin",
  "a device that subscribes to the first page faults, while processors write pages back again and again, each its own",
  {
    pages: parameter("pages of the process", 2, 3),
    cpus: cpus(2),
    rounds: parameter("how often each processor writes back", 2, 4),
  },
  (bound) => ({
    pages: bound.pages,
    refusing: 1,
    registered: false,
    subscribers: ["svm0"],
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({
      ...Object.fromEntries(
        names("cpu", bound.cpus).map((cpu, i) => [cpu, writesBack(parts.mm, i % bound.pages, bound.rounds)] as const),
      ),
      ...faults(parts),
    }),
  }),
  readBegins,
)

const writesBack = Effect.fnUntraced(function* (mm: NotifiedMm, va: number, rounds: number) {
  for (let left = rounds; left > 0; left = yield* again(left - 1)) {
    yield* checkpoint("writeback", left)
    yield* pageMkclean(mm, { start: va, end: va + 1 })
  }
})

/** How often a processor is still to write back. */
const again = (left: number): Effect.Effect<number> => step("write_cache_pages", [left], () => left)

export const mmuNotifierScenarios = [
  register,
  firstInsert,
  overlapping,
  nonBlockable,
  unregister,
  releaseOnce,
  getPut,
  young,
  twoPass,
  secondaryTlb,
  ownMigrate,
  ownExclusive,
  readBegin,
]
