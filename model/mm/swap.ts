/** The swap area (mm/swapfile.c, mm/swap_state.c): slots counted by the entries that point to them, and their cache. */
import { type Arena, arena, assert, type Slot } from "../../checker/program/index.ts"
import { type Content, type Folio, type Folios, type Frame, folioOf, folioPut, frameOf, zeroes } from "./folio.ts"

/** What a slot in use records. */
export type SwapSlot = {
  /** `swap_map`: the page table entries that hold the slot. */
  count: number
  /** The folio of the swap cache, which holds the slot too. */
  cache: Frame | null
  /** What was written out. */
  content: Content
}

export type SwapArea = Arena<SwapSlot>

/** Makes an area of free slots. */
export const swapArea = (slots: number): SwapArea => arena("swap", slots, { count: 0, cache: null, content: zeroes })

/** The slot that an entry names. Within a step. */
export const slotOf = (area: SwapArea, index: number): Slot<SwapSlot> => {
  const slot = area.slots[index]
  assert(slot?.live === true, `swap slot ${index} is used after it was freed`)
  return slot
}

const freeIfUnused = (area: SwapArea, slot: Slot<SwapSlot>): void => {
  if (slot.count === 0 && slot.cache === null) area.free(slot)
}

/** `swap_duplicate`: one more page table entry holds the slot. Within a step. */
export const swapDuplicate = (area: SwapArea, index: number): void => {
  slotOf(area, index).count++
}

/** `swap_free`: one page table entry less. Within a step. */
export const swapFree = (area: SwapArea, index: number): void => {
  const slot = slotOf(area, index)
  assert(slot.count > 0, `swap slot ${index} is given back more often than it was taken`)
  slot.count--
  freeIfUnused(area, slot)
}

/**
 * `folio_alloc_swap`: a free slot with the folio in its cache, which takes a reference; false when swap is full. Within
 * a step.
 */
export const folioAllocSwap = (area: SwapArea, folio: Folio): boolean => {
  const slot = area.allocate()
  if (slot === undefined) return false
  addToSwapCache(slot, folio)
  folio.dirty = true
  return true
}

/** Puts a folio into the cache of a slot: a reference. Within a step. */
export const addToSwapCache = (slot: Slot<SwapSlot>, folio: Folio): void => {
  assert(slot.cache === null, `swap slot ${slot.index} has two folios in its cache`)
  slot.cache = frameOf(folio)
  folio.swap = slot.index
  folio.refcount++
}

/** `delete_from_swap_cache`: the folio leaves the cache and its reference goes. Within a step. */
const deleteFromSwapCache = (area: SwapArea, all: Folios, frame: Frame): void => {
  leaveSwapCache(area, folioOf(all, frame))
  folioPut(all, frame)
}

/** `__delete_from_swap_cache`: as above, for one who accounts for the reference. Within a step. */
export const leaveSwapCache = (area: SwapArea, folio: Folio): void => {
  if (folio.swap === null) return
  const slot = slotOf(area, folio.swap)
  slot.cache = null
  folio.swap = null
  freeIfUnused(area, slot)
}

/**
 * `folio_free_swap`, the folio locked: leaves the swap cache if no page table entry needs the slot any more; the folio
 * is then dirty, for its content is nowhere else. Within a step.
 */
export const folioFreeSwap = (area: SwapArea, all: Folios, frame: Frame): boolean => {
  const folio = folioOf(all, frame)
  if (folio.swap === null || folio.writeback || slotOf(area, folio.swap).count > 0) return false
  folio.dirty = true
  deleteFromSwapCache(area, all, frame)
  return true
}
