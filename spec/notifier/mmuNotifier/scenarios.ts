import * as Effect from "effect/Effect"
import { type Parameter, type Property, type Scenario, scenario, step } from "../../../checker/index.ts"
import { type CountingDevice, countingDrop, countingFault } from "../../../model/driver/counting.ts"
import { refusingFault } from "../../../model/driver/refusing.ts"
import {
  mmuNotifierGet,
  mmuNotifierPut,
  mmuNotifierRegister,
  mmuNotifierUnregister,
} from "../../../model/notifier/mmuNotifier.ts"
import {
  folioReferenced,
  madviseDontneed,
  mmput,
  type NotifiedMm,
  oomReapTask,
  reclaim,
  truncate,
} from "../../../model/notifier/notifiedMm.ts"
import { allEnd, mmuNotifierProperties, registerEnds, unregisterEnds } from "./properties.ts"
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

/** Each processor announces a range under another lock: the file's, the area's, the anonymous area's. */
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
  { pages, devices: parameter("devices that register", 1, 2), cpus: cpus(2) },
  (bound) => ({
    pages: bound.pages,
    counting: bound.devices,
    registered: false,
    signals: true,
    subscribers: names("kvm", bound.devices),
    others: names("cpu", bound.cpus),
    fibers: ({ mm, counting }) => ({
      ...invalidators(mm, bound.cpus),
      ...Object.fromEntries(counting.map((device, i) => [device.name, registers(device, i % mm.pages)] as const)),
    }),
  }),
  registerEnds,
)

const registers = Effect.fnUntraced(function* (device: CountingDevice, va: number) {
  if ((yield* mmuNotifierRegister(device.mm, device.notifier)) === "registered") yield* countingFault(device, va)
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
  "reclaim asks twice whether a page was used, by the process or by any device, while devices fault",
  { devices: parameter("devices", 2, 3, 2), cpus: cpus(0, 0) },
  (bound) => ({
    pages: 1,
    counting: bound.devices,
    registered: true,
    subscribers: names("kvm", bound.devices),
    others: ["kswapd", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      kswapd: Effect.andThen(folioReferenced(parts.mm, 0), folioReferenced(parts.mm, 0)),
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
    }),
  }),
)

export const mmuNotifierScenarios = [register, overlapping, nonBlockable, unregister, releaseOnce, getPut, young]
