import * as Effect from "effect/Effect"
import { choose, type Setup, type Struct, step } from "../../checker/index.ts"
import {
  allocateBlock,
  blockOf,
  type DaxDevice,
  type DaxMapping,
  daxDevice,
  daxMapping,
  daxPage,
  folioOfBlock,
} from "../../model/dax/daxMapping.ts"
import { daxPunchHole, daxTruncate } from "../../model/dax/truncate.ts"
import { type Inode, inode } from "../../model/file/inode.ts"
import { userLoad, userStore } from "../../model/mm/access.ts"
import { getUserPages, putUserPage, storeThrough } from "../../model/mm/gup.ts"
import { getUserPagesFast } from "../../model/mm/gupFast.ts"
import { addressSpace, type Mm } from "../../model/mm/mm.ts"
import { present } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { type System, system } from "../../model/mm/system.ts"
import { munmap } from "../../model/mm/unmap.ts"
import { anonymous } from "../../model/mm/vma.ts"
import { fibersNamed, names } from "../define.ts"
import { type DaxRecord, daxMonitor, daxRecord } from "./record.ts"

/** What the properties and seeded bugs of DAX see. */
export interface DaxWorld {
  readonly system: System
  readonly file: Inode
  readonly dax: DaxMapping
  readonly device: DaxDevice
  readonly mms: ReadonlyArray<Mm>
  readonly record: Struct<DaxRecord>
}

/** What the file system may be asked to do. */
export type FsCall = "ftruncate" | "fallocate(FALLOC_FL_PUNCH_HOLE)"

export interface Shape {
  /** Processes that store to a shared mapping of the file and load what is there. */
  readonly sharing: number
  /** Likewise of private mappings. */
  readonly copying?: number
  /** Devices that pin the page for a transfer: without locks, and with. */
  readonly fastPins?: number
  readonly slowPins?: number
  /** Devices that want to pin it for good. */
  readonly longterm?: number
  /** Whether a process unmaps its mapping of the file. */
  readonly unmaps?: number
  /** Calls that take blocks away. */
  readonly fsCalls: number
  readonly calls?: ReadonlyArray<FsCall>
  /** Other files that take a block. */
  readonly others: number
  /** Processes that map another file, a hole, and store to it and load. */
  readonly theirs?: number
  /** Whether the page is at the beginning a hole, or mapped by the first process. */
  readonly begins?: "hole" | "mapped"
  /** Processes that load twice. */
  readonly readers?: number
}

const name = "data"
const other = "other"

/** A file of one page on a device of one block, and processes that map it. */
export const daxWorld = (shape: Shape): Setup<DaxWorld> => {
  const copying = shape.copying ?? 0
  const readers = names("reader", shape.readers ?? 0)
  const sharers = [...names("mm", Math.max(1, shape.sharing)), ...readers]
  const copiers = names("private", copying)
  const machine = system({
    folios: 1 + 2 * copying,
    cgroups: ["pmem", ...sharers, ...copiers, "theirs0"],
    pagesPerTable: 1,
  })
  const device = daxDevice(machine, "pmem", 1)
  const dax = daxMapping(device, name, 1)
  const file = inode(machine, name, { size: 1, tracksDirty: false, dax })
  const mms = [...sharers, ...copiers].map((mm) => addressSpace(machine, mm, 1, [`cpu.${mm}`]))
  for (const mm of mms) at(mm.vma, 0).value = { ...anonymous, shared: !copiers.includes(mm.name), file: name }
  const record = daxRecord("0")
  const theirs = names("theirs", shape.theirs ?? 0).map((mm) => addressSpace(machine, mm, 1, [`cpu.${mm}`]))
  if (theirs.length > 0) {
    inode(machine, other, { size: 1, tracksDirty: false, dax: daxMapping(device, other, 1) })
    for (const mm of theirs) at(mm.vma, 0).value = { ...anonymous, shared: true, file: other }
  }
  const mm = mms[0]
  if (mm === undefined) throw new RangeError("there is no process")
  if (shape.begins !== "hole") daxPage(dax, 0).extent = allocateBlock(machine.folios, device, name)
  if (shape.begins === "mapped") mapBlock(mm, dax, 0)
  const fibers = {
    ...cpus(
      mms.filter(({ name }) => copiers.includes(name) || (shape.sharing > 0 && !readers.includes(name))),
      storeAndLoad,
    ),
    ...cpus(
      mms.filter(({ name }) => readers.includes(name)),
      loadTwice,
    ),
    ...cpus(theirs, storeAndLoad),
    ...fibersNamed("dio", shape.fastPins ?? 0, (by) => transfer(mm, by, true)),
    ...fibersNamed("nic", shape.slowPins ?? 0, (by) => transfer(mm, by, false)),
    ...fibersNamed("rdma", shape.longterm ?? 0, (by) => register(mm, by)),
    ...fibersNamed("munmap", shape.unmaps ?? 0, () => Effect.ignore(munmap(mm, { start: 0, end: 1 }))),
    ...fibersNamed("fs", shape.fsCalls, () => fsCall(machine, file, dax, shape.calls)),
    ...fibersNamed("other", shape.others, () => otherFile(machine, device)),
  }
  const monitor = daxMonitor(record, file, dax, (process) => {
    if (theirs.some((mm) => mm.name === process)) return "other"
    return copiers.includes(process) ? "private" : "shared"
  })
  return { world: { system: machine, file, dax, device, mms, record }, fibers, monitors: [monitor] }
}

