/** Reverse mapping (mm/rmap.c, include/linux/rmap.h): counts of mappings, and who maps a folio. */
import * as Effect from "effect/Effect"
import { assert, guardedStep, self, step, type Wait } from "../../checker/program/index.ts"
import { addReader, type RwSem, readWait, upRead, writeWait } from "../sync/rwsem.ts"
import { type Folio, type Frame, folioOf, maybePinned, pagesOfFolio } from "./folio.ts"
import { hasTable, type Mm, spanOf } from "./mm.ts"
import { rmappedPage } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import type { System } from "./system.ts"
import type { Vma } from "./vma.ts"

/** How the mapping of an anonymous folio is called. */
export const anonMapping = (anonVma: string): string => `anon_vma ${anonVma}`

/** `folio_test_anon` */
export const isAnon = (folio: Folio): boolean => folio.mapping.startsWith("anon_vma")

/** Whether the swap cache or a file's page cache has it, and refers to it: a truncated page of a file is in neither. */
export const isCached = (folio: Folio): boolean => folio.swap !== null || (!isAnon(folio) && folio.mapping !== "")

/** `folio_add_new_anon_rmap` and `folio_add_lru`: a fresh folio's first mapping, exclusive. Within a step. */
export const addNewAnonRmap = (folio: Folio, vma: Vma): void => {
  folio.mapcount = 1
  folio.anonExclusive = true
  folio.mapping = anonMapping(vma.anonVmas.at(-1) ?? "")
  folio.offset = vma.pgoff
  folio.lru = true
}

/** `folio_add_anon_rmap_pte`: a mapping of a page that comes back from swap. Within a step. */
export const addAnonRmap = (folio: Folio, vma: Vma, exclusive: boolean): void => {
  folio.mapcount++
  folio.anonExclusive = exclusive
  if (isAnon(folio)) return
  // One that others may share belongs to them all: to the root.
  folio.mapping = anonMapping((exclusive ? vma.anonVmas.at(-1) : vma.anonVmas[0]) ?? "")
  folio.offset = vma.pgoff
}

/** `folio_add_file_rmap_pte`, `folio_dup_file_rmap_pte`. Within a step. */
export const addFileRmap = (folio: Folio): void => {
  folio.mapcount++
}

/** `folio_remove_rmap_pte`: the reference stays. Within a step. */
export const removeRmap = (folio: Folio): void => {
  assert(folio.mapcount > 0, `page ${folio.index} loses more mappings than it has`)
  folio.mapcount--
}

/**
 * `folio_try_dup_anon_rmap_pte`: shares the page with a child, unless it may be pinned; of a process that has never
 * pinned anything it is not (`folio_needs_cow_for_dma`). Within a step.
 */
export const tryDupAnonRmap = (folio: Folio, parent: Mm): boolean => {
  if (folio.anonExclusive && parent.state.hasPinned && maybePinned(folio)) return false
  folio.anonExclusive = false
  folio.mapcount++
  return true
}

/**
 * `folio_try_share_anon_rmap_pte`: takes PG_anon_exclusive away, unless the folio may be pinned. The entry was cleared
 * before, with a full barrier between: those who pin without locks look at it again behind their pin. Within a step.
 */
export const tryShareAnonRmap = (folio: Folio): boolean => {
  if (!folio.anonExclusive) return true
  if (maybePinned(folio)) return false
  folio.anonExclusive = false
  return true
}

/** A page of an address space. */
export type Place = { readonly mm: string; readonly va: number }

/** Where a folio may be mapped: the pages whose VMA has its mapping at its offset, as `rmap_walk` meets them. Within a step. */
export const placesOf = (system: System, frame: Frame): ReadonlyArray<Place> => {
  const folio = folioOf(system.folios, frame)
  return [...system.mms.values()].flatMap((mm) =>
    mm.vma.flatMap(({ value: vma }, va) => {
      if (vma === null || vma.pgoff !== folio.offset) return []
      const reaches = isAnon(folio)
        ? vma.anonVmas.some((name) => anonMapping(name) === folio.mapping)
        : vma.file === folio.mapping
      return reaches ? [{ mm: mm.name, va }] : []
    }),
  )
}

/** The address space of that name. */
export const mmOf = (system: System, name: string): Mm => {
  const mm = system.mms.get(name)
  if (mm === undefined) throw new RangeError(`there is no process ${name}`)
  return mm
}

/** The lock of the tree in which a mapping's VMAs are found: its inode's `i_mmap_rwsem`, or the anon_vma's. */
export const rmapLock = (system: System, mapping: string): RwSem =>
  system.inodes.get(mapping)?.mmapRwsem ?? system.anonVmaLock

/** The locks of the trees in which the VMA of a page is found. Within a step or guard. */
const treeLocks = (mm: Mm, va: number): ReadonlyArray<RwSem> => {
  const vma = at(mm.vma, va).value
  if (vma === null) return []
  const ofFile = vma.file === null ? [] : [rmapLock(mm.system, vma.file)]
  return vma.anonVmas.length === 0 ? ofFile : [...ofFile, rmapLock(mm.system, anonMapping(""))]
}

/**
 * Whether nobody walks or changes the trees in which the VMAs of a range are found: who adds one or takes one out has
 * `i_mmap_rwsem` and the anon_vma's lock for write. Within a step or guard.
 */
export const canChangeTrees = (mm: Mm, range: Range): boolean =>
  pagesOf(range).every((va) =>
    treeLocks(mm, va).every(({ state }) => state.readers.length === 0 && state.writer === ""),
  )

