/** That what a device has stored is not lost: for drivers that say so when they unmap a page. */
import type { Property } from "../../checker/index.ts"
import { type Folio, type Frame, folioOf } from "../../model/mm/folio.ts"
import type { Mm } from "../../model/mm/mm.ts"
import { at } from "../../model/mm/range.ts"
import { addToSwapCache } from "../../model/mm/swap.ts"

interface World {
  readonly mm: Mm
}

/**
 * The property of a driver that marks pages dirty when it unmaps them.
 *
 * @param device the device that stores, by its name, which is what it stores
 * @param mapped the pages that are mapped for it
 */
export const dirtyAtUnmap = <W extends World>(
  device: string,
  mapped: (world: W) => ReadonlyArray<Frame>,
  source: string,
): Property<W> => {
  /** The pages that the device has stored to, and that it does not map any more. */
  const givenUp = (world: W): ReadonlyArray<Folio> => {
    const frames = mapped(world)
    return world.mm.system.folios.arena.slots.filter(
      (folio) => folio.live && folio.content === device && !frames.some(({ pfn }) => pfn === folio.index),
    )
  }
  const lost = (world: W) => givenUp(world).filter((folio) => !isSafe(world, folio))
  return {
    kind: "invariant",
    id: "MIRROR-DIRTY",
    statement: "A page that the device has stored to and maps no more is dirty, or what is in it has been written out.",
    source: `Linux MMU notifiers, LKML 2008; ${source}`,
    premise: (world) => givenUp(world).length > 0,
    holds: (world) => lost(world).length === 0,
    explain: (world) =>
      lost(world)
        .map(({ index }) => `Page ${index} is clean, and swap does not have what ${device} has stored there.`)
        .join(" "),
  }
}

/** Whether a page's content would be written out before the page is given up, or has been. */
const isSafe = ({ mm }: World, folio: Folio): boolean => {
  const { system } = mm
  if (folio.dirty || folio.swap === null || system.swap.slots[folio.swap]?.content === folio.content) return true
  const entries = [...system.mms.values()].flatMap(({ pte }) => pte)
  return entries.some(({ value }) => value?.kind === "present" && value.page.pfn === folio.index && value.dirty)
}

/**
 * Lays out a page that is present as one that was read from swap for a load, where it still is: a device that stores to
 * it is all that makes it dirty.
 */
export const swapIn = (mm: Mm, va: number): void => {
  const pte = at(mm.pte, va).value
  const slot = mm.system.swap.allocate()
  if (slot === undefined || pte?.kind !== "present") throw new RangeError(`page ${va} cannot have been in swap`)
  const folio = folioOf(mm.system.folios, pte.page)
  slot.content = folio.content
  folio.dirty = false
  addToSwapCache(slot, folio)
  at(mm.pte, va).value = { ...pte, dirty: false }
  for (const cache of mm.tlbs.values()) at(cache, va).value = null
}
