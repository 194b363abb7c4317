import * as Effect from "effect/Effect"
import { checkpoint, choose, type Setup, step } from "../../../checker/index.ts"
import { type MirrorDevice, mirrorDevice, mirrorFault, mirrorTearDown } from "../../../model/driver/mirror.ts"
import { userAccess } from "../../../model/mm/fault.ts"
import { type Folios, folioAlloc, folios } from "../../../model/mm/folio.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { madviseDontneed, munmap } from "../../../model/mm/unmap.ts"
import {
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  type NotifierSubscriptions,
  treeInsert,
} from "../../../model/notifier/interval.ts"
import { type History, history } from "./history.ts"

/** What the properties and seeded bugs of the interval notifier see. */
export interface IntervalWorld {
  readonly folios: Folios
  readonly mm: Mm
  readonly subs: NotifierSubscriptions
  readonly devices: ReadonlyArray<MirrorDevice>
  readonly history: History
}

export interface Shape {
  /** Devices that mirror the process, each faulting once on all its pages. */
  readonly devices: number
  readonly pages: number
  /** CPUs that invalidate, and how often each does. */
  readonly cpus: number
  readonly rounds: number
  /** How many of the devices, the last ones, insert their subscription before the fault and remove it behind. */
  readonly removals: number
  /** Whether another process is after the freed pages. */
  readonly otherProcess: boolean
}

/** A process whose pages are present and in the TLBs of its CPUs, devices that mirror it, and CPUs that unmap from it. */
export const intervalWorld = (shape: Shape): Setup<IntervalWorld> => {
  const cpus = names("cpu", shape.cpus)
  const all = folios(shape.pages + shape.devices + shape.cpus)
  const mm = addressSpace("mm", shape.pages, cpus, all)
  const devices = names("gpu", shape.devices).map((name) => mirrorDevice(mm, name))
  const comesAndGoes = (device: MirrorDevice) => devices.indexOf(device) >= shape.devices - shape.removals
  const record = history(mm, devices, cpus, (device) => (comesAndGoes(device) ? "new" : "inserted"))

  for (const va of pagesOf({ start: 0, end: shape.pages })) {
    const frame = folioAlloc(all, mm.name)
    at(mm.pte, va).value = frame
    for (const cache of mm.tlbs.values()) at(cache, va).value = frame
  }
  for (const device of devices) if (!comesAndGoes(device)) treeInsert(mm.subscriptions, device.name)

  const fibers = [
    ...cpus.map((cpu) => [cpu, invalidator(mm, cpu, shape.rounds)] as const),
    ...devices.map((device) => [device.name, comesAndGoes(device) ? visitor(device) : resident(device)] as const),
    ...(shape.otherProcess ? [["other", otherProcess(all)] as const] : []),
  ]
  return {
    world: { folios: all, mm, subs: mm.subscriptions, devices, history: record },
    fibers: Object.fromEntries(fibers),
    monitors: [record.monitor],
  }
}

const names = (kind: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${kind}${i}`)

/** A thread that gives back one page after the other, in either way, and touches it again in between. */
const invalidator = Effect.fnUntraced(function* (mm: Mm, cpu: string, rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* checkpoint("round", round)
    const va = round % mm.pages
    const range = { start: va, end: va + 1 }
    if (round > 0 && !(yield* userAccess(mm, cpu, va))) return
    const syscall = yield* choose("syscall", ["madvise(MADV_DONTNEED)", "munmap"])
    yield* syscall === "munmap" ? munmap(mm, range) : madviseDontneed(mm, range)
  }
})

const whole = (device: MirrorDevice) => ({ start: 0, end: device.mm.pages })

/** A device that is subscribed all the time. */
const resident = (device: MirrorDevice) => mirrorFault(device, whole(device))

/** A device that subscribes, faults, and leaves: it unmaps before it removes its subscription, and then frees it. */
const visitor = Effect.fnUntraced(function* (device: MirrorDevice) {
  yield* mmuIntervalNotifierInsert(device.mm.subscriptions, device.iv)
  yield* mirrorFault(device, whole(device))
  yield* mirrorTearDown(device)
  yield* mmuIntervalNotifierRemove(device.mm.subscriptions, device.iv)
  yield* step("kfree", [device.name], () => undefined)
})

/** Somebody else who gets a page if one is free. */
const otherProcess = (all: Folios) => step("alloc_pages", ["other"], () => folioAlloc(all, "other")?.pfn ?? "-ENOMEM")
