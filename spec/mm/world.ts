/** The small machine on which the memory-management core is checked: two processes of two pages, a file, a device. */
import * as Effect from "effect/Effect"
import { choose, fork, type Monitor, type Setup, step } from "../../checker/index.ts"
import { driverPgmaps, type MemoryType } from "../../model/deviceMemory/pgmap.ts"
import { type Gpu, gpuDevice } from "../../model/driver/gpu.ts"
import { type MirrorDevice, mirrorAccess, mirrorDevice } from "../../model/driver/mirror.ts"
import { type SvaDevice, svaDevice } from "../../model/driver/sva.ts"
import { type Inode, inode } from "../../model/file/inode.ts"
import type { Folios } from "../../model/mm/folio.ts"
import { addressSpace, type Mm } from "../../model/mm/mm.ts"
import type { Range } from "../../model/mm/range.ts"
import { type Cpu, cpu, trackCpus } from "../../model/mm/switch.ts"
import { type System, system } from "../../model/mm/system.ts"
import { tlbOf } from "../../model/mm/tlb.ts"
import { treeInsert } from "../../model/notifier/interval.ts"
import { recordWindows, type Windows } from "../notifier/windows.ts"
import { type Advised, recordAdvice } from "./advice.ts"
import { type Holders, recordHolders } from "./holders.ts"
import { type Memory, recordMemory } from "./memory.ts"
import { filed, type PageKind, page, prepare, prepareStranger } from "./pages.ts"
import { recordShootdowns, type Shootdowns } from "./shootdowns.ts"
import {
  noSlips,
  type Slips,
  watchCollapses,
  watchLookUps,
  watchMoves,
  watchProtections,
  watchSlips,
  watchWindows,
} from "./slips.ts"
import { recordWalks, type Walks } from "./walks.ts"

/** What the properties and seeded bugs of the memory-management core see. */
export interface MmWorld {
  readonly system: System
  readonly folios: Folios
  readonly parent: Mm
  readonly child: Mm
  readonly mms: ReadonlyArray<Mm>
  readonly file: Inode
  /** All that mirror the parent, those with memory of their own included. */
  readonly devices: ReadonlyArray<MirrorDevice>
  /** Of these, those with memory of their own. */
  readonly gpus: ReadonlyArray<Gpu>
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
  /** What MADV_DONTNEED has promised. */
  readonly advised: Advised
  /** Who is inside page tables without locks. */
  readonly walks: Walks
  /** Which flushes of the TLBs have returned. */
  readonly shootdowns: Shootdowns
}

/** Something that a fiber does: a system call, an access, the work of a kernel thread. */
export interface Operation {
  readonly id: string
  /**
   * What kind of fiber does it: a thread of the parent, one of the child, a device that walks the parent's page table
   * (`sva`), or a kernel thread of that name.
   */
  readonly actor: string
  /** Where it makes a difference. */
  readonly pages: ReadonlyArray<PageKind>
  readonly run: (world: MmWorld, fiber: string) => Effect.Effect<unknown, unknown>
}

/** An operation by which scenarios are called: its page says what it is. */
export interface NamedOperation extends Operation {
  /** In a sentence, with the function that the kernel does it by. */
  readonly summary: string
}

/** How large a machine is to be. */
export interface Machine {
  readonly devices: number
  /** Whether these only watch, and do not access the page. */
  readonly watching?: boolean
  /** The GPUs, by what kind of memory they have. */
  readonly gpus?: ReadonlyArray<MemoryType>
  /** Whose memory theirs all is (`pgmap->owner`); without it each has its own. */
  readonly gpuOwner?: string
  /** How much memory each of them has. */
  readonly gpuPages?: number
  /** How many pages each process has. */
  readonly mmPages?: number
  /** What each device mirrors of the parent. */
  readonly mirrored?: Range
  readonly folios?: number
  readonly swapSlots?: number
  readonly gatherBatch?: number
  /** How many lives of a page are told apart, where fibers go on for ever. */
  readonly lives?: number
  /** The CPUs, by their operation's number, that have not touched the page yet: their TLBs do not have it. */
  readonly cold?: ReadonlyArray<number>
  /** Whether the child is no child but a process of its own, with nothing at its page yet. */
  readonly stranger?: boolean
  readonly pagesPerTable?: number
  readonly mergesVmas?: boolean
  readonly looksAtPmds?: boolean
  /** Whether CPUs come to the parent and leave it. */
  readonly switching?: boolean
  /** The size of the file. */
  readonly filePages?: number
  /** What else is there when the race begins. Within a step. */
  readonly layOut?: (world: MmWorld) => void
}

/** Who is on a machine: the threads of the parent and of the child, and all fibers. */
export interface Crew {
  readonly parent: ReadonlyArray<string>
  readonly child: ReadonlyArray<string>
  readonly fibers: ReadonlyArray<string>
  /** Of the fibers, the devices that walk the parent's page table. */
  readonly sva?: ReadonlyArray<string>
}

