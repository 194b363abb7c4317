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
  /** Devices that mirror the process, each faulting once: the first on all its pages, the others on the last one. */
  readonly devices: number
  readonly pages: number
  /** CPUs that invalidate, and how often each does: CPU i begins with page i. */
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
  const devices = names("gpu", shape.devices).map((name, position) =>
    mirrorDevice(mm, name, { start: position === 0 ? 0 : shape.pages - 1, end: shape.pages }),
  )
  const comesAndGoes = (device: MirrorDevice) => devices.indexOf(device) >= shape.devices - shape.removals
  const record = history(mm, devices, cpus, (device) => (comesAndGoes(device) ? "new" : "inserted"))

  for (const va of pagesOf({ start: 0, end: shape.pages })) {
    const frame = folioAlloc(all, mm.name)
    at(mm.pte, va).value = frame
    for (const cache of mm.tlbs.values()) at(cache, va).value = frame
  }
  for (const device of devices) if (!comesAndGoes(device)) treeInsert(mm.subscriptions, device.name)

  const fibers = [
    ...cpus.map((cpu, position) => [cpu, invalidator(mm, cpu, position, shape.rounds)] as const),
    ...devices.map((device) => [device.name, comesAndGoes(device) ? visitor(device) : mirrorFault(device)] as const),
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

const systemCalls = ["madvise(MADV_DONTNEED)", "munmap"] as const

/** A thread that gives back one page after the other, or all at once, and touches them again in between. */
const invalidator = Effect.fnUntraced(function* (mm: Mm, cpu: string, first: number, rounds: number) {
  const whole = { start: 0, end: mm.pages }
  for (let round = 0; round < rounds; round++) {
    yield* checkpoint("round", round)
    const va = (first + round) % mm.pages
    if (round > 0 && !(yield* userAccess(mm, cpu, va))) return
    const options = mm.pages === 1 ? systemCalls : ([...systemCalls, "munmap everything"] as const)
    const syscall = yield* choose("syscall", options)
    if (syscall === "munmap") yield* munmap(mm, { start: va, end: va + 1 })
    else if (syscall === "munmap everything") yield* munmap(mm, whole)
    else yield* madviseDontneed(mm, { start: va, end: va + 1 })
  }
})

/**
 * A device that subscribes, faults, and leaves: it unmaps before it removes its subscription, and then frees it. Or it
 * thinks better of it and leaves at once.
 */
const visitor = Effect.fnUntraced(function* (device: MirrorDevice) {
  yield* mmuIntervalNotifierInsert(device.mm.subscriptions, device.iv)
  if ((yield* choose("use", ["fault", "leave"])) === "fault") {
    yield* mirrorFault(device)
    yield* mirrorTearDown(device)
  }
  yield* mmuIntervalNotifierRemove(device.mm.subscriptions, device.iv)
  yield* step("kfree", [device.name], () => undefined)
})

/** Somebody else who gets a page if one is free. */
const otherProcess = (all: Folios) => step("alloc_pages", ["other"], () => folioAlloc(all, "other")?.pfn ?? "-ENOMEM")
