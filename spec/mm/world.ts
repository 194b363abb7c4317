/** The small machine on which the memory-management core is checked: two processes of two pages, a file, a device. */
import * as Effect from "effect/Effect"
import { choose, fork, type Monitor, type Setup, step } from "../../checker/index.ts"
import { type MirrorDevice, mirrorAccess, mirrorDevice } from "../../model/driver/mirror.ts"
import { type SvaDevice, svaDevice } from "../../model/driver/sva.ts"
import { type Inode, inode } from "../../model/file/inode.ts"
import { type Folio, type Folios, type Frame, folioAlloc, folioOf } from "../../model/mm/folio.ts"
import { addressSpace, type Mm, tableOf } from "../../model/mm/mm.ts"
import { type Access, type Pte, present } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { anonMapping } from "../../model/mm/rmap.ts"
import { type Cpu, cpu, trackCpus } from "../../model/mm/switch.ts"
import { type System, system } from "../../model/mm/system.ts"
import { anonymous, type Vma } from "../../model/mm/vma.ts"
import { treeInsert } from "../../model/notifier/interval.ts"
import { recordWindows, type Windows } from "../notifier/windows.ts"
import { type Advised, recordAdvice } from "./advice.ts"
import { type Holders, recordHolders } from "./holders.ts"
import { type Memory, recordMemory } from "./memory.ts"
import { recordShootdowns, type Shootdowns } from "./shootdowns.ts"
import { noSlips, type Slips, watchSlips } from "./slips.ts"
import { recordWalks, type Walks } from "./walks.ts"

/** What the properties and seeded bugs of the memory-management core see. */
export interface MmWorld {
  readonly system: System
  readonly folios: Folios
  readonly parent: Mm
  readonly child: Mm
  readonly mms: ReadonlyArray<Mm>
  readonly file: Inode
  readonly devices: ReadonlyArray<MirrorDevice>
  /** Devices that walk the parent's page table. */
  readonly svaDevices: ReadonlyArray<SvaDevice>
  /** The CPUs, where they come to the parent and leave it. */
  readonly cpus: ReadonlyArray<Cpu>
  readonly windows: Windows
  /** What the processes have stored, and may expect to find. */
  readonly memory: Memory
  /** Who holds pages that it got by their address. */
  readonly holders: Holders
  readonly slips: Slips
  readonly advised: Advised
  readonly walks: Walks
  readonly shootdowns: Shootdowns
}

/** What is at the page that everything is about when the race begins. */
export type PageKind = "none" | "zero" | "anon" | "cow" | "swap" | "shared" | "private"

/** The page that everything is about, and the other one, which is free: mremap moves there. */
export const page = 0
export const otherPage = 1

/** What is in the page at the beginning: in anonymous memory, and in the file. */
const stored = "old"
const filed = "file"

/** Something that a fiber does: a system call, an access, the work of a kernel thread. */
export interface Operation {
  readonly id: string
  /**
   * What kind of fiber does it: a thread of the parent, one of the child, a device that walks the parent's page table,
   * or a kernel thread of that name.
   */
  readonly actor: string
  /** Where it makes a difference. */
  readonly pages: ReadonlyArray<PageKind>
  readonly run: (world: MmWorld, fiber: string) => Effect.Effect<unknown, unknown>
}

/** How large a machine is to be. */
export interface Machine {
  readonly devices: number
  /** How many pages the processes have. */
  readonly mmPages?: number
  readonly folios?: number
  readonly gatherBatch?: number
  readonly pagesPerTable?: number
  readonly mergesVmas?: boolean
  readonly looksAtPmds?: boolean
  /** Whether CPUs come to the parent and leave it. */
  readonly switching?: boolean
  /** What else is there when the race begins. Within a step. */
  readonly layOut?: (world: MmWorld) => void
}

/** Makes the machine and lets operations race on one page, of each of the given kinds in turn. */
export const race = (
  kinds: ReadonlyArray<PageKind>,
  operations: ReadonlyArray<Operation>,
  machine: Machine,
): Setup<MmWorld> => {
  const fibers = operations.map(({ actor }, slot) => `${actor}${slot}`)
  const of = system({
    folios: machine.folios ?? 6,
    movable: 1,
    swapSlots: 2,
    gatherBatch: machine.gatherBatch ?? 8,
    pagesPerTable: machine.pagesPerTable ?? 1,
    mergesVmas: machine.mergesVmas ?? true,
    looksAtPmds: machine.looksAtPmds ?? false,
    cgroups: ["parent", "child", "file"],
  })
  const slots = operations.map((_, slot) => slot)
  const parent = addressSpace(
    of,
    "parent",
    machine.mmPages ?? 2,
    slots.map((slot) => `cpu${slot}`),
  )
  const child = addressSpace(
    of,
    "child",
    machine.mmPages ?? 2,
    slots.map((slot) => `child${slot}`),
    0,
  )
  const file = inode(of, "file", { size: 1, contents: [filed] })
  const devices = Array.from({ length: machine.devices }, (_, i) =>
    mirrorDevice(parent, `gpu${i}`, { start: page, end: page + 1 }),
  )
  const svaDevices = operations.flatMap(({ actor }, slot) =>
    actor === "sva" ? [svaDevice(parent, fibers[slot] ?? actor)] : [],
  )
  const cpus = machine.switching === true ? slots.map((slot) => cpu(`cpu${slot}`)) : []
  if (cpus.length > 0) trackCpus(parent, cpus)
  const mms = [parent, child]
  const invalidators = [...fibers, ...devices.map(({ name }) => name)]
  const windows = recordWindows(devices, invalidators)
  const slips = noSlips()
  const holders = recordHolders(of, invalidators, slips)
  const memory = recordMemory(of, mms, holders)
  const advised = recordAdvice(parent, fibers)
  const walks = recordWalks(fibers)
  const shootdowns = recordShootdowns(fibers)
  const world: MmWorld = {
    system: of,
    folios: of.folios,
    parent,
    child,
    mms,
    file,
    devices,
    svaDevices,
    cpus,
    windows: windows.windows,
    memory,
    holders,
    slips,
    advised,
    walks,
    shootdowns,
  }
  const monitors: ReadonlyArray<Monitor> = [
    windows.monitor,
    ...holders.monitors,
    ...memory.monitors,
    watchSlips(of, parent, slips),
    advised.monitor,
    walks.monitor,
    shootdowns.monitor,
  ]
  const init = Effect.gen(function* () {
    const kind = yield* choose("page", kinds)
    yield* step("exec", [kind], () => {
      prepare(world, kind)
      machine.layOut?.(world)
    })
    for (const [slot, operation] of operations.entries()) {
      const name = fibers[slot] ?? operation.id
      yield* fork(name, Effect.ignore(operation.run(world, name)))
    }
    for (const device of devices)
      yield* fork(device.name, mirrorAccess(device, page, storesTo(kind) ? device.name : undefined))
  })
  return { world, fibers: { init }, monitors }
}

