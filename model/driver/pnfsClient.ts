/**
 * A client of pNFS with block layouts (fs/nfs/pnfs.c, fs/nfs/blocklayout, fs/nfs/callback_proc.c): it is given blocks of a
 * file, reads and writes them on the device without asking anybody, and gives them back when it is told to.
 */
import type * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  enterLoop,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import {
  type Export,
  type LayoutGot,
  nfsd4CbLayoutPrepare,
  nfsd4Layoutcommit,
  nfsd4Layoutget,
  nfsd4Layoutreturn,
} from "../lease/nfsdLayouts.ts"
import type { XfsInode } from "../lease/xfsFile.ts"
import { xfsFileBufferedWrite } from "../lease/xfsOperations.ts"
import { xfsFsGetUuid } from "../lease/xfsPnfs.ts"
import type { Content } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import { holding } from "../sync/holding.ts"

/** `struct pnfs_layout_segment`: a block of the file that the client may use, and under which number it was given. */
export type Segment = {
  readonly index: number
  readonly block: number
  readonly seqid: number
  readonly generation: number
}

/** A client and its layout of the one file. */
export interface PnfsClient {
  readonly name: string
  readonly server: Export
  readonly file: XfsInode
  /** `plh_segs` */
  readonly segments: Cell<ReadonlyArray<Segment>>
  readonly state: Struct<{
    /** Accesses to the device that are under way, each with a reference to its segment. */
    inflight: number
    /** `plh_outstanding`: LAYOUTGETs whose reply has not been dealt with. */
    outstanding: number
    /** NFS_LAYOUT_RETURN: nothing new begins with what is there. */
    returning: boolean
    /** Who holds the lock under which layouts are asked for, and recalled (NFS_LAYOUT_FIRST_LAYOUTGET). */
    getting: string
    /** The generation of the device as the client last asked for it (GETDEVICEINFO); -1 before. */
    device: number
  }>
  /** Blocks of the file that have been written and not been committed (NFS_INO_LAYOUTCOMMIT), ascending. */
  readonly uncommitted: Cell<ReadonlyArray<number>>
}

/** Makes a client that has no layout, and knows that generation of the device; -1 is none. */
export const pnfsClient = (name: string, server: Export, file: XfsInode, device: number): PnfsClient => ({
  name,
  server,
  file,
  segments: cell<ReadonlyArray<Segment>>(`${name}.plh_segs`, []),
  state: struct(`${name}.lo`, { inflight: 0, outstanding: 0, returning: false, getting: "", device }),
  uncommitted: cell<ReadonlyArray<number>>(`${name}.uncommitted`, []),
})

/** `pnfs_update_layout`: asks for a block of the file, unless it has it; whether it has it then. */
export const pnfsUpdateLayout = procedure(function* (client: PnfsClient, index: number, mayFail: boolean = false) {
  const { name, state, segments, server, file } = client
  const wait = {
    on: `${name}'s layout`,
    kind: "layoutget",
    sleeps: true,
    hindrances: () => holding(state.getting),
  }
  const has = yield* guardedStep(
    "pnfs_update_layout",
    [name, index],
    () => state.getting === "" && !state.returning,
    () => {
      if (segments.value.some((segment) => segment.index === index)) return true
      state.getting = self()
      state.outstanding++
      return false
    },
    wait,
  )
  if (has) return true
  const got: LayoutGot = yield* nfsd4Layoutget(server, file, name, index, mayFail)
  const layout = typeof got === "string" ? null : got
  const known = yield* step("pnfs_layout_process", [name, index], () => {
    state.outstanding--
    if (layout === null) return null
    const { extent, generation } = layout.iomap
    if (extent !== null) {
      segments.value = [...segments.value, { index, block: extent.block, seqid: layout.seqid, generation }]
    }
    return generation === state.device
  })
  if (known === false) yield* blFindGetDevice(client)
  yield* step("pnfs_clear_first_layoutget", [name], () => {
    state.getting = ""
  })
  return layout !== null
})

/** `bl_find_get_deviceid`: GETDEVICEINFO, for layouts of a device that the client does not know yet. */
const blFindGetDevice = procedure(function* ({ name, file, state }: PnfsClient) {
  const generation = yield* xfsFsGetUuid(file.mount)
  yield* step("bl_find_get_deviceid", [name], () => {
    state.device = generation
  })
})

