/** What several properties of the memory-management core look at. */
import type { Property } from "../../../checker/index.ts"
import { type Folio, type Frame, folioOf, isLive } from "../../../model/mm/folio.ts"
import { findVma, type Mm, pageTableLock } from "../../../model/mm/mm.ts"
import { isRmapped, type Present, type Pte } from "../../../model/mm/pte.ts"
import { isAnon } from "../../../model/mm/rmap.ts"
import { runs } from "../../../model/mm/switch.ts"
import type { Tlb } from "../../../model/mm/tlb.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import type { Held } from "../holders.ts"
import type { MmWorld } from "../world.ts"

export type Spec = Property<MmWorld>

/** An entry of a page table, and where it is. */
export interface Entry {
  readonly mm: Mm
  readonly va: number
  readonly pte: NonNullable<Pte>
}

/** All entries that are not None. */
export const entries = ({ mms }: MmWorld): ReadonlyArray<Entry> => {
  // A loop: most properties ask this of every new state.
  const found: Array<Entry> = []
  for (const mm of mms) {
    for (const [va, { value: pte }] of mm.pte.entries()) if (pte !== null) found.push({ mm, va, pte })
  }
  return found
}

/** All entries that map a page. */
export const mappings = (world: MmWorld): ReadonlyArray<Mapping> => entries(world).filter(isMapping)

/** All entries that a page counts among its mappings, those that no CPU can use included. */
export const rmappings = (world: MmWorld) =>
  entries(world).flatMap((entry) => (isRmapped(entry.pte) ? [{ ...entry, pte: entry.pte }] : []))

type Mapping = Entry & { readonly pte: Present }
const isMapping = (entry: Entry): entry is Mapping => entry.pte.kind === "present"

/** The mappings of anonymous pages in private areas. */
export const anonMappings = (world: MmWorld) =>
  mappings(world).filter(({ mm, va, pte }) => isPrivate(mm, va) && isAnon(folioOf(world.folios, pte.page)))

/** Whether the area of a page is private. */
export const isPrivate = (mm: Mm, va: number): boolean => mm.vma[va]?.value?.shared !== true

export const sameFrame = (a: Frame | null, b: Frame | null): boolean =>
  a?.pfn === b?.pfn && a?.generation === b?.generation

/** The folios in use. */
export const liveFolios = ({ folios }: MmWorld): ReadonlyArray<Folio> => folios.arena.slots.filter(({ live }) => live)

/** How many entries map the folio, or are being moved off it. */
export const entriesOf = (world: MmWorld, folio: Folio): number =>
  entries(world).filter(({ pte }) => (isRmapped(pte) || pte.kind === "migration") && pte.page.pfn === folio.index)
    .length

/** Who holds pages, by fiber. */
export const held = ({ holders }: MmWorld): ReadonlyArray<{ readonly fiber: string; readonly one: Held }> =>
  [...holders.held].flatMap(([fiber, { value }]) => (value === null ? [] : [{ fiber, one: value }]))

/** The pins of anonymous pages that the process has not given up itself. */
export const anonPins = (world: MmWorld) =>
  held(world).filter(({ one }) => one.pinned && one.kept && one.attached && one.anon && isLive(world.folios, one.page))

/** The TLBs of the CPUs that run in an address space, by the name of the CPU. */
export const runningTlbs = (mm: Mm): ReadonlyArray<readonly [string, Tlb]> =>
  [...mm.tlbs].filter(([cpu]) => runs(mm, cpu))

/** The IOTLBs of the devices that walk its page table, by the name of the device. */
export const iotlbs = (mm: Mm): ReadonlyArray<readonly [string, Tlb]> =>
  [...mm.secondaryTlbs].map(([device, { entries: cache }]) => [device, cache])

/** What TLBs have, wherever they are. */
export const translations = (
  { mms }: MmWorld,
  tlbsOf: (mm: Mm) => ReadonlyArray<readonly [string, Tlb]> = (mm) => [...runningTlbs(mm), ...iotlbs(mm)],
) =>
  mms.flatMap((mm) =>
    tlbsOf(mm).flatMap(([owner, cache]) =>
      cache.flatMap(({ value: entry }, va) => (entry === null ? [] : [{ mm, owner, va, entry }])),
    ),
  )

/** Whether nobody is in the middle of changing the entry of a page. */
export const isSettled = (mm: Mm, va: number): boolean => isFree(pageTableLock(mm, va))

/** Whether nobody is inside the lock of a page table of the address space. */
export const isQuiet = (mm: Mm): boolean => mm.tables.every(({ lock }) => isFree(lock))

export { findVma, folioOf, isAnon }
