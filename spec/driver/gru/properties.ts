/** The invariants of GRU: what its TLBs have against the process's page table, and its count. */
import type { Property } from "../../../checker/index.ts"
import { folioOf, isLive } from "../../../model/mm/folio.ts"
import { at } from "../../../model/mm/range.ts"
import { type Mapping, mappingProperties } from "../mappings.ts"
import { storesInTime } from "../stores.ts"
import { isUnder } from "../windows.ts"
import type { GruWorld } from "./world.ts"

const mappings = ({ gms }: GruWorld): ReadonlyArray<Mapping> =>
  gms.grus.flatMap(({ name, tlb }) =>
    tlb.flatMap(({ value }, hva) => (value === null ? [] : [{ ...value, where: `the TLB of ${name}`, hva }])),
  )

const underWay = ({ windows }: GruWorld): number =>
  [...windows.values()].filter(({ phase }) => phase !== "closed").length

/** What may be stored to, and of which nothing says that it has been. */
const unmarked = (world: GruWorld): ReadonlyArray<Mapping> => {
  const { mm, windows } = world
  return mappings(world).filter(({ hva, page, write }) => {
    if (!write || page === null || isUnder(windows, hva, "starting")) return false
    const { folios } = mm.system
    const pte = at(mm.pte, hva).value
    return !(pte?.kind === "present" && pte.dirty) && isLive(folios, page) && !folioOf(folios, page).dirty
  })
}

/** The GRUs with a fault that the driver has read, and that it is not handling any more. */
const unanswered = ({ gms, handling }: GruWorld): ReadonlyArray<string> =>
  gms.grus.flatMap(({ name, tfh }) => (tfh.resident && handling.get(name)?.value !== true ? [name] : []))

export const gruProperties: ReadonlyArray<Property<GruWorld>> = [
  ...mappingProperties(mappings, "drivers/misc/sgi-gru/grutlbpurge.c: gru_invalidate_range_start"),
  {
    kind: "invariant",
    id: "MIRROR-DIRTY",
    statement:
      "What a device may store to is marked dirty, in the process's entry or in the page's flags, as nobody will say so later.",
    source: "Re: [patch 1/6] mmu_notifier: Core code, LKML 2008; grufault.c: atomic_pte_lookup",
    premise: (world) => mappings(world).some(({ write }) => write),
    holds: (world) => unmarked(world).length === 0,
    explain: (world) =>
      unmarked(world)
        .map(({ where, hva }) => `${where} may store to address ${hva}, which is clean.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "NOTIFIER-NO-ORPHAN-END",
    statement: "GRU is told of the end of an invalidation only if it was told of the start.",
    source: "mm/mmu_notifier.c: __mmu_notifier_register, which takes all locks",
    premise: ({ gms }) => gms.state.rangeActive !== 0,
    holds: ({ gms }) => gms.state.rangeActive >= 0,
    explain: ({ gms }) => `ms_range_active is ${gms.state.rangeActive}.`,
  },
  {
    kind: "invariant",
    id: "GRU-RANGE-ACTIVE",
    statement: "ms_range_active is the number of the invalidations between their start and their end.",
    source: "drivers/misc/sgi-gru/grutlbpurge.c: gru_invalidate_range_start, ..._end",
    premise: (world) => world.gms.state.rangeActive !== 0 || underWay(world) > 0,
    holds: (world) => world.gms.state.rangeActive === underWay(world),
    explain: (world) => `ms_range_active is ${world.gms.state.rangeActive}, and ${underWay(world)} are under way.`,
  },
  {
    kind: "invariant",
    id: "GRU-TFH-ANSWERED",
    statement:
      "A fault that the driver has read is answered before it gives up mmap_lock or waits: with an entry, with an exception, or by leaving it to the thread that polls.",
    source: "drivers/misc/sgi-gru/grufault.c: gru_try_dropin",
    premise: ({ gms }) => gms.grus.some(({ tfh }) => tfh.resident),
    holds: (world) => unanswered(world).length === 0,
    explain: (world) => `Nobody has answered the fault of ${unanswered(world).join(", ")}.`,
  },
  storesInTime(
    (world) => mappings(world).some(({ write }) => write),
    "drivers/misc/sgi-gru/gruhandles.c: tgh_invalidate",
  ),
]

/** What must come about. */
export const gruPromises: ReadonlyArray<Property<GruWorld>> = [
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every fault of a GRU is handled in the end.",
    source: "drivers/misc/sgi-gru/grufault.c: gru_user_dropin",
    to: ({ gms }, { ended }) => gms.grus.every(({ name }) => ended(name)),
  },
]
