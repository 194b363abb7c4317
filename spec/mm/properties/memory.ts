/** What is stored is found again: no store is lost, and nobody sees another's. */

import { contentInFile, withinSize } from "../../../model/file/inode.ts"
import type { Content, Folio, Frame } from "../../../model/mm/folio.ts"
import { folioOf, isLive, zeroes } from "../../../model/mm/folio.ts"
import type { Mm } from "../../../model/mm/mm.ts"
import { isWritable, mappedPage } from "../../../model/mm/pte.ts"
import type { TlbEntry } from "../../../model/mm/tlb.ts"
import { anything } from "../memory.ts"
import type { MmWorld } from "../world.ts"
import { held, isQuiet, isSettled, liveFolios, mappings, type Spec, translations } from "./places.ts"

/** What is found at a page through its entry; `null` where that cannot be said at the moment. */
const contentAt = (world: MmWorld, mm: Mm, va: number): Content | null => {
  const pte = mm.pte[va]?.value ?? null
  const vma = mm.vma[va]?.value ?? null
  if (vma === null || !isSettled(mm, va)) return null
  switch (pte?.kind) {
    case "present":
    case "private":
    case "exclusive":
      return folioOf(world.folios, pte.page).content
    case "zero":
      return zeroes
    case "swap": {
      const slot = world.system.swap.slots[pte.slot]
      return slot?.live === true && slot.cache === null ? slot.content : null
    }
    case undefined: {
      if (vma.file === null) return zeroes
      return withinSize(world.file, vma.pgoff) ? contentInFile(world.folios, world.file, vma.pgoff) : null
    }
    default:
      return null
  }
}

const strays = (world: MmWorld) =>
  world.mms.flatMap((mm) =>
    mm.vma.flatMap((_, va) => {
      const expected = world.memory.expected(mm, va)
      const found = contentAt(world, mm, va)
      return expected === anything || found === null || found === expected ? [] : [{ mm, va, expected, found }]
    }),
  )

const throughTlb = (world: MmWorld, { page }: Pick<TlbEntry, "page">): Content =>
  page === null ? zeroes : isLive(world.folios, page) ? folioOf(world.folios, page).content : anything

/**
 * Whether reclaim has unmapped the page and still owes the flush: until then a CPU may load from it, even when another
 * page is there already and stored to. What no CPU may do is store to it unseen.
 */
const isBeingTaken = ({ folios }: MmWorld, { page, write, dirty }: TlbEntry): boolean => {
  if (page === null || !isLive(folios, page) || (write && dirty)) return false
  const { lru, mapcount } = folioOf(folios, page)
  return !lru && mapcount === 0
}

const staleTranslations = (world: MmWorld) =>
  translations(world).flatMap(({ mm, owner, va, entry }) => {
    const expected = world.memory.expected(mm, va)
    const found = isBeingTaken(world, entry) ? anything : throughTlb(world, entry)
    return mm.vma[va]?.value == null || expected === anything || found === anything || found === expected
      ? []
      : [{ mm, owner, va, expected, found }]
  })

/** Where a device finds something else than was stored last. */
const staleMirrors = (world: MmWorld) =>
  world.devices.flatMap(({ name, mm, pageTable }) =>
    pageTable.flatMap(({ value: entry }, va) => {
      const expected = world.memory.expected(mm, va)
      const found = entry === null ? anything : throughTlb(world, entry)
      return mm.vma[va]?.value == null || expected === anything || found === anything || found === expected
        ? []
        : [{ name, va, expected, found }]
    }),
  )

const strayHolders = (world: MmWorld) =>
  held(world).filter(({ one }) => {
    if (!one.anon || !one.kept || !isLive(world.folios, one.page)) return false
    const mm = world.mms.find(({ name }) => name === one.mm)
    const expected = one.attached && mm !== undefined ? world.memory.expected(mm, one.va) : one.content
    return expected !== anything && folioOf(world.folios, one.page).content !== expected
  })

/** Whether an entry holds a store that the folio does not know of yet. */
const dirtyEntry = (world: MmWorld, frame: Frame): boolean =>
  mappings(world).some(({ pte }) => pte.dirty && pte.page.pfn === frame.pfn)

