import * as Effect from "effect/Effect"
import { choose } from "../../../checker/index.ts"
import {
  type HmmMirrorDevice,
  hmmMirrorAttach,
  hmmMirrorDetach,
  hmmMirrorFault,
} from "../../../model/driver/hmmMirror.ts"
import type { Range } from "../../../model/mm/range.ts"
import {
  madviseDontneed2019,
  oomReapTask2019,
  reclaim2019,
  truncate2019,
} from "../../../model/notifier/mmuNotifier2019.ts"
import { mmput, type NotifiedMm } from "../../../model/notifier/notifiedMm.ts"
import { names, parameter, scenariosOf } from "../../define.ts"
import { faultsEnd, hmm2019Properties } from "./properties.ts"
import { hmm2019World, type Parts, type Shape } from "./world.ts"

const define = scenariosOf("hmm/2019", hmm2019World, hmm2019Properties)

const cpus = (initial: number, min = 0) =>
  parameter("processors that take a page away, once each, by truncation, madvise and reclaim", initial, 3, min)
const pages = parameter("pages of the process", 1, 2)
const devices = (initial: number) => parameter("devices, each on a page of its own as far as there are", initial, 2)

/** Those who announce a page, each under another lock: the file's, mmap_lock, the anonymous area's. */
const calls = [truncate2019, madviseDontneed2019, reclaim2019]

const invalidators = ({ mm }: Parts, count: number, first = 0) =>
  Object.fromEntries(
    [...calls.slice(first), ...calls.slice(0, first)].slice(0, count).map((call, cpu) => {
      const page = cpu % mm.pages
      return [`cpu${cpu}`, call(mm, { start: page, end: page + 1 })] as const
    }),
  )

const byName = (
  { devices: all }: Pick<Parts, "devices">,
  does: (device: HmmMirrorDevice) => Effect.Effect<unknown>,
): { readonly [name: string]: Effect.Effect<unknown> } =>
  Object.fromEntries(all.map((device) => [device.name, does(device)] as const))

/** Devices that have registered before pages are taken away. */
const registeredThat =
  (does: (device: HmmMirrorDevice) => Effect.Effect<unknown>) =>
  (bound: { readonly pages: number; readonly devices: number; readonly cpus: number }): Shape => ({
    ...bound,
    registered: bound.devices,
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({ ...invalidators(parts, bound.cpus), ...byName(parts, does) }),
  })

/** The heart of it. */
export const fault = define(
  "fault",
  "devices fault on pages that are being taken away",
  { pages, devices: devices(1), cpus: cpus(2) },
  registeredThat((device) => hmmMirrorFault(device, true)),
  faultsEnd,
)

/** Who holds mmap_lock behind an error. */
export const droppedLock = define(
  "dropped-lock",
  "devices fault on pages that are being taken away, and the process's own faults may drop mmap_lock",
  { pages, devices: devices(1), cpus: cpus(1) },
  registeredThat((device) => hmmMirrorFault(device, false)),
)

/**
 * Refusals, by who holds the driver's lock and by who holds the list of mirrors. Only who leaves the list does so:
 * who joins has mmap_lock, which the reaper does not wait for.
 */
export const nonBlockable = define(
  "non-blockable",
  "the OOM reaper, which may not sleep, takes the page of a device away that faults, while another unregisters",
  {
    attempts: parameter("how often the reaper tries", 2, 3),
    faults: parameter("whether the device faults", 1, 1, 0),
    leaves: parameter("whether another device unregisters meanwhile", 1, 1, 0),
    cpus: cpus(0),
  },
  (bound) => ({
    pages: 1,
    devices: 1 + bound.leaves,
    registered: 1 + bound.leaves,
    others: ["oom_reaper", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      oom_reaper: oomReapTask2019(parts.mm, bound.attempts),
      ...invalidators(parts, bound.cpus),
      ...byName({ devices: bound.faults === 1 ? parts.devices.slice(0, 1) : [] }, (gpu) => hmmMirrorFault(gpu, true)),
      ...byName({ devices: parts.devices.slice(1) }, hmmMirrorDetach),
    }),
  }),
)

const faultsAndCloses = (device: HmmMirrorDevice) =>
  Effect.andThen(hmmMirrorFault(device, true), hmmMirrorDetach(device))

/** `struct hmm` goes with its last mirror, while somebody is in a callback of its notifier. */
export const unregister = define(
  "unregister",
  "devices fault, let go of all and unregister while pages are being taken away",
  { pages, devices: devices(1), cpus: cpus(2) },
  registeredThat(faultsAndCloses),
)

/** Who registers takes all the locks under which somebody may be between a start and an end. */
const ways: { readonly [way: string]: (mm: NotifiedMm, pages: Range) => Effect.Effect<unknown> } = {
  truncate: truncate2019,
  madvise: madviseDontneed2019,
  reclaim: reclaim2019,
  "OOM reaper": (mm) => oomReapTask2019(mm, 1),
}

const anyWay = Effect.fnUntraced(function* (mm: NotifiedMm, cpu: number) {
  const start = cpu % mm.pages
  yield* ways[yield* choose("by", Object.keys(ways))]?.(mm, { start, end: start + 1 }) ?? Effect.void
})

/** The first mirror makes the struct. */
export const register = define(
  "register",
  "devices register, map a page or not, and unregister, while pages are being taken away under one lock or another",
  {
    pages,
    devices: devices(1),
    cpus: parameter("processors that take a page away, each in any way", 1, 3, 0),
  },
  (bound) => ({
    ...bound,
    registered: 0,
    others: names("cpu", bound.cpus),
    fibers: (parts) => ({
      ...Object.fromEntries(
        names("cpu", bound.cpus).map((cpu, position) => [cpu, anyWay(parts.mm, position)] as const),
      ),
      ...byName(parts, comesAndGoes),
    }),
  }),
)

/** Who comes later finds the struct of the first, or one that is going, and makes another. */
export const succession = define(
  "succession",
  "two devices register, map a page or not, and unregister",
  { pages },
  (bound) => ({
    ...bound,
    devices: 2,
    registered: 0,
    others: [],
    fibers: (parts) => byName(parts, comesAndGoes),
  }),
)

const comesAndGoes = Effect.fnUntraced(function* (device: HmmMirrorDevice) {
  if (!(yield* hmmMirrorAttach(device))) return
  if (yield* choose("user", [true, false])) yield* hmmMirrorFault(device, true)
  yield* hmmMirrorDetach(device)
})

/** The end of a process whose range a device is faulting on. */
export const exit = define(
  "exit",
  "a process exits while devices fault on its pages and one of them is taken away; then the devices are closed",
  { pages, devices: devices(1), cpus: cpus(1) },
  (bound) => ({
    ...bound,
    registered: bound.devices,
    others: ["exit", ...names("cpu", bound.cpus)],
    fibers: (parts) => ({
      exit: mmput(parts.mm),
      // Reclaim finds the pages of a process that is on its way out as well.
      ...invalidators(parts, bound.cpus, calls.indexOf(reclaim2019)),
      ...byName(parts, faultsAndCloses),
    }),
  }),
)

export const hmm2019Scenarios = [fault, droppedLock, nonBlockable, unregister, register, succession, exit]
