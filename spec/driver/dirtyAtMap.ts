/** That what a device stores is not lost: for drivers that say so when they map a page. */
import type { Property } from "../../checker/index.ts"
import { folioOf, isLive } from "../../model/mm/folio.ts"
import { at } from "../../model/mm/range.ts"
import type { MappedWorld, Mapping } from "./mappings.ts"

/**
 * The property of a driver that marks pages dirty before its device may store to them.
 *
 * @param mappings all that its devices map
 * @param source the file and function of the driver
 */
export const dirtyAtMap = <World extends MappedWorld>(
  mappings: (world: World) => ReadonlyArray<Mapping>,
  source: string,
): Property<World> => {
  const clean = (world: World) => mappings(world).filter((mapping) => isClean(world, mapping))
  return {
    kind: "invariant",
    id: "MIRROR-DIRTY",
    statement: "A page that the device may store to is dirty, or the process's entry for it is.",
    source: `Linux MMU notifiers, LKML 2008; drivers/gpu/drm/xe: xe_mark_range_accessed; ${source}`,
    premise: (world) => mappings(world).some(({ write }) => write),
    holds: (world) => clean(world).length === 0,
    explain: (world) =>
      clean(world)
        .map(({ where, hva }) => `For address ${hva}, ${where} has a clean page for writing.`)
        .join(" "),
  }
}

/** Whether a mapping is for writing, where neither the page nor the process's entry says that somebody stores. */
const isClean = ({ mm }: MappedWorld, { hva, page, write }: Mapping): boolean => {
  const { folios } = mm.system
  if (!write || page === null || !isLive(folios, page)) return false
  const pte = at(mm.pte, hva).value
  return !folioOf(folios, page).dirty && !(pte?.kind === "present" && pte.dirty)
}
