/** Files: their size, what of them is cached (mm/filemap.c), and the locks that order faults against truncation. */
import type * as Effect from "effect/Effect"
import { assert, type Cell, cell, guardedStep, type Struct, struct } from "../../checker/program/index.ts"
import { type Content, type Folio, type Frame, folioAlloc, folioOf, isFrozen, zeroes } from "../mm/folio.ts"
import { at } from "../mm/range.ts"
import type { System } from "../mm/system.ts"
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
  /** `i_rwsem` */
  readonly lock: Mutex
  /** `mapping->invalidate_lock`: keeps pages out of the cache while they are being removed. */
  readonly invalidateLock: RwSem
  /** `i_mmap_rwsem` */
  readonly mmapRwsem: RwSem
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
}

/** Makes a file, nothing of it cached. */
export const inode = (of: System, name: string, shape: FileShape): Inode => {
  const pages = Array.from({ length: shape.maxSize ?? shape.size }, (_, index) => index)
  const made: Inode = {
    name,
    state: struct(name, { size: shape.size }),
    cache: pages.map((index) => cell<Frame | null>(`${name}.cache${index}`, null)),
    disk: pages.map((index) => cell<Content>(`${name}.disk${index}`, shape.contents?.[index] ?? zeroes)),
    tracksDirty: shape.tracksDirty ?? true,
    lock: mutex(`${name}.i_rwsem`),
    invalidateLock: rwSem(`${name}.invalidate_lock`),
    mmapRwsem: rwSem(`${name}.i_mmap_rwsem`),
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

/** Whether the file has that page (`index < DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE)`). Within a step. */
export const withinSize = (file: Inode, index: number): boolean => index < file.state.size

/**
 * `filemap_add_folio` and the read from the disk, under the invalidate lock: a fresh folio in the page cache, which
 * holds its one reference. False when there is no memory. Within a step.
 */
export const filemapAddFolio = (of: System, file: Inode, index: number): boolean => {
  const frame = folioAlloc(of.folios, file.name)
  if (frame === null) return false
  const folio = folioOf(of.folios, frame)
  folio.mapping = file.name
  folio.offset = index
  folio.lru = true
  folio.content = at(file.disk, index).value
  at(file.cache, index).value = frame
  return true
}

/** `__filemap_remove_folio`, the folio locked: it leaves the page cache, whose reference stays with the caller. Within a step. */
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
