/**
 * Folios (include/linux/mm_types.h: struct folio): their counts, locks, charges and content. They have one page each, but
 * for the large ones of systems with transparent huge pages: largeFolio.ts says how those are told.
 */

import type * as Effect from "effect/Effect"
import {
  type Arena,
  arena,
  assert,
  type Cell,
  cell,
  declareLock,
  guardedStep,
  type Lock,
  type Slot,
  type Struct,
  self,
  struct,
  type Wait,
} from "../../checker/program/index.ts"
import { type DevPagemap, isFreedWhenIdle, type PagemapType } from "../deviceMemory/pgmap.ts"
import { alone, holding } from "../sync/holding.ts"

/** What a page holds, said by who stored it there last; `zeroes` is a page nobody has stored to. */
export type Content = string

/** The content of a fresh page, and of the zero page. */
export const zeroes: Content = "0"

/** What a folio slot records. A slot that is not live is on the allocator's free list. */
export type FolioState = {
  /** All references: of page table entries, caches and fibers; a pin is one too. */
  refcount: number
  /** Page table entries that map it, migration entries not counted. */
  mapcount: number
  /** FOLL_PIN: how many of the references are pins. */
  pincount: number
  /** PG_anon_exclusive: only one page table entry maps this anonymous page. */
  anonExclusive: boolean
  /** The fiber that holds the folio lock, empty when it is free. */
  lock: string
  /** Whether it is on an LRU list; not so while isolated. */
  lru: boolean
  /** The control group that it is charged to; empty when to none, as a device's page is before it is mapped. */
  memcg: string
  /** `folio->mapping`: the anon_vma, prefixed `anon_vma`, or the inode, by name; empty when there is none. */
  mapping: string
  /** `folio->index`: where in its mapping, in pages. */
  offset: number
  /** PG_uptodate: false of a page of a file that is being read in. */
  uptodate: boolean
  /** PG_dirty */
  dirty: boolean
  /** PG_writeback */
  writeback: boolean
  /** PG_swapbacked: false for MADV_FREE's pages, which may be dropped while they are clean. */
  swapBacked: boolean
  /** The swap slot in whose cache it is, or `null`. */
  swap: number | null
  content: Content
}

/** A folio in its slot. */
export type Folio = Slot<FolioState>

/** The folios of the system. */
export interface Folios {
  readonly arena: Arena<FolioState>
  /** PG_locked of each frame. */
  readonly locks: ReadonlyArray<Lock>
  /** How many folios each control group is charged for. */
  readonly charged: Struct<{ [cgroup: string]: number }>
  /** The frames of ZONE_MOVABLE and CMA, where nothing may be pinned for long. */
  readonly movable: ReadonlySet<number>
  /** Which frames are a device's, not the system's allocator's. */
  readonly pgmaps: Map<number, DevPagemap<PagemapType>>
  /** How many pages a huge page has (HPAGE_PMD_NR); 1 where there are none. */
  readonly hugePages: number
  /** Of each so many frames, from the first on, whether they are one large folio. None where there are no huge pages. */
  readonly large: ReadonlyArray<Cell<boolean>>
}

/** A reference to a folio as page tables and TLBs hold it: the frame, and which of its lives was meant. */
export type Frame = { readonly pfn: number; readonly generation: number }

const fresh: FolioState = {
  refcount: 0,
  mapcount: 0,
  pincount: 0,
  anonExclusive: false,
  lock: "",
  lru: false,
  memcg: "",
  mapping: "",
  offset: 0,
  uptodate: true,
  dirty: false,
  writeback: false,
  swapBacked: true,
  swap: null,
  content: zeroes,
}

/**
 * Makes the folios of a system, all of them free; the first `movable` of them lie in a movable zone, those of the devices
 * behind the system's.
 *
 * @param lives how many lives of a frame are told apart, if not all
 * @param hugePages how many pages a huge page has; the system's memory and every device's are so many times some
 */
export const folios = (
  count: number,
  cgroups: ReadonlyArray<string>,
  movable = 0,
  devices: ReadonlyArray<DevPagemap> = [],
  lives?: number,
  hugePages = 1,
): Folios => {
  const all = arena("folio", count + devices.reduce((sum, { pages }) => sum + pages, 0), fresh, lives)
  return {
    hugePages,
    large: hugePages === 1 ? [] : largeCells([count, ...devices.map(({ pages }) => pages)], hugePages),
    arena: all,
    locks: all.slots.map((slot) =>
      declareLock({ name: `the lock of page ${slot.index}`, kind: "folio_lock", holders: () => alone(slot.lock) }),
    ),
    pgmaps: new Map(
      devices
        .flatMap((pgmap) => Array.from({ length: pgmap.pages }, () => pgmap))
        .map((pgmap, i) => [count + i, pgmap]),
    ),
    charged: struct("memcg", Object.fromEntries(cgroups.map((name) => [name, 0]))),
    movable: new Set(Array.from({ length: movable }, (_, pfn) => pfn)),
  }
}

