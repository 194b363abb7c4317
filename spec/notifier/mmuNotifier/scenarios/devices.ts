/** Scenarios of what only some devices do or ask for. */
import * as Effect from "effect/Effect"
import { checkpoint, step } from "../../../../checker/index.ts"
import { refusingAtomicFault, refusingMigrate } from "../../../../model/driver/refusing.ts"
import { secondaryTlbVisit } from "../../../../model/driver/secondaryTlb.ts"
import { twoPassAccess } from "../../../../model/driver/twoPass.ts"
import { mmuNotifier, mmuNotifierRegister } from "../../../../model/notifier/mmuNotifier.ts"
import {
  mmgetNotZero,
  mmput,
  type NotifiedMm,
  oomReapTask,
  pageMkclean,
} from "../../../../model/notifier/notifiedMm.ts"
import { names, parameter } from "../../../define.ts"
import { accessesEnd, exclusively, readBegins } from "../promises.ts"
import type { Parts } from "../world.ts"
import { cpus, define, faults, invalidators, pages } from "./common.ts"

/** The two passes of an interval subscription. */
export const twoPass = define(
  "two-pass",
  "devices whose subscription has two passes load from a page while processors take it away at once",
  { pages, devices: parameter("devices with two passes", 1, 2), cpus: cpus(2) },
  (bound) => ({
    pages: bound.pages,
    twoPass: bound.devices,
    registered: true,
    subscribers: names("gpu", bound.devices),
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({ ...invalidators(parts.mm, bound.cpus), ...accesses(parts) }),
  }),
  accessesEnd,
)

export const twoPassRefused = define(
  "two-pass-refused",
  "devices whose subscription has two passes load from a page, and the OOM reaper is refused by a device behind them",
  {
    pages,
    devices: parameter("devices with two passes", 1, 2),
    attempts: parameter("how often the reaper tries", 1, 2),
    cpus: cpus(0, 0),
  },
  (bound) => ({
    pages: bound.pages,
    twoPass: bound.devices,
    refusing: 1,
    registered: true,
    subscribers: [...names("gpu", bound.devices), "svm0"],
    others: ["oom_reaper", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      oom_reaper: oomReapTask(parts.mm, bound.attempts),
      ...invalidators(parts.mm, bound.cpus),
      ...faults(parts),
      ...accesses(parts),
    }),
  }),
)

const accesses = (parts: Parts) =>
  Object.fromEntries(
    parts.twoPass.map((device, i) => [device.name, twoPassAccess(device, i % parts.mm.pages)] as const),
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
  {
    others: parameter("other devices", 1, 2, 0),
    cpus: cpus(0, 0),
    faults: parameter("whether the devices fault", 1, 1, 0),
  },
  (bound) => ({
    pages: 1,
    spare: 1,
    refusing: 1 + bound.others,
    registered: true,
    subscribers: names("svm", 1 + bound.others),
    others: ["migrate", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      ...invalidators(parts.mm, bound.cpus),
      ...(bound.faults === 1 ? faults(parts) : {}),
      ...Object.fromEntries(parts.refusing.slice(0, 1).map((device) => ["migrate", refusingMigrate(device, 0)])),
    }),
  }),
)

export const ownExclusive = define(
  "own-exclusive",
  "a device has a page for itself and ignores the event of it, while others fault on the page",
  { others: parameter("other devices", 1, 2, 0), cpus: cpus(0, 0) },
  (bound) => ({
    pages: 1,
    refusing: 1 + bound.others,
    forgets: true,
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
    pages: parameter("pages of the process", 2, 3, 2),
    cpus: cpus(2),
    rounds: parameter("how often each processor writes back", 2, 4),
  },
  (bound) => ({
    pages: bound.pages,
    refusing: 1,
    watched: { start: 0, end: 1 },
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
