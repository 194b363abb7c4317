/**
 * A file that a client has a layout of while a process of the server maps it: the process faults, stores and loads as all
 * processes do, and what it stores to is in the page cache until it is written back.
 */
import * as Effect from "effect/Effect"
import { cell, choose, fork, type Setup, type Struct, self, step } from "../../../checker/index.ts"
import {
  blWritePagelist,
  nfs4CallbackLayoutrecall,
  type PnfsClient,
  pnfsClient,
  pnfsReturnLayout,
  pnfsUpdateLayout,
} from "../../../model/driver/pnfsClient.ts"
import { writeback } from "../../../model/file/writeback.ts"
import { clockOf } from "../../../model/lease/clock.ts"
import { type Export, exportOf } from "../../../model/lease/nfsdLayouts.ts"
import { type FileMapping, type XfsInode, xfsInode, xfsMount } from "../../../model/lease/xfsFile.ts"
import { xfsAppend, xfsPunchHole, xfsSetattrSize } from "../../../model/lease/xfsOperations.ts"
import { userLoad, userStore } from "../../../model/mm/access.ts"
import { addressSpace, type Mm } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { system } from "../../../model/mm/system.ts"
import { munmap } from "../../../model/mm/unmap.ts"
import { anonymous, type Protection } from "../../../model/mm/vma.ts"
import { fibersNamed } from "../../define.ts"
import { type MappedRecord, mappedMonitor, mappedRecord } from "./record.ts"

/** What the properties and seeded bugs of mapped files see. */
export interface MappedWorld {
  readonly file: XfsInode
  readonly mapping: FileMapping
  /** Another file, which takes blocks that become free. */
  readonly other: XfsInode
  readonly server: Export
  readonly client: PnfsClient
  readonly mm: Mm
  readonly record: Struct<MappedRecord>
}

/** What the server does with the file itself. */
export type FileCall = "ftruncate" | "fallocate(FALLOC_FL_PUNCH_HOLE)"

export interface Shape {
  /** What the process may do with its mapping, how often it does, and whether it unmaps it then. */
  readonly prot: Protection
  readonly accesses: number
  readonly unmaps?: boolean
  /** Whether the process is the client's own, which asks for the layout on its behalf. */
  readonly own?: boolean
  /** How often pages are written back. */
  readonly writebacks?: number
  /** Whether the server is asked for one of these; the client has its layout by then. */
  readonly calls?: ReadonlyArray<FileCall>
}

const process = "cpu0"

/** Makes it: a file of one page. */
export const mappedWorld = (shape: Shape): Setup<MappedWorld> => {
  const machine = system({ folios: 2, cgroups: ["file", "mm"], pagesPerTable: 1 })
  const server = exportOf("file", ["client0"], clockOf("clock", 0, ["client0", process, "fs"]), 1, "fenced")
  const mount = xfsMount(2)
  const file = xfsInode(mount, "file", 1, 1, server.leases, false, machine)
  const other = xfsInode(mount, "other", 1, 0, null)
  const { mapping } = file
  if (mapping === null) throw new RangeError("nobody can map the file")
  const mm = addressSpace(machine, "mm", 1, [process])
  at(mm.vma, 0).value = { ...anonymous, shared: true, file: file.name, prot: shape.prot }
  const client = pnfsClient("client0", server, file, 0)
  const calls = shape.calls ?? []
  const threads = [process, ...(shape.own === true ? [] : [client.name]), ...(calls.length > 0 ? ["fs"] : [])]
  const running = cell<ReadonlyArray<string>>("running", threads)
  const ending = (does: Effect.Effect<unknown, unknown>) =>
    Effect.andThen(
      Effect.ignore(does),
      step("exit", () => {
        running.value = running.value.filter((name) => name !== self())
      }),
    )
  const record = mappedRecord()
  const flush = writeback(machine, mapping.inode, 0)
  const thread = ending(shape.own === true ? usesItself(mm, client) : storesAndLoads(mm, shape))
  const meanwhile = { [process]: thread, fs: ending(fileCall(file, other, calls)) }
  const fibers: Record<string, Effect.Effect<unknown, unknown>> = {
    ...(calls.length > 0 ? {} : { [process]: thread }),
    ...(shape.own === true ? {} : { [client.name]: ending(writes(client, calls.length > 0 ? meanwhile : null)) }),
    [`${client.name}-cb`]: nfs4CallbackLayoutrecall(client, () => running.value.length === 0),
    ...fibersNamed("flusher", shape.writebacks ?? 0, () => flush),
  }
  const world = { file, mapping, other, server, client, mm, record }
  return { world, fibers, monitors: [mappedMonitor(record)] }
}

/** A thread loads from the page or, if it may, stores to it. */
const storesAndLoads = Effect.fnUntraced(function* (mm: Mm, { accesses, prot, unmaps }: Shape) {
  for (let i = 0; i < accesses; i++) {
    const access = prot === "rw" ? yield* choose("access", ["store", "load"]) : "load"
    yield* Effect.ignore(access === "load" ? userLoad(mm, process, 0) : userStore(mm, process, 0, process))
  }
  if (unmaps === true) yield* Effect.ignore(munmap(mm, { start: 0, end: 1 }))
})

/** A process that has a device work on what it maps: it has to ask for the blocks, and has unmapped them before it is through. */
const usesItself = Effect.fnUntraced(function* (mm: Mm, client: PnfsClient) {
  yield* Effect.ignore(userLoad(mm, process, 0))
  yield* pnfsUpdateLayout(client, 0)
  yield* Effect.ignore(munmap(mm, { start: 0, end: 1 }))
  yield* blWritePagelist(client, 0, client.name)
  yield* pnfsReturnLayout(client)
})

/**
 * A client that writes what it is given.
 *
 * @param meanwhile what goes on from then on; it keeps its layout then until it is recalled
 */
const writes = Effect.fnUntraced(function* (client: PnfsClient, meanwhile: Setup<MappedWorld>["fibers"] | null) {
  yield* pnfsUpdateLayout(client, 0)
  for (const [name, does] of Object.entries(meanwhile ?? {})) yield* fork(name, does)
  yield* blWritePagelist(client, 0, client.name)
  if (meanwhile === null) yield* pnfsReturnLayout(client)
})

/** The file is truncated, or a hole is punched into it; its block goes to another. */
const fileCall = Effect.fnUntraced(function* (file: XfsInode, other: XfsInode, calls: ReadonlyArray<FileCall>) {
  const call = yield* choose("syscall", calls)
  if (call === "ftruncate") yield* xfsSetattrSize(file, 0)
  else yield* xfsPunchHole(file, { start: 0, end: 1 })
  yield* xfsAppend(other, other.name)
})
