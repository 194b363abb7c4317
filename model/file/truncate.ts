/** Truncation and hole punching (mm/truncate.c, mm/memory.c: unmap_mapping_range). */
import type * as Effect from "effect/Effect"
import { guardedStep, procedure, self, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import { type Frame, folioLockWait, folioOf, folioPut, zeroes } from "../mm/folio.ts"
import { at, isWithin, pagesOf, type Range } from "../mm/range.ts"
import { mmOf, type Place } from "../mm/rmap.ts"
import type { System } from "../mm/system.ts"
import { type ZapDetails, zapPageRange } from "../mm/unmap.ts"
import { notifierRange } from "../notifier/events.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { addReader, downWrite, readWait, upRead, upWrite } from "../sync/rwsem.ts"
import { filemapGetFolio, filemapRemoveFolio, type Inode } from "./inode.ts"

/**
 * `ftruncate`: the size first, so that no fault brings a page back; then what is mapped, private copies too; then the
 * page cache; then once more what is mapped, for a fault may have made a private copy in between.
 *
 * @param size in pages
 * @throws Errno EINVAL for a size that cannot be
 */
export const truncate = procedure(function* (system: System, file: Inode, size: number) {
  if (!Number.isInteger(size) || size < 0 || size > file.cache.length) {
    return yield* new Errno({ call: "ftruncate", errno: "EINVAL" })
  }
  const beyond = { start: size, end: file.cache.length }
  yield* mutexLock(file.lock)
  yield* downWrite(file.invalidateLock, "filemap_invalidate_lock", [file.name])
  const before = yield* step("i_size_write", [file.name, size], () => {
    const previous = file.state.size
    file.state.size = size
    return previous
  })
  if (size < before) {
    yield* unmapMappingRange(system, file, beyond)
    yield* truncateInodePages(system, file, beyond)
    yield* unmapMappingRange(system, file, beyond)
    yield* freeBlocks(file, beyond)
  }
  yield* upWrite(file.invalidateLock, "filemap_invalidate_unlock", [file.name])
  yield* mutexUnlock(file.lock)
})

/**
 * `fallocate(FALLOC_FL_PUNCH_HOLE)`: pages in the middle go; private copies of them stay.
 *
 * @throws Errno EINVAL for a range that cannot be
 */
export const punchHole = procedure(function* (system: System, file: Inode, hole: Range) {
  if (!isWithin(file.cache.length, hole)) {
    return yield* new Errno({ call: "fallocate", errno: "EINVAL" })
  }
  yield* mutexLock(file.lock)
  yield* downWrite(file.invalidateLock, "filemap_invalidate_lock", [file.name])
  yield* unmapMappingRange(system, file, hole, { keepCows: true })
  yield* truncateInodePages(system, file, hole)
  yield* freeBlocks(file, hole)
  yield* upWrite(file.invalidateLock, "filemap_invalidate_unlock", [file.name])
  yield* mutexUnlock(file.lock)
})

/** `ext4_ext_remove_space`, or what another file system has: the blocks go back to it; what is read there is zeroes. */
const freeBlocks = (file: Inode, range: Range): Effect.Effect<void> =>
  step("ext4_ext_remove_space", [file.name, range.start, range.end], () => {
    for (const index of pagesOf(range)) at(file.disk, index).value = zeroes
  })

/** `unmap_mapping_range`: zaps every area that maps a part of the file, under `i_mmap_rwsem`. */
export const unmapMappingRange = procedure(function* (
  system: System,
  file: Inode,
  range: Range,
  details: ZapDetails = {},
) {
  const places = yield* guardedStep(
    "unmap_mapping_range",
    [file.name, range.start, range.end],
    () => file.mmapRwsem.state.writer === "",
    () => {
      addReader(file.mmapRwsem)
      return placesIn(system, file, range)
    },
    readWait(file.mmapRwsem),
  )
  for (const { mm, va } of places) {
    const window = notifierRange("CLEAR", "unmap_mapping_range", { start: va, end: va + 1 })
    yield* zapPageRange(mmOf(system, mm), window, details)
  }
  yield* upRead(file.mmapRwsem, "i_mmap_unlock_read", [file.name])
})

/** Where the pages of a file are mapped. Within a step. */
const placesIn = (system: System, file: Inode, range: Range): ReadonlyArray<Place> =>
  [...system.mms.values()].flatMap((mm) =>
    mm.vma.flatMap(({ value: vma }, va) =>
      vma !== null && vma.file === file.name && range.start <= vma.pgoff && vma.pgoff < range.end
        ? [{ mm: mm.name, va }]
        : [],
    ),
  )

/** `truncate_inode_pages_range`: takes the pages out of the cache, each locked, unmapped once more if it is mapped again. */
export const truncateInodePages = procedure(function* (system: System, file: Inode, range: Range) {
  const { folios } = system
  for (const index of pagesOf(range)) {
    const frame = yield* filemapGetFolio(system, file, index, "find_lock_entries")
    if (frame === null) continue
    const found = yield* lockForTruncation(system, file, frame)
    if (found === "gone") continue
    if (found === "mapped") yield* unmapMappingRange(system, file, { start: index, end: index + 1 })
    yield* step("truncate_inode_folio", [frame.pfn], () => {
      const folio = folioOf(folios, frame)
      folio.dirty = false
      filemapRemoveFolio(system, folio)
      folio.lru = false
      folio.lock = ""
      // The page cache's reference, and the look-up's.
      folioPut(folios, frame)
      folioPut(folios, frame)
    })
  }
})

/** Locks a folio and waits for its writeback; it may have left the file meanwhile, or have been mapped again. */
export const lockForTruncation = (
  system: System,
  file: Inode,
  frame: Frame,
): Effect.Effect<"gone" | "mapped" | "unmapped"> =>
  guardedStep(
    "folio_wait_writeback",
    [frame.pfn],
    () => {
      const folio = folioOf(system.folios, frame)
      return folio.lock === "" && !folio.writeback
    },
    () => {
      const folio = folioOf(system.folios, frame)
      if (folio.mapping !== file.name) {
        folioPut(system.folios, frame)
        return "gone"
      }
      folio.lock = self()
      return folio.mapcount > 0 ? "mapped" : "unmapped"
    },
    folioLockWait(system.folios, frame),
  )
