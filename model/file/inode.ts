/** Files: their size, what of them is cached (mm/filemap.c), and the locks that order faults against truncation. */
import type * as Effect from "effect/Effect"
import { assert, type Cell, cell, guardedStep, type Struct, self, struct } from "../../checker/program/index.ts"
import type { DaxMapping } from "../dax/daxMapping.ts"
import {
  type Content,
  type Folio,
  type Folios,
  type Frame,
  folioAlloc,
  folioOf,
  folioPut,
  isFrozen,
  zeroes,
} from "../mm/folio.ts"
import type { Mm } from "../mm/mm.ts"
import { at } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
import type { Vma } from "../mm/vma.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { type RwSem, rwSem } from "../sync/rwsem.ts"

/** `struct inode` and its `struct address_space`. */
export interface Inode {
  readonly name: string
  /** `i_size`, in pages. */
  readonly state: Struct<{ size: number }>
  /** `i_pages`: the page cache, by page. */
  readonly cache: ReadonlyArray<Cell<Frame | null>>
  /** What is on the disk, by page; of a shmem file, zeroes. */
  readonly disk: ReadonlyArray<Cell<Content>>
  /** Whether the file system wants to know of the first store to a clean page (`vma_needs_dirty_tracking`): shmem does not. */
  readonly tracksDirty: boolean
  /** IS_DAX: its blocks are memory and are mapped themselves; it has no page cache. */
  readonly dax: DaxMapping | null
  /** What maps it has VM_PFNMAP, and page faults are its driver's: the file of a device. */
  readonly pfnmap: PfnmapOps | null
  /** `i_rwsem` */
  readonly lock: Mutex
  /** `mapping->invalidate_lock`: keeps pages out of the cache while they are being removed. */
  readonly invalidateLock: RwSem
  /** `i_mmap_rwsem` */
  readonly mmapRwsem: RwSem
}

/** `vm_ops` of areas with VM_PFNMAP. */
export interface PfnmapOps {
  /** The fault of a page that is not mapped, `mmap_lock` held for read; where it says `UNLOCKED` it has given that back. */
  readonly fault: (mm: Mm, va: number, vma: Vma) => Effect.Effect<"done" | "UNLOCKED">
}

/** What a file is made with. */
export interface FileShape {
  /** Its size, in pages. */
  readonly size: number
  /** The most it may grow to, in pages. */
  readonly maxSize?: number
  readonly tracksDirty?: boolean
  /** What is on the disk, by page; the rest is zeroes. */
  readonly contents?: ReadonlyArray<Content>
  readonly dax?: DaxMapping
  readonly pfnmap?: PfnmapOps
  /** Its size and what is on the disk, where the file system has an inode of its own. */
  readonly on?: { readonly state: Inode["state"]; readonly disk: Inode["disk"] }
}

/** Makes a file, nothing of it cached. */
export const inode = (of: System, name: string, shape: FileShape): Inode => {
  const pages = Array.from({ length: shape.maxSize ?? shape.size }, (_, index) => index)
  const made: Inode = {
    name,
    state: shape.on?.state ?? struct(name, { size: shape.size }),
    cache: pages.map((index) => cell<Frame | null>(`${name}.cache${index}`, null)),
    disk: shape.on?.disk ?? pages.map((index) => cell(`${name}.disk${index}`, shape.contents?.[index] ?? zeroes)),
    tracksDirty: shape.tracksDirty ?? true,
    dax: shape.dax ?? null,
    pfnmap: shape.pfnmap ?? null,
    lock: mutex(`${name}.i_rwsem`, "i_rwsem"),
    invalidateLock: rwSem(`${name}.invalidate_lock`, "invalidate_lock"),
    mmapRwsem: rwSem(`${name}.i_mmap_rwsem`, "i_mmap_rwsem"),
  }
  of.inodes.set(name, made)
  return made
}

/** The file of that name. */
export const inodeOf = (of: System, name: string): Inode => {
  const found = of.inodes.get(name)
  if (found === undefined) throw new RangeError(`there is no file ${name}`)
  return found
}

/** Whether an area has VM_PFNMAP. */
export const isPfnmap = (of: System, { file }: Vma): boolean => file !== null && inodeOf(of, file).pfnmap !== null

/** Whether the file has that page (`index < DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE)`). Within a step. */
export const withinSize = (file: Inode, index: number): boolean => index < file.state.size

/**
 * What a page of a file holds: as it is cached, or, until it has been read in, as it is on the disk. Within a step or
 * property.
 */
export const contentInFile = (all: Folios, file: Inode, index: number): Content => {
  const cached = at(file.cache, index).value
  const folio = cached === null ? null : folioOf(all, cached)
  return folio?.uptodate === true ? folio.content : at(file.disk, index).value
}

/**
 * `filemap_add_folio`, under the invalidate lock: a fresh folio in the page cache, which refers to it as the caller
 * does; locked, and nothing of the file in it yet. `null` when there is no memory. Within a step.
 */
export const filemapAddFolio = (of: System, file: Inode, index: number): Frame | null => {
  const frame = folioAlloc(of.folios, file.name)
  if (frame === null) return null
  const folio = folioOf(of.folios, frame)
  folio.refcount++
  folio.lock = self()
  folio.uptodate = false
  folio.mapping = file.name
  folio.offset = index
  folio.lru = true
  at(file.cache, index).value = frame
  return frame
}

/** `filemap_read_folio`: what is on the disk is in the page. Within a step. */
export const filemapReadFolio = (of: System, frame: Frame): void => {
  const folio = folioOf(of.folios, frame)
  folio.content = at(inodeOf(of, folio.mapping).disk, folio.offset).value
}

/** `folio_end_read`: says so, and gives the page to whoever waits for it. Within a step. */
export const folioEndRead = (of: System, frame: Frame): void => {
  const folio = folioOf(of.folios, frame)
  folio.uptodate = true
  folio.lock = ""
  folioPut(of.folios, frame)
}

/**
 * `__filemap_remove_folio`, the folio locked: it leaves the page cache, whose reference stays with the caller. Within a
 * step.
 */
export const filemapRemoveFolio = (of: System, folio: Folio): void => {
  const file = inodeOf(of, folio.mapping)
  const cached = at(file.cache, folio.offset)
  assert(cached.value?.pfn === folio.index, `page ${folio.index} leaves a page cache that does not have it`)
  cached.value = null
  folio.mapping = ""
}

/** A reference to what is cached of a page of a file, under the caller's name; `null` where nothing is. */
export const filemapGetFolio = (of: System, file: Inode, index: number, name: string): Effect.Effect<Frame | null> => {
  const cached = at(file.cache, index)
  return guardedStep(
    name,
    [file.name, index],
    () => !isFrozen(of.folios, cached.value),
    () => {
      if (cached.value !== null) folioOf(of.folios, cached.value).refcount++
      return cached.value
    },
  )
}
