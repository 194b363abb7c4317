/**
 * A block device that offers its blocks for access by bytes, through windows of a PCIE BAR that it manages itself: which
 * block lies behind a window may change. LKML 2019-04-26, Direct block mapping through fs for device.
 */
import { type Struct, struct } from "../../checker/program/index.ts"
import { type Content, zeroes } from "../mm/folio.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"

export interface BlockDevice {
  readonly name: string
  /** Its own lock, which orders changes of windows; inside the file system's. */
  readonly lock: Mutex
  readonly blocks: ReadonlyArray<
    Struct<{
      content: Content
      /** The file that it belongs to, by name; empty when it is free. */
      owner: string
      /** References to it as a page, of which device_map takes none. */
      refcount: number
    }>
  >
  readonly windows: ReadonlyArray<
    Struct<{
      block: number | null
      /** The block device is about to put another block behind it: nobody is given it meanwhile. */
      moving: boolean
    }>
  >
}

/** Makes a block device, all of it free. */
export const blockDevice = (name: string, blocks: number, windows: number): BlockDevice => {
  const nothing: { block: number | null; moving: boolean } = { block: null, moving: false }
  return {
    name,
    lock: mutex(`${name}.lock`),
    blocks: Array.from({ length: blocks }, (_, i) =>
      struct(`${name}.block${i}`, { content: zeroes, owner: "", refcount: 0 }),
    ),
    windows: Array.from({ length: windows }, (_, i) => struct(`${name}.window${i}`, nothing)),
  }
}

/** A block by its number. */
export const block = ({ name, blocks }: BlockDevice, number: number): BlockDevice["blocks"][number] => {
  const found = blocks[number]
  if (found === undefined) throw new RangeError(`${name} has no block ${number}`)
  return found
}

/** A window by its number. */
export const windowOf = ({ name, windows }: BlockDevice, number: number): BlockDevice["windows"][number] => {
  const found = windows[number]
  if (found === undefined) throw new RangeError(`${name} has no window ${number}`)
  return found
}

/** The lowest free block, zeroed, is the file's; `null` is ENOSPC. Within a step. */
export const takeBlock = (of: BlockDevice, owner: string): number | null => {
  const found = of.blocks.findIndex((one) => one.owner === "")
  if (found < 0) return null
  const taken = block(of, found)
  taken.owner = owner
  taken.content = zeroes
  return found
}

/**
 * The block device is asked for a window to a block, its lock held: one that shows it already, or one that shows nothing;
 * `null` is a refusal. Within a step.
 */
export const exposeBlock = ({ windows }: BlockDevice, number: number): number | null => {
  const shown = windows.findIndex((one) => one.block === number && !one.moving)
  const found = shown >= 0 ? shown : windows.findIndex((one) => one.block === null && !one.moving)
  const chosen = windows[found]
  if (chosen === undefined) return null
  chosen.block = number
  return found
}
