/** Scenarios of subscriptions: how they come and go, and what they are called for. */
import * as Effect from "effect/Effect"
import { checkpoint, step } from "../../../../checker/index.ts"
import { type CountingDevice, countingDrop, countingFault } from "../../../../model/driver/counting.ts"
import { type TwoPassDevice, twoPassAccess, twoPassDrop } from "../../../../model/driver/twoPass.ts"
import type { IntervalSubscription } from "../../../../model/notifier/interval.ts"
import {
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuNotifierGet,
  mmuNotifierPut,
  mmuNotifierRegister,
  mmuNotifierSynchronize,
  mmuNotifierUnregister,
} from "../../../../model/notifier/mmuNotifier.ts"
import {
  damonPtepMkold,
  damonYoung,
  folioReferenced,
  mmgetNotZero,
  mmput,
  type NotifiedMm,
  oomReapTask,
} from "../../../../model/notifier/notifiedMm.ts"
import { names, parameter } from "../../../define.ts"
import { allEnd, registerEnds, unregisterEnds } from "../promises.ts"
import type { Parts } from "../world.ts"
import { cpus, define, faults, invalidators, pages } from "./common.ts"

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

/** What was put off until the end of an invalidation, and is not wanted any more. */
export const insertRemove = define(
  "insert-remove",
  "a device inserts its interval subscription, another one too and removes it at once, while the file is truncated",
  {},
  () => ({
    pages: 1,
    twoPass: 2,
    inserted: false,
    registered: false,
    subscribers: ["gpu0", "gpu1"],
    others: ["cpu0"],
    fibers: ({ mm, twoPass: devices }) => ({
      ...invalidators(mm, 1),
      ...Object.fromEntries(devices.map(({ name, iv }, i) => [name, insertsAlone(mm, iv, i === 1)] as const)),
    }),
  }),
)

const insertsAlone = Effect.fnUntraced(function* (mm: NotifiedMm, iv: IntervalSubscription, removes: boolean) {
  yield* mmuIntervalNotifierInsert(mm, iv)
  if (removes) yield* mmuIntervalNotifierRemove(mm, iv)
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
    faults: parameter("how many of the two devices fault, the one of the second notifier first", 2, 2, 0),
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
      ...faults({
        ...parts,
        refusing: parts.refusing.slice(0, bound.faults),
        counting: parts.counting.slice(0, Math.max(0, bound.faults - 1)),
      }),
    }),
  }),
  allEnd,
)

/** Release twice, and at once. */
export const unregister = define(
  "unregister-vs-exit",
  "a device faults, unregisters and is freed while its process exits and its file is truncated",
  {
    pages,
    devices: parameter("devices that unregister", 1, 2),
    others: parameter("devices that stay registered and do nothing", 0, 1, 0),
    cpus: cpus(1, 0),
    exit: parameter("whether the process exits", 1, 1, 0),
  },
  (bound) => ({
    pages: bound.pages,
    counting: bound.others + bound.devices,
    registered: true,
    subscribers: names("kvm", bound.others + bound.devices).slice(bound.others),
    others: [...names("cpu", bound.cpus), ...(bound.exit === 1 ? ["exit"] : [])],
    fibers: ({ mm, counting }) => ({
      ...invalidators(mm, bound.cpus),
      ...(bound.exit === 1 ? { exit: mmput(mm) } : {}),
      ...Object.fromEntries(
        counting.slice(bound.others).map((device, i) => [device.name, unregisters(device, i % mm.pages)] as const),
      ),
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
    signals: true,
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

/** A driver that is unloaded. */
export const moduleExit = define(
  "module-exit",
  "the only user of a driver gets its notifier, faults, lets go and puts it; then the module goes, while ranges are being invalidated",
  { pages, cpus: cpus(2) },
  (bound) => ({
    pages: bound.pages,
    counting: 1,
    oneDriver: true,
    registered: false,
    subscribers: ["rmmod"],
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      rmmod: getsAndPuts(parts, 0).pipe(
        Effect.andThen(mmuNotifierSynchronize(parts.mm)),
        Effect.andThen(step("free_module", ["kvm"], () => undefined)),
      ),
    }),
  }),
)

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
