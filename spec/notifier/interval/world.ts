import * as Effect from "effect/Effect"
import { checkpoint, choose, type Setup, step } from "../../../checker/index.ts"
import { type MirrorDevice, mirrorDevice, mirrorFault, mirrorTearDown } from "../../../model/driver/mirror.ts"
import { userStore } from "../../../model/mm/access.ts"
import { type Folios, folioAlloc, folioOf, zeroes } from "../../../model/mm/folio.ts"
import { madvise } from "../../../model/mm/madvise.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import { present } from "../../../model/mm/pte.ts"
import { at, pagesOf } from "../../../model/mm/range.ts"
import { addNewAnonRmap } from "../../../model/mm/rmap.ts"
import { system } from "../../../model/mm/system.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { anonymous } from "../../../model/mm/vma.ts"
import {
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  type NotifierSubscriptions,
  treeInsert,
} from "../../../model/notifier/interval.ts"
import { names } from "../../define.ts"
import { recordWindows, type Windows } from "../windows.ts"
import { type History, history } from "./history.ts"

/** What the properties and seeded bugs of the interval notifier see. */
export interface IntervalWorld {
  readonly folios: Folios
  readonly mm: Mm
  readonly subs: NotifierSubscriptions
  readonly devices: ReadonlyArray<MirrorDevice>
  readonly windows: Windows
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
  const machine = system({ folios: shape.pages + shape.devices + shape.cpus, cgroups: ["mm", "other"] })
  const { folios } = machine
  const mm = addressSpace(machine, "mm", shape.pages, cpus)
  const devices = names("gpu", shape.devices).map((name, position) =>
    mirrorDevice(mm, name, { start: position === 0 ? 0 : shape.pages - 1, end: shape.pages }),
  )
  const comesAndGoes = (device: MirrorDevice) => devices.indexOf(device) >= shape.devices - shape.removals
  const { windows, monitor } = recordWindows(devices, cpus)
  const record = history(devices, windows, (device) => (comesAndGoes(device) ? "new" : "inserted"))

  for (const va of pagesOf({ start: 0, end: shape.pages })) populate(mm, va)
  for (const device of devices) if (!comesAndGoes(device)) treeInsert(mm.subscriptions, device.name)

  const fibers = [
    ...cpus.map((cpu, position) => [cpu, invalidator(mm, cpu, position, shape.rounds)] as const),
    ...devices.map((device) => [device.name, comesAndGoes(device) ? visitor(device) : mirrorFault(device)] as const),
    ...(shape.otherProcess ? [["other", otherProcess(folios)] as const] : []),
  ]
  return {
    world: { folios, mm, subs: mm.subscriptions, devices, windows, history: record },
    fibers: Object.fromEntries(fibers),
    monitors: [monitor, record.monitor],
  }
}

/** Maps a page that the process has stored to, and that all its CPUs have in their TLBs. */
export const populate = (mm: Mm, va: number): void => {
  const vma = { ...anonymous, pgoff: va, anonVmas: [mm.name] }
  const page = folioAlloc(mm.system.folios, mm.name)
  if (page === null) throw new RangeError(`there is no memory for page ${va}`)
  addNewAnonRmap(folioOf(mm.system.folios, page), vma)
  mm.rss.anon++
  at(mm.vma, va).value = vma
  at(mm.pte, va).value = present(page, "write", { dirty: true })
  for (const cache of mm.tlbs.values()) at(cache, va).value = { page, write: true, dirty: true }
}

const systemCalls = ["madvise(MADV_DONTNEED)", "munmap"] as const

/** A thread that gives back one page after the other, or all at once, and stores to them again in between. */
const invalidator = Effect.fnUntraced(function* (mm: Mm, cpu: string, first: number, rounds: number) {
  const whole = { start: 0, end: mm.pages }
  for (let round = 0; round < rounds; round++) {
    yield* checkpoint("round", round)
    const va = (first + round) % mm.pages
    const page = { start: va, end: va + 1 }
    if (round > 0 && !(yield* stores(mm, cpu, va))) return
    const options = mm.pages === 1 ? systemCalls : ([...systemCalls, "munmap everything"] as const)
    const syscall = yield* choose("syscall", options)
    if (syscall === "madvise(MADV_DONTNEED)") yield* Effect.ignore(madvise(mm, page, "MADV_DONTNEED"))
    else yield* Effect.ignore(munmap(mm, syscall === "munmap" ? page : whole))
  }
})

/** A store that only has to find a page: it leaves there what fresh pages hold. False when it ends in a signal. */
const stores = (mm: Mm, cpu: string, va: number) =>
  Effect.match(userStore(mm, cpu, va, zeroes), { onFailure: () => false, onSuccess: () => true })

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
const otherProcess = (folios: Folios) =>
  step("alloc_pages", ["other"], () => folioAlloc(folios, "other")?.pfn ?? "-ENOMEM")