/** `bl_write_pagelist` or `bl_read_pagelist`: whether the access could be made; without a layout, it could not. */
const access = procedure(function* (client: PnfsClient, index: number, write: boolean, content: Content) {
  const { name, state, segments, uncommitted, file } = client
  const { device } = file.mount
  const found = yield* step("pnfs_find_lseg", [name, index], () => {
    const segment = segments.value.find((each) => each.index === index)
    if (segment === undefined || state.returning || segment.generation !== state.device) return null
    state.inflight++
    return segment
  })
  if (found === null) return false
  const done = yield* step("bl_submit_bio", [name, index, found.block, found.seqid, found.generation, write], () => {
    if (device.fenced.value.includes(name)) return false
    if (write) at(device.blocks, found.block).value = content
    return true
  })
  yield* step("bl_end_io", [name, index], () => {
    state.inflight--
    if (write && done) uncommitted.value = [...uncommitted.value.filter((each) => each !== index), index].sort()
  })
  return done
})

/** Writes a block of the file to the device. */
export const blWritePagelist = (client: PnfsClient, index: number, content: Content): Effect.Effect<boolean> =>
  access(client, index, true, content)

/**
 * Writes a block of the file to the device if that may be and, if not, by the server (`pnfs_write_through_mds`), which
 * recalls the layouts that there are.
 *
 * @returns whether it was written at all
 */
export const writeAnyhow = procedure(function* (client: PnfsClient, index: number, content: Content) {
  if (yield* blWritePagelist(client, index, content)) return true
  const goes = yield* step("pnfs_write_through_mds", [client.name, index], () => true)
  return goes && (yield* xfsFileBufferedWrite(client.file, index, content)) === "0"
})

/** Reads a block of the file from the device. */
export const blReadPagelist = (client: PnfsClient, index: number): Effect.Effect<boolean> =>
  access(client, index, false, "")

/** `pnfs_layoutcommit_inode`: tells the server what has been written, and that the file may have grown. */
export const pnfsLayoutcommit = procedure(function* ({ name, server, file, uncommitted }: PnfsClient) {
  const written = yield* step("pnfs_layoutcommit_inode", [name], () => {
    const indices = uncommitted.value
    uncommitted.value = []
    return indices
  })
  if (written.length === 0) return
  const end = Math.max(...written) + 1
  yield* nfsd4Layoutcommit(server, file, name, written, end)
})

/**
 * Gives back what was given before that number, nothing new having begun: what is under way is waited for, what was
 * written is committed.
 */
const returnLayout = procedure(function* (client: PnfsClient, before: number) {
  const { name, server, state, segments } = client
  yield* guardedStep(
    "pnfs_layout_need_return: lseg references",
    [name],
    () => state.inflight === 0,
    () => undefined,
    // What is under way is the client's own thread's.
    {
      on: `${name}'s accesses to the device`,
      kind: "lseg",
      sleeps: true,
      hindrances: () => holding(name, "makes them"),
    },
  )
  yield* pnfsLayoutcommit(client)
  yield* step("pnfs_free_lseg_list", [name], () => {
    segments.value = segments.value.filter((segment) => segment.seqid >= before)
  })
  yield* nfsd4Layoutreturn(server, name)
  yield* step("pnfs_layoutreturn_done", [name], () => {
    state.returning = false
  })
})

/** `_pnfs_return_layout`: the client is through with the file, unless its layout is being returned already. */
export const pnfsReturnLayout = procedure(function* (client: PnfsClient) {
  const { name, state, segments } = client
  const mine = yield* step("_pnfs_return_layout", [name], () => {
    if (state.returning || segments.value.length === 0) return false
    state.returning = true
    return true
  })
  if (mine) yield* returnLayout(client, Number.MAX_SAFE_INTEGER)
})

/**
 * `nfs4_callback_layoutrecall`, of the client's callback thread: everything that was given before the recall goes back,
 * once the replies that are under way have arrived.
 *
 * @param over when there will not be any more recalls
 */
export const nfs4CallbackLayoutrecall = procedure(function* (client: PnfsClient, over: () => boolean) {
  const { name, server, state, segments } = client
  const head = yield* enterLoop("nfs4_callback_layoutrecall")
  for (;;) {
    yield* head()
    const seqid = yield* nfsd4CbLayoutPrepare(server, name, over)
    if (seqid === null) return
    const mine = yield* guardedStep(
      "initiate_file_draining",
      [name, seqid],
      () => state.getting === "" && state.outstanding === 0,
      () => {
        // What the numbers say was given later stays.
        const recalled = segments.value.filter((segment) => segment.seqid < seqid)
        if (state.returning || recalled.length === 0) return false
        state.returning = true
        return true
      },
      { on: `${name}'s layout`, kind: "layoutget", sleeps: true, hindrances: () => holding(state.getting) },
    )
    if (mine) yield* returnLayout(client, seqid)
  }
})