const largeCells = (sizes: ReadonlyArray<number>, hugePages: number): ReadonlyArray<Cell<boolean>> => {
  if (sizes.some((size) => size % hugePages !== 0)) throw new RangeError(`memory is no multiple of ${hugePages} pages`)
  const all = sizes.reduce((sum, size) => sum + size, 0)
  return Array.from({ length: all / hugePages }, (_, group) => cell(`folio${group * hugePages}.large`, false))
}

/** Whether the frame still is the folio that was meant: neither free nor recycled. */
export const isLive = (all: Folios, frame: Frame): boolean => {
  const slot = all.arena.slots[frame.pfn]
  return slot?.live === true && slot.generation === frame.generation
}

/** The folio that a frame means. Within a step. That it was freed meanwhile is a use after free, which ends the run. */
export const folioOf = (all: Folios, frame: Frame): Folio => {
  const slot = all.arena.slots[frame.pfn]
  assert(slot !== undefined && isLive(all, frame), `page ${frame.pfn} is used after it was freed`)
  return slot
}

/** The frame of a folio in its present life. */
export const frameOf = (folio: Folio): Frame => ({ pfn: folio.index, generation: folio.generation })

/** Whether the frames around one are a large folio. Within a step. */
export const largeCell = ({ large, hugePages }: Folios, pfn: number): Cell<boolean> => {
  const found = large[Math.floor(pfn / hugePages)]
  if (found === undefined) throw new RangeError("there are no huge pages")
  return found
}

/** `folio_test_large`, of the folio that a page is of. Within a step. */
export const isLarge = (all: Folios, { pfn }: Pick<Frame, "pfn">): boolean =>
  all.large.length > 0 && largeCell(all, pfn).value

/** The pages of the folio that a page is of, its head first. Within a step. */
export const pagesOfFolio = (all: Folios, frame: Frame): ReadonlyArray<Frame> => {
  if (!isLarge(all, frame)) return [frame]
  const head = frame.pfn - (frame.pfn % all.hugePages)
  return all.arena.slots.slice(head, head + all.hugePages).map(frameOf)
}

/** Where a folio may come from: anywhere, or not from a movable zone. */
export type Zone = "any" | "unmovable"

/**
 * `folio_alloc` and `mem_cgroup_charge`: one reference, zeroed, the lowest free frame; `null` when there is none
 * (-ENOMEM). Within a step.
 */
export const folioAlloc = (all: Folios, cgroup: string, zone: Zone = "any"): Frame | null => {
  const frame = folioAllocUncharged(all, zone)
  if (frame !== null) memcgCharge(all, folioOf(all, frame), cgroup)
  return frame
}

/** `folio_alloc`: the same without a charge, for those whose pages are charged when they are mapped. Within a step. */
export const folioAllocUncharged = (all: Folios, zone: Zone = "any"): Frame | null => {
  const folio = all.arena.allocate(({ index }) => !all.pgmaps.has(index) && (zone === "any" || !all.movable.has(index)))
  if (folio === undefined) return null
  folio.refcount = 1
  return frameOf(folio)
}

/** `mem_cgroup_charge`. Within a step. */
export const memcgCharge = (all: Folios, folio: Folio, cgroup: string): void => {
  folio.memcg = cgroup
  all.charged[cgroup] = (all.charged[cgroup] ?? 0) + 1
}

/** `folio_put`: drops a reference; the last one uncharges and frees the folio. Within a step. */
export const folioPut = (all: Folios, frame: Frame): void => {
  const slot = all.arena.slots[frame.pfn]
  assert(slot !== undefined && isLive(all, frame), `page ${frame.pfn} is put after it was freed`)
  slot.refcount--
  if (isLarge(all, frame)) {
    const pages = pagesOfFolio(all, frame)
    if (pages.some((page) => folioOf(all, page).refcount > 0)) return
    largeCell(all, frame.pfn).value = false
    for (const page of pages) free(all, folioOf(all, page))
    return
  }
  // A block that nobody refers to is idle (free_zone_device_folio): it is its file system that frees it.
  if (slot.refcount === 0 && isFreedWhenIdle(all, slot.index)) free(all, slot)
}

const free = (all: Folios, folio: Folio): void => {
  assert(folio.mapcount === 0, `page ${folio.index} is freed while ${folio.mapcount} page table entries map it`)
  // PAGE_FLAGS_CHECK_AT_FREE
  assert(folio.lock === "" && !folio.writeback, `page ${folio.index} is freed while it is locked or written`)
  if (folio.memcg !== "") all.charged[folio.memcg] = (all.charged[folio.memcg] ?? 0) - 1
  all.arena.free(folio)
  // free_zone_device_folio: its driver has it back, and the memory one user less.
  const pgmap = all.pgmaps.get(folio.index)
  if (pgmap !== undefined) pgmap.state.refs--
}

