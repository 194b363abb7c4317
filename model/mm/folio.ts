import { type Arena, arena, assert } from "../../checker/program/index.ts"

/** What a folio slot records: how many references keep it, and whose it is. */
export type FolioState = { refcount: number; owner: string }

/** The folios of the system: a slot that is not live is on the allocator's free list. */
export type Folios = Arena<FolioState>

/** A reference to a folio as page tables and TLBs hold it: the frame, and which of its lives was meant. */
export type Frame = { readonly pfn: number; readonly generation: number }

/** Makes the folios of a system, all of them free. */
export const folios = (count: number): Folios => arena("folio", count, { refcount: 0, owner: "" })

/** `folio_alloc`: one reference, the lowest free frame; `null` when there is none (-ENOMEM). Within a step. */
export const folioAlloc = (all: Folios, owner: string): Frame | null => {
  const slot = all.allocate()
  if (slot === undefined) return null
  slot.refcount = 1
  slot.owner = owner
  return { pfn: slot.index, generation: slot.generation }
}

/** `folio_put`: drops a reference; the last one frees the folio. Within a step. */
export const folioPut = (all: Folios, frame: Frame): void => {
  const slot = all.slots[frame.pfn]
  assert(slot !== undefined && isLive(all, frame), `folio ${frame.pfn} is put after it was freed`)
  slot.refcount--
  if (slot.refcount === 0) all.free(slot)
}

/** Whether the frame still is the folio that was meant: neither free nor recycled. */
export const isLive = (all: Folios, frame: Frame): boolean => {
  const slot = all.slots[frame.pfn]
  return slot?.live === true && slot.generation === frame.generation
}

/** What became of the folio that a frame means, in words. */
export const fateOf = (all: Folios, frame: Frame): string => {
  const slot = all.slots[frame.pfn]
  if (slot === undefined || !slot.live) return `page ${frame.pfn}, which is free`
  if (slot.generation !== frame.generation) return `page ${frame.pfn}, which was freed and now belongs to ${slot.owner}`
  return `page ${frame.pfn} of ${slot.owner}`
}
