/** The invariants of all drivers: what a device maps, in whatever tables and TLBs, against the process's page table. */
import { actionInvariant, type Property } from "../../checker/index.ts"
import { type Frame, fateOf, isLive } from "../../model/mm/folio.ts"
import { type Mm, vmaLockOf } from "../../model/mm/mm.ts"
import { isRmapped, isWritable } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { isUnder, type Windows } from "./windows.ts"

/** A translation that a device uses without a reference to the page. */
export interface Mapping {
  /** In which table or TLB of which device. Together with the address it names the entry. */
  readonly where: string
  /** The process's address. */
  readonly hva: number
  /** `null` for the zero page. */
  readonly page: Frame | null
  readonly write: boolean
}

/** What the properties need to see. */
export interface MappedWorld {
  readonly mm: Mm
  readonly windows: Windows
}

/** Whether the process's entry has the same page, be it the device's alone, for writing if the mapping does. */
const agrees = ({ mm }: MappedWorld, { hva, page, write }: Mapping): boolean => {
  const pte = at(mm.pte, hva).value
  if (page === null) return pte?.kind === "zero" && !write
  if (!isRmapped(pte) || pte.page.pfn !== page.pfn || pte.page.generation !== page.generation) return false
  return !write || pte.kind === "exclusive" || (pte.kind === "private" ? pte.write : isWritable(pte))
}

/** Whether a mapping for writing is of a page that the process may not write to, with no invalidation on its way there. */
const isForbidden = ({ mm, windows }: MappedWorld, { hva, write }: Mapping): boolean =>
  // A VMA that munmap has detached still says what it allowed.
  write && at(mm.vma, hva).value?.prot !== "rw" && (!vmaLockOf(mm, hva).writer || isUnder(windows, hva, "open"))

const nameOf = ({ where, hva }: Mapping): string => `${where}: ${hva}`

/**
 * The properties of a driver.
 *
 * @param mappings all that its devices map
 * @param source the file and function of the driver that keeps to them
 */
export const mappingProperties = <World extends MappedWorld>(
  mappings: (world: World) => ReadonlyArray<Mapping>,
  source: string,
): ReadonlyArray<Property<World>> => {
  const disagreements = (world: World) =>
    mappings(world).filter((mapping) => !agrees(world, mapping) && !isUnder(world.windows, mapping.hva, "starting"))
  const dangling = (world: World) =>
    mappings(world).filter(({ page }) => page !== null && !isLive(world.mm.system.folios, page))
  const forbidden = (world: World) => mappings(world).filter((mapping) => isForbidden(world, mapping))

  const inWords = (wrong: (world: World) => ReadonlyArray<Mapping>) => (world: World) =>
    wrong(world)
      .map(({ where, hva, page }) => {
        const what = page === null ? "the zero page" : fateOf(world.mm.system.folios, page)
        return `For address ${hva} of the process, ${where} has ${what}.`
      })
      .join(" ")
  const mapsAny = (world: World) => mappings(world).length > 0

  return [
    {
      kind: "invariant",
      id: "MIRROR-AGREE",
      statement:
        "A device maps what the process's page table maps, for writing only what that maps for writing, unless an invalidation has started there and the driver's callback not returned.",
      source: `include/linux/mmu_notifier.h; ${source}`,
      premise: mapsAny,
      holds: (world) => disagreements(world).length === 0,
      explain: inWords(disagreements),
    },
    actionInvariant({
      id: "MIRROR-NO-INSTALL-IN-WINDOW",
      statement: "Nothing is mapped between the return of the driver's callback and the end of the invalidation.",
      source: `Linux MMU notifiers, LKML 2008; include/linux/mmu_notifier.h; ${source}`,
      observe: (world: World) => {
        const all = mappings(world)
        const inWindow = all.filter(({ hva }) => isUnder(world.windows, hva, "open"))
        return { all: all.map(nameOf), inWindow: inWindow.map(nameOf) }
      },
      premise: (before, after) => after.all.some((name) => !before.all.includes(name)),
      holds: (before, after) => after.inWindow.every((name) => before.all.includes(name)),
    }),
    {
      kind: "invariant",
      id: "MIRROR-NO-UAF",
      statement: "No device maps a page that was freed.",
      source: `Linux MMU notifiers, LKML 2008; Documentation/mm/mmu_notifier.rst; ${source}`,
      premise: mapsAny,
      holds: (world) => dangling(world).length === 0,
      explain: inWords(dangling),
    },
    {
      kind: "invariant",
      id: "MIRROR-PERM",
      statement:
        "A device maps for writing only what the process may write to, unless its protection is being changed and the driver's callback has not returned.",
      source: `mm/mprotect.c: change_protection; ${source}`,
      premise: (world) => mappings(world).some(({ write }) => write),
      holds: (world) => forbidden(world).length === 0,
      explain: inWords(forbidden),
    },
    {
      kind: "atEnd",
      id: "MIRROR-NO-REF",
      statement:
        "When everything has ended, page tables and the swap cache are all that refers to the process's pages: the driver holds no reference.",
      source: `mm/hmm: add helpers to dma map, LKML 2019; ${source}`,
      holds: ({ mm }) =>
        mm.system.folios.arena.slots.every(
          (folio) => !folio.live || folio.refcount === folio.mapcount + (folio.swap === null ? 0 : 1),
        ),
    },
  ]
}