/** The page of a process maps the block, as a fault leaves it. */
const mapBlock = (mm: Mm, dax: DaxMapping, block: number): void => {
  const folio = folioOfBlock(mm.system.folios, dax.device, block)
  daxPage(dax, 0).entry = block
  folio.mapping = name
  folio.refcount++
  folio.mapcount++
  mm.rss.file++
  at(mm.pte, 0).value = present(blockOf(dax.device, block).frame, "write", { dirty: true })
}

const loadTwice = (mm: Mm): Effect.Effect<void> => {
  const load = userLoad(mm, `cpu.${mm.name}`, 0)
  return Effect.ignore(Effect.andThen(load, load))
}

const storeAndLoad = (mm: Mm): Effect.Effect<void> => {
  const cpu = `cpu.${mm.name}`
  return Effect.ignore(Effect.andThen(userStore(mm, cpu, 0, mm.name), userLoad(mm, cpu, 0)))
}

/** Direct I/O: a device writes to the page. */
const transfer = (mm: Mm, by: string, fast: boolean): Effect.Effect<void> =>
  Effect.ignore(
    Effect.gen(function* () {
      const flags = { write: true, pin: true }
      const page = yield* fast ? getUserPagesFast(mm, 0, flags) : getUserPages(mm, 0, flags)
      yield* storeThrough(mm.system, page, by)
      yield* putUserPage(mm.system, page)
    }),
  )

/** A device registers the page as memory of its own (`ib_umem_get`): it pins it, and nobody knows for how long. */
const register = (mm: Mm, by: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const fast = yield* choose("pin_user_pages_fast", [true, false])
    const flags = { write: true, pin: true, longterm: true }
    const got = yield* Effect.result(fast ? getUserPagesFast(mm, 0, flags) : getUserPages(mm, 0, flags))
    yield* step("ib_umem_get", [by], () => got._tag === "Success")
  })

const fsCall = Effect.fnUntraced(function* (
  system: System,
  file: Inode,
  dax: DaxMapping,
  calls: ReadonlyArray<FsCall> = ["ftruncate", "fallocate(FALLOC_FL_PUNCH_HOLE)"],
) {
  const call = yield* choose("syscall", calls)
  if (call === "ftruncate") yield* daxTruncate(system, file, dax, 0)
  else yield* daxPunchHole(system, file, dax, { start: 0, end: 1 })
})

/** Another file gets a block, if there is one, and is written to. */
const otherFile = Effect.fnUntraced(function* (system: System, device: DaxDevice) {
  const block = yield* step("xfs_bmapi_write", [other], () => allocateBlock(system.folios, device, other))
  if (block === null) return
  yield* step("dax_iomap_iter: copy_from_iter", [other, block], () => {
    folioOfBlock(system.folios, device, block).content = other
  })
})

/** The blocks that do not belong to the file, and that nobody else may map either. Within a property. */
export const foreignBlocks = ({ device, system }: DaxWorld): ReadonlyArray<number> =>
  device.blocks.flatMap((_, block) => {
    const { owner } = blockOf(device, block).state
    return owner === name || (owner === other && system.inodes.has(other)) ? [] : [block]
  })

/** The blocks of another file. Within a property. */
export const othersBlocks = ({ device }: DaxWorld): ReadonlyArray<number> =>
  device.blocks.flatMap((_, block) => (blockOf(device, block).state.owner === other ? [block] : []))

export const contentsOfOther: ReadonlyArray<string> = ["0", other, "theirs0"]

/** A CPU of each process. */
const cpus = (mms: ReadonlyArray<Mm>, run: (mm: Mm) => Effect.Effect<unknown, unknown>) =>
  Object.fromEntries(mms.map((mm) => [`cpu.${mm.name}`, run(mm)]))
