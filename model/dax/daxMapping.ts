/**
 * Files on a device whose blocks are memory that the CPU reaches (fs/dax.c): the page cache has no copies, its entries say
 * which block lies behind which page, and page tables map the blocks themselves.
 */
import { type Struct, self, struct } from "../../checker/program/index.ts"
import { devPagemap } from "../deviceMemory/pgmap.ts"
import { type Folio, type Folios, type Frame, folioAlloc, folioOf, zeroes } from "../mm/folio.ts"
import type { System } from "../mm/system.ts"

/** A block of the device, the page it is, and the file that it belongs to, by name; empty when it is free. */
export interface DaxBlock {
  readonly frame: Frame
  readonly state: Struct<{ owner: string }>
}

/** `struct dax_device` with a file system on it. */
export interface DaxDevice {
  readonly name: string
  readonly blocks: ReadonlyArray<DaxBlock>
}

/** What the page cache says of a page of the file: nothing, that it is a hole, or the block, by its number. */
export type DaxEntry = null | "zero" | number

/** The mapping of a file, by page. */
export interface DaxMapping {
  readonly device: DaxDevice
  readonly pages: ReadonlyArray<
    Struct<{
      /** The extent map of the inode: which block it is; `null` is a hole. */
      extent: number | null
      /** `i_pages`, and the fiber that has the entry locked (DAX_LOCKED). */
      entry: DaxEntry
      lock: string
    }>
  >
}

/** Makes a device, all of its blocks free: pages that nobody refers to. */
export const daxDevice = (of: System, name: string, blocks: number): DaxDevice => {
  const pgmap = devPagemap({ name, type: "fsdax", owner: name, pages: blocks })
  return {
    name,
    blocks: Array.from({ length: blocks }, (_, number) => {
      const frame = folioAlloc(of.folios, name, "any")
      if (frame === null) throw new RangeError(`there is no memory for block ${number}`)
      of.folios.pgmaps.set(frame.pfn, pgmap)
      folioOf(of.folios, frame).refcount = 0
      return { frame, state: struct(`${name}.block${number}`, { owner: "" }) }
    }),
  }
}

/** Makes the mapping of a file of `pages` pages, all of them holes. */
export const daxMapping = (device: DaxDevice, file: string, pages: number): DaxMapping => {
  const hole: { extent: number | null; entry: DaxEntry; lock: string } = { extent: null, entry: null, lock: "" }
  return { device, pages: Array.from({ length: pages }, (_, index) => struct(`${file}.dax${index}`, hole)) }
}

/** A block by its number. */
export const blockOf = ({ blocks, name }: DaxDevice, block: number): DaxBlock => {
  const found = blocks[block]
  if (found === undefined) throw new RangeError(`${name} has no block ${block}`)
  return found
}

/** What is known of a page of the file. */
export const daxPage = ({ pages }: DaxMapping, index: number): DaxMapping["pages"][number] => {
  const found = pages[index]
  if (found === undefined) throw new RangeError(`page ${index} is beyond the file`)
  return found
}

/** The page that a block is. Within a step or property. */
export const folioOfBlock = (all: Folios, device: DaxDevice, block: number): Folio =>
  folioOf(all, blockOf(device, block).frame)

/** `xfs_bmapi_write` with XFS_BMAPI_ZERO: the lowest free block is the file's, zeroed; `null` is ENOSPC. Within a step. */
export const allocateBlock = (all: Folios, device: DaxDevice, file: string): number | null => {
  const block = device.blocks.findIndex(({ state }) => state.owner === "")
  if (block < 0) return null
  blockOf(device, block).state.owner = file
  folioOfBlock(all, device, block).content = zeroes
  return block
}

/** `dax_busy_page`: whether somebody besides page tables refers to the block of an entry. Within a step. */
export const isBusy = (all: Folios, { device }: DaxMapping, entry: DaxEntry): boolean => {
  if (entry === null || entry === "zero") return false
  const { refcount, mapcount } = folioOfBlock(all, device, entry)
  return refcount > mapcount
}

/** `dax_lock_entry`, of one that is not locked. Within a step. */
export const lockEntry = (page: DaxMapping["pages"][number]): void => {
  page.lock = self()
}