/** Makes the machine and lets operations race on one page, of each of the given kinds in turn. */
export const race = (
  kinds: ReadonlyArray<PageKind>,
  operations: ReadonlyArray<Operation>,
  machine: Machine,
): Setup<MmWorld> => {
  const fibers = operations.map(({ actor }, slot) => `${actor}${slot}`)
  const slots = operations.map((_, slot) => slot)
  const { world, monitors } = build(machine, {
    parent: slots.map((slot) => `cpu${slot}`),
    child: slots.map((slot) => `child${slot}`),
    fibers,
    sva: fibers.filter((_, slot) => operations[slot]?.actor === "sva"),
  })
  const init = Effect.gen(function* () {
    const kind = yield* choose("page", kinds)
    yield* step("exec", [kind], () => {
      subscribe(world)
      prepare(world, page, kind)
      if (machine.stranger === true) prepareStranger(world.child)
      for (const slot of machine.cold ?? []) for (const entry of tlbOf(world.parent, `cpu${slot}`)) entry.value = null
      machine.layOut?.(world)
    })
    for (const [slot, operation] of operations.entries()) {
      const name = fibers[slot] ?? operation.id
      yield* fork(name, Effect.ignore(operation.run(world, name)))
    }
    for (const device of machine.watching === true ? [] : world.devices.slice(0, machine.devices))
      yield* fork(device.name, mirrorAccess(device, page, storesTo(kind) ? device.name : undefined))
  })
  return { world, fibers: { init }, monitors }
}

/** Makes the machine, nothing mapped. */
export const build = (
  machine: Machine,
  crew: Crew,
): { readonly world: MmWorld; readonly monitors: ReadonlyArray<Monitor> } => {
  const gpuMemory = (machine.gpus ?? []).map((type, i) => ({
    name: `vram${i}`,
    type,
    owner: machine.gpuOwner ?? `card${i}`,
    pages: machine.gpuPages ?? 1,
  }))
  const of = system({
    devices: gpuMemory,
    lives: machine.lives,
    folios: machine.folios ?? 6,
    movable: 1,
    swapSlots: machine.swapSlots ?? 2,
    gatherBatch: machine.gatherBatch ?? 8,
    pagesPerTable: machine.pagesPerTable ?? 1,
    mergesVmas: machine.mergesVmas ?? true,
    looksAtPmds: machine.looksAtPmds ?? false,
    cgroups: ["parent", "child", "file"],
  })
  const parent = addressSpace(of, "parent", machine.mmPages ?? 2, crew.parent)
  const child = addressSpace(of, "child", machine.mmPages ?? 2, crew.child, 0)
  const filePages = machine.filePages ?? 1
  const contents = Array.from({ length: filePages }, (_, index) => filed(index))
  const file = inode(of, "file", { size: filePages, contents })
  const mirrors = Array.from({ length: machine.devices }, (_, i) =>
    mirrorDevice(parent, `gpu${i}`, machine.mirrored ?? { start: page, end: page + 1 }),
  )
  const gpus = driverPgmaps(of.folios).map((memory, i) => gpuDevice(parent, `card${i}`, memory))
  const devices = [...mirrors, ...gpus]
  const svaDevices = (crew.sva ?? []).map((name) => svaDevice(parent, name))
  const cpus = machine.switching === true ? crew.parent.map(cpu) : []
  if (cpus.length > 0) trackCpus(parent, cpus)
  const mms = [parent, child]
  const invalidators = [...crew.fibers, ...devices.map(({ name }) => name)]
  const windows = recordWindows(devices, invalidators)
  const slips = noSlips()
  const holders = recordHolders(of, invalidators, slips)
  const memory = recordMemory(of, mms, holders)
  const advised = recordAdvice(parent, crew.fibers)
  const walks = recordWalks(of, crew.fibers)
  const shootdowns = recordShootdowns(crew.fibers)
  const world: MmWorld = {
    system: of,
    folios: of.folios,
    parent,
    child,
    mms,
    file,
    devices,
    gpus,
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
    watchSlips(of, parent, file, slips),
    watchMoves(of, slips),
    watchCollapses(slips),
    watchLookUps(of, slips),
    watchWindows(of, slips),
    watchProtections(of, slips),
    advised.monitor,
    walks.monitor,
    shootdowns.monitor,
  ]
  return { world, monitors: gpus.length === 0 ? without(gpuSteps, monitors) : monitors }
}

/** What only GPUs do. */
const gpuSteps: ReadonlySet<string> = new Set(["folio_unlock, folio_put", "gpu_atomic", "gpu_store"])

/** The recorders without the steps that nobody takes on a machine. */
export const without = (names: ReadonlySet<string>, monitors: ReadonlyArray<Monitor>): ReadonlyArray<Monitor> =>
  monitors.map((monitor) => Object.fromEntries(Object.entries(monitor).filter(([name]) => !names.has(name))))

/** Whether a device is to store there, once, or to load: a load of a page that is not the process's alone gives it a translation that must not last. */
const storesTo = (kind: PageKind): boolean => kind === "anon" || kind === "swap" || kind === "shared"

/** The devices watch. Within a step. */
export const subscribe = ({ devices }: MmWorld): void => {
  for (const device of devices) treeInsert(device.mm.subscriptions, device.name)
}