/** Whether a device may store to the page, as the CPU may: it says that the page is dirty when it gives it up. */
const mayBeStoredTo = ({ devices }: MmWorld, { index }: Folio): boolean =>
  devices.some(({ mm, pageTable }) =>
    pageTable.some(({ value }, va) => {
      const pte = mm.pte[va]?.value ?? null
      return value?.write === true && isWritable(pte) && value.page?.pfn === index && mappedPage(pte)?.pfn === index
    }),
  )

const lostCustody = (world: MmWorld) =>
  liveFolios(world).filter((folio) => {
    const backing =
      folio.swap !== null
        ? world.system.swap.slots[folio.swap]?.content
        : folio.mapping === world.file.name
          ? world.file.disk[folio.offset]?.value
          : folio.content
    const slot = folio.swap === null ? undefined : world.system.swap.slots[folio.swap]
    const unwanted = slot !== undefined && slot.count === 0 && folio.mapcount === 0
    const cared =
      !folio.uptodate ||
      unwanted ||
      folio.dirty ||
      folio.writeback ||
      folio.pincount > 0 ||
      (folio.lock !== "" && folio.swap !== null && !folio.lru) ||
      mayBeStoredTo(world, folio) ||
      dirtyEntry(world, { pfn: folio.index, generation: folio.generation })
    return folio.content !== backing && !cared
  })

export const memoryProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "COW-NO-LEAK",
    statement:
      "What a process stored last at a page of its own is what is found there: nobody else's store shows, and none of its own is lost.",
    source: "tools/testing/selftests/mm/cow.c; CVE-2020-29374",
    premise: ({ mms }) => mms.some((mm) => mm.vma.some(({ value }) => value !== null)),
    holds: (world) => strays(world).length === 0 && strayHolders(world).length === 0,
    explain: (world) =>
      [
        ...strays(world).map(
          ({ mm, va, expected, found }) =>
            `At page ${va} of ${mm.name} is "${found}", where "${expected}" was stored last.`,
        ),
        ...strayHolders(world).map(
          ({ fiber, one }) =>
            `${fiber} holds page ${one.page.pfn} of ${one.mm}, in which there now is "${folioOf(world.folios, one.page).content}".`,
        ),
      ].join(" "),
  },
  {
    kind: "invariant",
    id: "TLB-COHERENT",
    statement:
      "What a CPU, or a device that walks the CPU's page table, finds through its TLB is what was stored last, unless the page is being taken from it.",
    source:
      "Documentation/core-api/cachetlb.rst; commits 2b4f3b4987b5 (fork: lock VMAs of the parent process), 72b252aed506 (one IPI per CPU to flush after unmapping pages)",
    premise: (world) => translations(world).length > 0,
    holds: (world) => staleTranslations(world).length === 0,
    explain: (world) =>
      staleTranslations(world)
        .map(
          ({ mm, owner, va, expected, found }) =>
            `${owner} finds "${found}" at page ${va} of ${mm.name} through its TLB, where "${expected}" was stored last.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIRROR-COHERENT",
    statement: "What a device finds at an address that it maps is what was stored there last, by whatever CPU.",
    source: "Documentation/mm/mmu_notifier.rst: when do you need to notify inside page table lock",
    premise: ({ devices }) => devices.some(({ pageTable }) => pageTable.some(({ value }) => value !== null)),
    holds: (world) => staleMirrors(world).length === 0,
    explain: (world) =>
      staleMirrors(world)
        .map(
          ({ name, va, expected, found }) =>
            `${name} finds "${found}" at page ${va}, where "${expected}" was stored last.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "ZAP-DIRTY-KEPT",
    statement:
      "While nobody is inside a page table's lock, a page whose content is not the one in its file or in swap is known to be dirty: by the page, by an entry that maps it, or by a device that may store to it, as the CPU may.",
    source: "mm/memory.c: zap_present_folio_ptes; commit 1cf35d47712d; mm/migrate_device.c (commit fd35ca3d12cc)",
    premise: (world) => liveFolios(world).some(({ swap, mapping }) => swap !== null || mapping === world.file.name),
    holds: (world) => !world.mms.every(isQuiet) || lostCustody(world).length === 0,
    explain: (world) =>
      lostCustody(world)
        .map(({ index, content }) => `"${content}" in page ${index} is nowhere else, and the page looks clean.`)
        .join(" "),
  },
]