/** A wait for that. */
export const treesWait = (mm: Mm, range: Range): Wait => {
  const locks = () => [...new Set(pagesOf(range).flatMap((va) => treeLocks(mm, va)))]
  return {
    on: "i_mmap_rwsem and the lock of the anon_vma",
    kind: "i_mmap_rwsem",
    sleeps: true,
    takes: () => locks().map((lock) => ({ lock, shared: false })),
    hindrances: () => locks().flatMap((lock) => writeWait(lock).hindrances()),
  }
}

/** `take_rmap_locks`, of the VMA of a page, `mmap_lock` held for write: nobody walks to it until they are dropped. */
export const takeRmapLocks = (mm: Mm, va: number): Effect.Effect<void> =>
  guardedStep(
    "take_rmap_locks",
    [mm.name, va],
    () => canChangeTrees(mm, { start: va, end: va + 1 }),
    () => {
      for (const { state } of treeLocks(mm, va)) state.writer = self()
    },
    treesWait(mm, { start: va, end: va + 1 }),
  )

/** `drop_rmap_locks` */
export const dropRmapLocks = (mm: Mm, va: number): Effect.Effect<void> =>
  step("drop_rmap_locks", [mm.name, va], () => {
    for (const { state } of treeLocks(mm, va)) state.writer = ""
  })

type Visit<E, R> = (mm: Mm, va: number) => Effect.Effect<unknown, E, R>

/** `rmap_walk`, the folio locked: visits every place where the folio may be mapped, under the lock of their tree. */
export const rmapWalk = Effect.fnUntraced(function* <E, R>(system: System, frame: Frame, visit: Visit<E, R>) {
  const walk = yield* guardedStep(
    "rmap_walk",
    [frame.pfn],
    () => canWalk(system, frame),
    () => beginWalk(system, frame),
    walkWait(system, frame),
  )
  yield* walkPlaces(system, frame, walk, visit)
})

/** Likewise of who does not wait for the lock (`try_lock`), under the caller's name: false where it was not to be had. */
export const tryRmapWalk = Effect.fnUntraced(function* <E, R>(
  system: System,
  frame: Frame,
  name: string,
  visit: Visit<E, R>,
) {
  const walk = yield* step(name, [frame.pfn], () => (canWalk(system, frame) ? beginWalk(system, frame) : null))
  if (walk === null) return false
  yield* walkPlaces(system, frame, walk, visit)
  return true
})

interface Walk {
  readonly mapping: string
  readonly places: ReadonlyArray<Place>
}

const canWalk = (system: System, frame: Frame): boolean =>
  rmapLock(system, folioOf(system.folios, frame).mapping).state.writer === ""

const walkWait = (system: System, frame: Frame): Wait => {
  const lock = () => rmapLock(system, folioOf(system.folios, frame).mapping)
  return {
    on: "the lock of the tree in which a folio is mapped",
    kind: "i_mmap_rwsem",
    sleeps: true,
    takes: () => [{ lock: lock(), shared: true }],
    hindrances: () => readWait(lock()).hindrances(),
  }
}

const beginWalk = (system: System, frame: Frame): Walk => {
  const { mapping } = folioOf(system.folios, frame)
  addReader(rmapLock(system, mapping))
  return { mapping, places: placesOf(system, frame) }
}

const walkPlaces = Effect.fnUntraced(function* <E, R>(
  system: System,
  frame: Frame,
  { mapping, places }: Walk,
  visit: Visit<E, R>,
) {
  for (const { mm, va } of places) yield* visit(mmOf(system, mm), va)
  yield* upRead(rmapLock(system, mapping), "rmap_walk_end", [frame.pfn])
})

/** What of a large folio one page table may map, page by page. */
export interface Pieces {
  readonly mm: Mm
  readonly pieces: ReadonlyArray<{ readonly va: number; readonly page: Frame }>
}

/**
 * `rmap_walk` of a large folio, which is locked: visits every page table that may map any of its pages.
 *
 * @param locked whether the caller has the lock of the tree, for write (TTU_RMAP_LOCKED)
 */
export const rmapWalkLarge = Effect.fnUntraced(function* (
  system: System,
  frame: Frame,
  visit: (pieces: Pieces) => Effect.Effect<unknown>,
  locked: boolean = false,
) {
  const { places, mapping } = yield* guardedStep(
    "rmap_walk",
    [frame.pfn],
    () => locked || canWalk(system, frame),
    () => {
      const { mapping } = folioOf(system.folios, frame)
      if (!locked) addReader(rmapLock(system, mapping))
      return { mapping, places: placesOfLarge(system, frame) }
    },
    locked ? undefined : walkWait(system, frame),
  )
  for (const { mm, pieces } of places) yield* visit({ mm: mmOf(system, mm), pieces })
  if (!locked) yield* upRead(rmapLock(system, mapping), "rmap_walk_end", [frame.pfn])
})

/** The places of all pages of a folio, by page table. */
const placesOfLarge = (system: System, frame: Frame) => {
  const tables = new Map<string, { readonly mm: string; readonly pieces: Array<{ va: number; page: Frame }> }>()
  for (const page of pagesOfFolio(system.folios, frame)) {
    for (const { mm, va } of placesOf(system, page)) {
      const key = `${mm} ${spanOf(mmOf(system, mm), va).start}`
      const table = tables.get(key) ?? { mm, pieces: [] }
      table.pieces.push({ va, page })
      tables.set(key, table)
    }
  }
  return [...tables.values()]
}

/** Whether the entry of a page maps the folio (`page_vma_mapped_walk`). Within a step. */
export const maps = (mm: Mm, va: number, frame: Frame): boolean => {
  if (!hasTable(mm, va)) return false
  const page = rmappedPage(at(mm.pte, va).value)
  return page?.pfn === frame.pfn && page.generation === frame.generation
}
