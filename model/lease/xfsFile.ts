/**
 * Files of a file system like XFS, seen by block: an extent map over a device that others can reach as well, and a page
 * cache in front of it. Pages are the size of blocks; who maps a page of the file is one bit per page.
 */
import { type Cell, cell, type Struct, struct } from "../../checker/program/index.ts"
import { type Inode, inode } from "../file/inode.ts"
import { type Content, zeroes } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import { type RwSem, rwSem } from "../sync/rwsem.ts"
import type { LeaseContext } from "./lease.ts"

/** A device that the server and its clients share. */
export interface BlockDevice {
  readonly blocks: ReadonlyArray<Cell<Content>>
  /** Clients whose registration was preempted (SCSI persistent reservations): what they submit fails. */
  readonly fenced: Cell<ReadonlyArray<string>>
}

/** `struct xfs_mount` */
export interface XfsMount {
  readonly device: BlockDevice
  /** Free blocks, ascending. */
  readonly free: Cell<ReadonlyArray<number>>
  readonly state: Struct<{
    /** `m_generation`: changes when the device is laid out anew; 0 at first. */
    generation: number
    /** XFS_OPSTATE_SHUTDOWN */
    shutdown: boolean
  }>
}

/** What is known of a block of a file: `XFS_EXT_NORM`, or allocated and to be read as zeroes. */
export type Extent = { readonly block: number; readonly unwritten: boolean }

/** A page of the page cache. */
export type CachedPage = { readonly content: Content; readonly dirty: boolean }

/** `struct xfs_inode` */
export interface XfsInode {
  readonly name: string
  readonly mount: XfsMount
  /** `XFS_IOLOCK`, and with it `XFS_MMAPLOCK` */
  readonly iolock: RwSem
  readonly state: Struct<{
    /** `i_size`, in blocks. */
    size: number
    /** XFS_DIFLAG2_REFLINK */
    reflink: boolean
    /** XFS_DIFLAG_REALTIME: its blocks are on another device. */
    realtime: boolean
    /** References by `get_user_pages` to blocks that are memory (DAX). */
    pins: number
    /** Shared mappings that allow stores (`i_mmap_writable`). */
    mmapWritable: number
  }>
  /** The data fork, by block of the file; `null` is a hole. Under `XFS_ILOCK`, within steps. */
  readonly extents: ReadonlyArray<Cell<Extent | null>>
  readonly cache: ReadonlyArray<Cell<CachedPage | null>>
  /** Whether a page table entry allows stores to that page of the cache. */
  readonly mapped: ReadonlyArray<Cell<boolean>>
  readonly leases: LeaseContext | null
  /** Whether its blocks are memory that can be mapped and pinned (IS_DAX). */
  readonly dax: boolean
  /** Its page cache, where processes map that: `cache` and `mapped`, which tell it in short, have no pages then. */
  readonly mapping: FileMapping | null
}

/** What of an inode its blocks are found by. */
type BlockMap = Omit<XfsInode, "mapping">

/** `i_mapping` with all that belongs to it: the machine whose processes map the file, and its pages. */
export interface FileMapping {
  readonly system: System
  readonly inode: Inode
}

/** Makes a file system all of whose blocks are free and hold what earlier owners left there. */
export const xfsMount = (blocks: number): XfsMount => {
  const all = Array.from({ length: blocks }, (_, block) => block)
  return {
    device: {
      blocks: all.map((block) => cell<Content>(`device.block${block}`, "stale")),
      fenced: cell<ReadonlyArray<string>>("device.fenced", []),
    },
    free: cell<ReadonlyArray<number>>("xfs.free", all),
    state: struct("xfs", { generation: 0, shutdown: false }),
  }
}

/**
 * Makes a file of so many blocks, the first `written` of which are allocated and hold its name.
 *
 * @param mappedOn the machine whose processes map it, if they do
 */
export const xfsInode = (
  mount: XfsMount,
  name: string,
  length: number,
  written: number,
  leases: LeaseContext | null,
  dax = false,
  mappedOn: System | null = null,
): XfsInode => {
  const indices = Array.from({ length }, (_, index) => index)
  const extents = indices.map((index) => cell<Extent | null>(`${name}.extent${index}`, null))
  for (const extent of extents.slice(0, written)) {
    const block = allocBlock(mount)
    if (block === null) throw new RangeError(`there is no block left for ${name}`)
    extent.value = { block, unwritten: false }
    at(mount.device.blocks, block).value = name
  }
  const inShort = mappedOn === null ? indices : []
  const file = {
    name,
    mount,
    iolock: rwSem(`${name}.iolock`, "iolock"),
    state: struct(name, { size: written, reflink: false, realtime: false, pins: 0, mmapWritable: 0 }),
    extents,
    cache: inShort.map((index) => cell<CachedPage | null>(`${name}.cache${index}`, null)),
    mapped: inShort.map((index) => cell(`${name}.mapped${index}`, false)),
    leases,
    dax,
  }
  return { ...file, mapping: mappedOn === null ? null : mappingOf(file, mappedOn) }
}

/** The page cache of a file that processes map, in front of its extents. */
const mappingOf = (file: BlockMap, system: System): FileMapping => {
  const disk = file.extents.map((_, index) => ({
    name: `${file.name}.disk${index}`,
    get value() {
      return contentOnDisk(file, index)
    },
    set value(content) {
      if (!writePage(file, index, content)) throw new RangeError(`there is no block left for ${file.name}`)
    },
  }))
  const { state } = file
  return { system, inode: inode(system, file.name, { size: state.size, maxSize: disk.length, on: { state, disk } }) }
}

/** `xfs_alloc_vextent`: the lowest free block. Within a step. */
export const allocBlock = ({ free }: XfsMount): number | null => {
  const [block, ...rest] = free.value
  if (block === undefined) return null
  free.value = rest
  return block
}

/** `xfs_free_extent`: it may be anybody's next. Within a step. */
export const freeBlock = ({ free }: XfsMount, block: number): void => {
  free.value = [...free.value, block].sort((a, b) => a - b)
}

/** What the disk has of a block of a file. Within a step or property. */
export const contentOnDisk = ({ mount, extents }: BlockMap, index: number): Content => {
  const extent = at(extents, index).value
  return extent === null || extent.unwritten ? zeroes : at(mount.device.blocks, extent.block).value
}

/** Writes a page to its block, which is found for it if it has none yet. Within a step. */
export const writePage = (file: BlockMap, index: number, content: Content): boolean => {
  const extent = at(file.extents, index)
  const block = extent.value?.block ?? allocBlock(file.mount)
  if (block === null) return false
  extent.value = { block, unwritten: false }
  at(file.mount.device.blocks, block).value = content
  return true
}
