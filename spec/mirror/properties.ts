/** The invariants of mirrors: a device's page table against the CPU's, in any number of address spaces. */
import { actionInvariant, type Plain, type Property } from "../../checker/index.ts"
import type { Gpu } from "../../model/driver/gpu.ts"
import type { MirrorDevice } from "../../model/driver/mirror.ts"
import type { HmmPfn } from "../../model/hmm/rangeFault.ts"
import { type Folio, type Folios, type Frame, fateOf, isLive } from "../../model/mm/folio.ts"
import { type Mm, pageTableLock, vmaLockOf } from "../../model/mm/mm.ts"
import { isWritable, rmappedPage } from "../../model/mm/pte.ts"
import { at } from "../../model/mm/range.ts"
import { isFree } from "../../model/sync/spinlock.ts"
import { callbackIsDone, callbackIsDue, type Windows } from "../notifier/windows.ts"

/** What the properties of mirrors see. */
export interface MirrorWorld {
  readonly folios: Folios
  readonly devices: ReadonlyArray<Mirroring>
  /** The invalidations of all fibers that invalidate what the devices mirror. */
  readonly windows: Windows
}

/** A device, with the memory that it has of its own, if any. */
export type Mirroring = MirrorDevice & Partial<Pick<Gpu, "memory">>

/** An entry of a device's page table. */
interface Mapping {
  readonly device: Mirroring
  readonly va: number
  readonly entry: HmmPfn
}

/** What the devices map. */
const mappings = (world: MirrorWorld): ReadonlyArray<Mapping> =>
  world.devices.flatMap((device) =>
    device.pageTable.flatMap(({ value: entry }, va) => (entry === null ? [] : [{ device, va, entry }])),
  )

/** `agree`: the CPU's entry maps the same page, for writing if the device's does. */
const agrees = ({ device, va, entry }: Mapping): boolean => {
  const pte = at(device.mm.pte, va).value
  // A device that makes a page its own goes on using it while the entry is changed.
  if (pte === null && device.memory !== undefined && !isFree(pageTableLock(device.mm, va))) return true
  if (entry.page === null) return pte?.kind === "zero" && !entry.write
  if (pte?.kind === "exclusive") return sameFrame(pte.page, entry.page)
  if (pte?.kind === "private") return sameFrame(pte.page, entry.page) && (!entry.write || pte.write)
  return pte?.kind === "present" && sameFrame(pte.page, entry.page) && (!entry.write || isWritable(pte))
}

const sameFrame = (a: Frame, b: Frame) => a.pfn === b.pfn && a.generation === b.generation

/** The mappings that the CPU's page table does not have, with no invalidation about to take them away. */
const disagreements = (world: MirrorWorld) =>
  mappings(world).filter((mapping) => !agrees(mapping) && !callbackIsDue(world.windows, mapping.device, mapping.va))

/** The mappings of pages that were freed. */
const dangling = (world: MirrorWorld) =>
  mappings(world).filter(({ entry }) => entry.page !== null && !isLive(world.folios, entry.page))

/** The writable mappings of pages that the process may not write to, with no invalidation on its way there. */
const forbidden = (world: MirrorWorld) =>
  mappings(world).filter(({ device, va, entry }) => {
    // A VMA that munmap has detached still says what it allowed.
    const vma = at(device.mm.vma, va).value
    if (!entry.write || vma?.prot === "rw") return false
    return !vmaLockOf(device.mm, va).writer || callbackIsDone(world.windows, device, va)
  })

const inWords =
  (wrong: (world: MirrorWorld) => ReadonlyArray<Mapping>) =>
  (world: MirrorWorld): string =>
    wrong(world)
      .map(({ device, va, entry }) => {
        const page = entry.page === null ? "the zero page" : fateOf(world.folios, entry.page)
        return `${device.name} maps address ${va} to ${page}.`
      })
      .join(" ")

export const mirrorProperties: ReadonlyArray<Property<MirrorWorld>> = [
  {
    kind: "invariant",
    id: "MIRROR-AGREE",
    statement:
      "A device maps what the CPU's page table maps, for writing only what that maps for writing, unless an invalidation has started there and not yet completed the device's callback.",
    source: "Documentation/mm/hmm.rst; include/linux/mmu_notifier.h",
    premise: (world) => mappings(world).length > 0,
    holds: (world) => disagreements(world).length === 0,
    explain: inWords(disagreements),
  },
  actionInvariant({
    id: "MIRROR-NO-INSTALL-IN-WINDOW",
    statement: "No device maps an address between the completion of its callback and the end of the invalidation.",
    source: "Linux MMU notifiers, LKML 2008; include/linux/mmu_notifier.h",
    observe: (world: MirrorWorld): Plain =>
      world.devices.map((device) =>
        device.pageTable.map((entry, va) => [entry.value !== null, callbackIsDone(world.windows, device, va)]),
      ),
    holds: (before, after) =>
      !anyEntry(before, after, (was, is) => was[0] === false && is[0] === true && is[1] === true),
    premise: (before, after) => anyEntry(before, after, (was, is) => was[0] === false && is[0] === true),
  }),
  {
    kind: "invariant",
    id: "MIRROR-NO-UAF",
    statement: "No device maps a page that was freed.",
    source: "Linux MMU notifiers, LKML 2008; Documentation/mm/mmu_notifier.rst",
    premise: (world) => mappings(world).length > 0,
    holds: (world) => dangling(world).length === 0,
    explain: inWords(dangling),
  },
  {
    kind: "invariant",
    id: "MIRROR-PERM",
    statement:
      "A device maps for writing only what the process may write to, unless its protection is being changed and the device has not been called yet.",
    source: "mm/hmm.c: hmm_range_fault; mm/mprotect.c: change_protection",
    premise: (world) => mappings(world).some(({ entry }) => entry.write),
    holds: (world) => forbidden(world).length === 0,
    explain: inWords(forbidden),
  },
  {
    kind: "atEnd",
    id: "MIRROR-NO-REF",
    statement:
      "When everything has ended, page tables, the swap cache and pins are all that refers to the anonymous pages of a mirrored process: mirrors hold no reference.",
    source: "mm/hmm: add helpers to dma map, LKML 2019; mm/hmm.c: hmm_range_fault takes no reference",
    holds: ({ devices, folios }) =>
      folios.arena.slots.every((folio) => {
        const mm = devices.find((device) => device.mm.name === folio.memcg)?.mm
        return mm === undefined || folio.refcount === references(mm, folio)
      }),
  },
]

/** How many references to a folio are accounted for without the mirrors'. */
const references = ({ system }: Mm, folio: Folio): number => {
  const entries = [...system.mms.values()].flatMap(({ pte }) =>
    pte.filter(({ value }) => rmappedPage(value)?.pfn === folio.index),
  )
  return entries.length + folio.pincount + (folio.swap === null ? 0 : 1)
}

/** What MIRROR-NO-INSTALL-IN-WINDOW observes, which the engine hands back as plain data: per device and page. */
type Entries = ReadonlyArray<ReadonlyArray<readonly [mapped: boolean, inWindow: boolean]>>
const anyEntry = (
  before: Plain,
  after: Plain,
  test: (was: readonly [boolean, boolean], is: readonly [boolean, boolean]) => boolean,
): boolean =>
  (after as Entries).some((entries, device) =>
    entries.some((is, va) => test((before as Entries)[device]?.[va] ?? [false, false], is)),
  )