/** `folio_ref_freeze`: takes all references at once, if there are just those expected: nobody gets another. Within a step. */
export const folioRefFreeze = (all: Folios, frame: Frame, expected: number): boolean => {
  const folio = folioOf(all, frame)
  if (folio.refcount !== expected) return false
  folio.refcount = 0
  return true
}

/** `folio_ref_unfreeze`: gives them back. Within a step. */
export const folioRefUnfreeze = (all: Folios, frame: Frame, references: number): void => {
  folioOf(all, frame).refcount = references
}

/**
 * Whether who finds the folio in a cache gets no reference, and has to look again (`filemap_get_entry`). Within a step
 * or guard.
 */
export const isFrozen = (all: Folios, frame: Frame | null): boolean =>
  frame !== null && folioOf(all, frame).refcount === 0

/** `free_unref_folios`: frees a folio whose references were frozen. Within a step. */
export const freeFrozen = (all: Folios, frame: Frame): void => {
  const folio = folioOf(all, frame)
  assert(folio.refcount === 0, `page ${folio.index} is freed with ${folio.refcount} references`)
  free(all, folio)
}

/** `folio_try_get`: a reference to whatever now lies in the frame; `null` when it is free, or no head. Within a step. */
export const folioTryGet = (all: Folios, pfn: number): Frame | null => {
  const slot = all.arena.slots[pfn]
  if (slot === undefined || !slot.live) return null
  if (isLarge(all, { pfn })) {
    if (pfn % all.hugePages !== 0) return null
  } else if (slot.refcount === 0) return null
  slot.refcount++
  return frameOf(slot)
}

/** `folio_maybe_dma_pinned` */
export const maybePinned = (folio: Folio): boolean => folio.pincount > 0

/** `folio_trylock`, of the folio that a page is of. Within a step. */
export const folioTrylock = (all: Folios, frame: Frame): boolean => {
  if (folioOf(all, frame).lock !== "") return false
  for (const page of pagesOfFolio(all, frame)) folioOf(all, page).lock = self()
  return true
}

/** `folio_unlock`, of the folio that a page is of. Within a step. */
export const folioUnlock = (all: Folios, frame: Frame): void => {
  for (const page of pagesOfFolio(all, frame)) folioOf(all, page).lock = ""
}

const takenAlone = (lock: Lock) => ({ lock, shared: false })

/** A wait for the lock of folios. */
export const folioLockWait = (all: Folios, ...frames: ReadonlyArray<Frame>): Wait => ({
  on: `the lock of page ${frames.map(({ pfn }) => pfn).join(" and ")}`,
  kind: "folio_lock",
  sleeps: true,
  takes: () => all.locks.filter((_, pfn) => frames.some((frame) => frame.pfn === pfn)).map(takenAlone),
  hindrances: () => frames.flatMap(({ pfn }) => holding(all.arena.slots[pfn]?.lock ?? "")),
})

/** Whether the folio that a frame means, to which no reference is held, is freed or locked by nobody. */
const isGoneOrUnlocked = (all: Folios, { pfn, generation }: Frame): boolean => {
  const slot = all.arena.slots[pfn]
  return slot === undefined || !slot.live || slot.generation !== generation || slot.lock === ""
}

/** `migration_entry_wait_on_locked`, under the name of its caller: sleeps until the folio is unlocked; no reference is needed. */
export const waitOnLocked = (all: Folios, name: string, frame: Frame): Effect.Effect<"done"> =>
  guardedStep(
    name,
    [frame.pfn],
    () => isGoneOrUnlocked(all, frame),
    () => {
      assert(isGoneOrUnlocked(all, frame), `${self()} has waited for page ${frame.pfn}, and it is still locked`)
      return "done" as const
    },
    folioLockWait(all, frame),
  )

/** `folio_lock`, a reference held: waits until it is free. */
export const folioLock = (all: Folios, frame: Frame): Effect.Effect<void> =>
  guardedStep(
    "folio_lock",
    [frame.pfn],
    () => all.arena.slots[frame.pfn]?.lock === "",
    () => {
      for (const page of pagesOfFolio(all, frame)) folioOf(all, page).lock = self()
    },
    folioLockWait(all, frame),
  )

/** What became of the folio that a frame means, in words. */
export const fateOf = (all: Folios, frame: Frame): string => {
  const slot = all.arena.slots[frame.pfn]
  if (slot === undefined || !slot.live) return `page ${frame.pfn}, which is free`
  if (slot.generation !== frame.generation) return `page ${frame.pfn}, which was freed and now belongs to ${slot.memcg}`
  return `page ${frame.pfn} of ${slot.memcg}`
}
