/** A file whose blocks are written without the page cache, and another that may share them, or get them next. */
import * as Effect from "effect/Effect"
import { cell, type Monitor, type Setup, type Struct, struct } from "../../../checker/index.ts"
import { type DaxFile, daxStore, daxTruncate, directWrite } from "../../../model/lease/xfsBlocks.ts"
import { type XfsInode, xfsInode, xfsMount } from "../../../model/lease/xfsFile.ts"
import { xfsAppend } from "../../../model/lease/xfsOperations.ts"
import { at } from "../../../model/mm/range.ts"
import { rwSem } from "../../../model/sync/rwsem.ts"
import { fibersNamed } from "../../define.ts"

/** What the properties and seeded bugs of blocks see. */
export interface BlocksWorld {
  readonly file: DaxFile
  readonly other: XfsInode
  /** What was last stored, and whether a write went to a block that is not, or not only, the file's. */
  readonly seen: Struct<{
    stored: string
    writes: number
    foreign: number
    /** Whether a store through a mapping was not in the file's block. */
    astray: number
  }>
  readonly threads: ReadonlyArray<string>
}

export interface Shape {
  /** Threads that store through the mapping, and that write directly. */
  readonly stores: number
  readonly writes: number
  readonly truncates: boolean
  /** Whether the block is there at first, and whether the other file shares it. */
  readonly written: boolean
  readonly shared: boolean
}

/** Makes them: files of one block. */
export const blocksWorld = (shape: Shape): Setup<BlocksWorld> => {
  const mount = xfsMount(3)
  const inode = xfsInode(mount, "file", 1, shape.written ? 1 : 0, null)
  inode.state.size = 1
  const other = xfsInode(mount, "other", 1, 0, null)
  if (shape.shared) at(other.extents, 0).value = at(inode.extents, 0).value
  const file: DaxFile = {
    inode,
    invalidateLock: rwSem("file.invalidate_lock", "invalidate_lock"),
    ilock: rwSem("file.ilock", "ilock"),
    pte: [cell<number | null>("file.pte0", null)],
    cow: [cell<number | null>("file.cow0", null)],
  }
  const seen = struct("seen", { stored: "", writes: 0, foreign: 0, astray: 0 })
  const fibers: Record<string, Effect.Effect<unknown, unknown>> = {
    ...fibersNamed("cpu", shape.stores, (name) => daxStore(file, 0, name)),
    ...fibersNamed("dio", shape.writes, (name) => directWrite(file, 0, name, [other])),
    ...(shape.truncates ? { truncate: Effect.andThen(daxTruncate(file), xfsAppend(other, "other")) } : {}),
  }
  return {
    world: { file, other, seen, threads: Object.keys(fibers) },
    fibers,
    monitors: [monitor(file, other, seen)],
  }
}

const monitor = ({ inode }: DaxFile, other: XfsInode, seen: BlocksWorld["seen"]): Monitor => ({
  user_store: ({ args: [, index, content], result }) => {
    if (result !== true) return
    seen.stored = String(content)
    const block = at(inode.extents, Number(index)).value?.block
    if (block === undefined || at(inode.mount.device.blocks, block).value !== content) seen.astray = 1
  },
  submit_bio: ({ args: [, block] }) => {
    seen.writes = 1
    const has = ({ extents }: XfsInode) => extents.some(({ value }) => value?.block === block)
    if (has(other)) seen.foreign = 1
  },
})