/** Whether a device is to store there, once, or to load: a load of a page that is not the process's alone gives it a translation that must not last. */
const storesTo = (kind: PageKind): boolean => kind === "anon" || kind === "swap" || kind === "shared"

/** Lays out the machine. Within a step. */
const prepare = (world: MmWorld, kind: PageKind): void => {
  for (const device of world.devices) treeInsert(device.mm.subscriptions, device.name)
  const { parent, child, memory } = world
  const vma = vmaFor(kind)
  at(parent.vma, page).value = vma
  const forked = kind === "cow" || kind === "shared"
  if (forked) {
    child.state.users = 1
    at(child.vma, page).value = kind === "cow" ? { ...vma, anonVmas: ["parent", "child"] } : vma
  }
  switch (kind) {
    case "none":
      return
    case "zero":
      at(parent.pte, page).value = { kind: "zero", access: "read" }
      return
    case "anon":
      mapAnon(world, parent, vma, "write")
      break
    case "cow": {
      const frame = mapAnon(world, parent, vma, "read")
      const folio = folioOf(world.folios, frame)
      folio.anonExclusive = false
      share(child, folio, present(frame, "read", { dirty: true, young: false }))
      child.rss.anon++
      memory.expect(child, page, stored)
      break
    }
    case "swap": {
      const slot = world.system.swap.allocate()
      if (slot === undefined) return
      slot.count = 1
      slot.content = stored
      parent.rss.swap++
      at(parent.pte, page).value = { kind: "swap", slot: slot.index, exclusive: true }
      break
    }
    case "shared":
    case "private":
      mapFile(world, kind)
      return
  }
  memory.expect(parent, page, stored)
}

const vmaFor = (kind: PageKind): Vma => {
  const file = kind === "shared" || kind === "private" ? "file" : null
  const anonVmas = kind === "anon" || kind === "cow" || kind === "swap" ? ["parent"] : []
  return { ...anonymous, pgoff: file === null ? page : 0, shared: kind === "shared", file, anonVmas }
}

/** A page in use by one more entry, translated by the CPUs that run the process. */
const share = (mm: Mm, folio: Folio, pte: Extract<Pte, { kind: "present" }>, va = page): void => {
  folio.refcount++
  folio.mapcount++
  Object.assign(tableOf(mm, va).state, { linked: true, live: true })
  at(mm.pte, va).value = pte
  for (const cache of mm.tlbs.values()) {
    at(cache, va).value = {
      page: pte.page,
      write: pte.access === "write",
      dirty: pte.dirty && pte.access === "write",
    }
  }
}

/** Maps the other page too, in the same area as the one that everything is about, or one of its own. Within a step. */
export const mapOther = (world: MmWorld, area: "same" | "own"): void => {
  const { parent, memory } = world
  const vma = { ...vmaFor("anon"), pgoff: otherPage, locked: area === "own" }
  at(parent.vma, otherPage).value = vma
  mapAnon(world, parent, vma, "write")
  memory.expect(parent, otherPage, stored)
}

const allocate = (world: MmWorld, cgroup: string): Frame => {
  const frame = folioAlloc(world.folios, cgroup)
  if (frame === null) throw new RangeError("the machine has no memory to begin with")
  return frame
}

export const mapAnon = (world: MmWorld, mm: Mm, vma: Vma, access: Access): Frame => {
  const frame = allocate(world, mm.name)
  const folio = folioOf(world.folios, frame)
  folio.refcount = 0
  Object.assign(folio, {
    anonExclusive: true,
    mapping: anonMapping(mm.name),
    offset: vma.pgoff,
    lru: true,
    content: stored,
  })
  share(mm, folio, present(frame, access, { dirty: true, young: false }), vma.pgoff)
  mm.rss.anon++
  return frame
}

const mapFile = (world: MmWorld, kind: "shared" | "private"): void => {
  const frame = allocate(world, "file")
  const folio = folioOf(world.folios, frame)
  Object.assign(folio, { mapping: "file", lru: true, content: filed })
  at(world.file.cache, 0).value = frame
  share(
    world.parent,
    folio,
    present(frame, kind === "shared" ? "write" : "read", { dirty: kind === "shared", young: false }),
  )
  world.parent.rss.file++
}
