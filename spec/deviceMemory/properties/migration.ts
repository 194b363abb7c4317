/** Migration between system and device memory. */
import { pageTableLock } from "../../../model/mm/mm.ts"
import { at } from "../../../model/mm/range.ts"
import { isAnon, mmOf } from "../../../model/mm/rmap.ts"
import { isFree } from "../../../model/sync/spinlock.ts"
import { anything } from "../../mm/memory.ts"
import { sameFrame } from "../../mm/properties/places.ts"
import type { Source } from "../record.ts"
import type { DeviceWorld } from "../world.ts"
import {
  devicePages,
  faultPages,
  gpuEntries,
  isReachable,
  liveFolio,
  memoryOf,
  type Spec,
  sources,
  targets,
} from "./places.ts"

const migrates = (world: DeviceWorld): boolean => sources(world).length > 0 || targets(world).length > 0

/** The pages in a migration that whoever migrates them does not hold locked. */
const unlocked = (world: DeviceWorld) =>
  [...sources(world), ...targets(world)].filter(({ fiber, one }) => liveFolio(world, one.page)?.lock !== fiber)

/** What the page that will be mapped at a place of a migration holds, and what was stored there last. */
const contentOf = (world: DeviceWorld, one: Source): { readonly found: string; readonly expected: string } | null => {
  if (one.phase !== "alone" && one.phase !== "moved") return null
  const mm = mmOf(world.system, one.mm)
  const pte = at(mm.pte, one.va).value
  if (!isFree(pageTableLock(mm, one.va)) || pte?.kind !== "migration" || !sameFrame(pte.page, one.page)) return null
  const target = targets(world).find((other) => sameFrame(other.one.of, one.page))
  const folio = liveFolio(world, one.phase === "moved" && target !== undefined ? target.one.page : one.page)
  const expected = world.memory.expected(mm, one.va)
  return folio === undefined || expected === anything ? null : { found: folio.content, expected }
}

const lostWrites = (world: DeviceWorld) =>
  sources(world).flatMap(({ one }) => {
    const content = contentOf(world, one)
    return content === null || content.found === content.expected ? [] : [{ ...one, ...content }]
  })

/** The pages of which a GPU maps the new copy, or the old, where the CPU has the other. */
const twoCopies = (world: DeviceWorld) =>
  targets(world).filter(({ one: { page, of } }) => of !== null && isReachable(world, of) && isReachable(world, page))

/** The new pages that a GPU maps although they take no page's place, or not yet. */
const mappedTargets = (world: DeviceWorld) =>
  targets(world).filter(
    ({ one: { page, used } }) => !used && gpuEntries(world).some(({ entry }) => sameFrame(entry.page, page)),
  )

/** The GPUs that map another's private memory. */
const trespassers = (world: DeviceWorld) =>
  gpuEntries(world).filter(({ gpu, entry }) => {
    const memory = entry.page === null ? undefined : memoryOf(world, entry.page)
    return memory?.type === "private" && memory.owner !== gpu.memory.owner
  })

export const migrationProperties: ReadonlyArray<Spec> = [
  {
    kind: "invariant",
    id: "MIGD-BOTH-LOCKED",
    statement:
      "From its collection to its end, whoever migrates a page has it locked, and the page that takes its place.",
    source: "mm/migrate_device.c: migrate_vma_collect_pmd, migrate_device_finalize",
    premise: migrates,
    holds: (world) => unlocked(world).length === 0,
    explain: (world) =>
      unlocked(world)
        .map(({ fiber, one: { page } }) => `${fiber} migrates page ${page.pfn} and does not have it locked.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIGD-SRC-UNMAPPED",
    statement: "A page of which a migration has found that nobody else refers to it is mapped nowhere.",
    source: "mm/migrate_device.c: migrate_device_unmap",
    premise: (world) => sources(world).some(({ one }) => one.phase === "alone"),
    holds: (world) =>
      sources(world).every(
        ({ one }) =>
          (one.phase !== "alone" && one.phase !== "moved") || (liveFolio(world, one.page)?.mapcount ?? 0) === 0,
      ),
  },
  {
    kind: "invariant",
    id: "MIGD-ONE-COPY",
    statement: "Of a page and the page that is to take its place, CPUs and devices reach one, never both.",
    source: "mm/migrate_device.c: migrate_device_finalize; Documentation/mm/hmm.rst",
    premise: (world) => targets(world).some(({ one }) => one.of !== null),
    holds: (world) => twoCopies(world).length === 0,
    explain: (world) =>
      twoCopies(world)
        .map(({ one: { page, of } }) => `Both page ${of?.pfn} and page ${page.pfn} can be reached.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIGD-NO-LOST-WRITE",
    statement:
      "While a page is being moved, the page that will be mapped in its place holds what was stored there last: before the decision the old one, behind it the new one.",
    source: "Documentation/mm/hmm.rst: Migration to and from device memory; mm/migrate_device.c, by inference",
    premise: (world) => sources(world).some(({ one }) => contentOf(world, one) !== null),
    holds: (world) => lostWrites(world).length === 0,
    explain: (world) =>
      lostWrites(world)
        .map(
          ({ va, mm, found, expected }) => `At page ${va} of ${mm} will be "${found}", where "${expected}" was stored.`,
        )
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIGD-PIN-STOPS",
    statement: "A page to which anybody but its migration refers is not moved.",
    source: "mm/migrate_device.c: __migrate_device_pages; mm/migrate.c: folio_migrate_mapping",
    premise: (world) =>
      world.migrations.broken.movesReferred || sources(world).some(({ one }) => one.phase === "moved"),
    holds: ({ migrations }) => !migrations.broken.movesReferred,
  },
  {
    kind: "invariant",
    id: "MIGD-EMPTY-RACE",
    statement: "A new page takes a place where no page was only if there still is none.",
    source: "mm/migrate_device.c: migrate_vma_insert_page",
    premise: (world) =>
      world.migrations.broken.insertsOverPage || targets(world).some(({ one }) => one.of === null && one.used),
    holds: ({ migrations }) => !migrations.broken.insertsOverPage,
  },
  {
    kind: "invariant",
    id: "MIGD-OWNER",
    statement: "A driver moves and maps private pages of its own device, and no other's.",
    source: "mm/migrate_device.c: migrate_vma_collect_pmd; mm/hmm.c: hmm_vma_handle_pte (dev_private_owner)",
    premise: (world) => world.migrations.broken.movesOthers || devicePages(world).length > 0,
    holds: (world) => !world.migrations.broken.movesOthers && trespassers(world).length === 0,
    explain: (world) =>
      trespassers(world)
        .map(({ gpu, entry }) => `${gpu.name} maps page ${entry.page?.pfn}, which it cannot reach.`)
        .join(" "),
  },
  {
    kind: "invariant",
    id: "MIGD-ANON-ONLY",
    statement: "What is mapped of a device's memory is an anonymous page, and not in the swap cache.",
    source: "mm/migrate_device.c: __migrate_device_pages",
    premise: (world) => devicePages(world).length > 0,
    holds: (world) =>
      devicePages(world).every((folio) => folio.mapcount === 0 || (isAnon(folio) && folio.swap === null)),
  },
  {
    kind: "invariant",
    id: "MIGD-W-BIT",
    statement: "An entry that allows stores behind a migration did so before, and its area does.",
    source: "mm/migrate.c: remove_migration_pte",
    premise: (world) => world.migrations.broken.givesWrite || sources(world).some(({ one }) => one.write),
    holds: ({ migrations }) => !migrations.broken.givesWrite,
  },
  {
    kind: "invariant",
    id: "MIGD-FLAG-AGREE",
    statement: "No device maps a page that was to take another's place and does not.",
    source: "Documentation/mm/hmm.rst: MIGRATE_PFN_MIGRATE; include/linux/migrate.h",
    premise: (world) => targets(world).some(({ one }) => !one.used),
    holds: (world) => mappedTargets(world).length === 0,
    explain: (world) =>
      mappedTargets(world)
        .map(({ one: { page } }) => `A GPU maps page ${page.pfn}, which takes no page's place.`)
        .join(" "),
  },
  {
    kind: "atEnd",
    id: "MIGD-DST-NO-LEAK",
    statement: "When everything has ended, a device's page is mapped or was given back to its driver.",
    source: "mm/migrate_device.c: migrate_device_finalize",
    holds: (world) => devicePages(world).every(({ mapcount }) => mapcount > 0),
  },
  {
    kind: "invariant",
    id: "MIGD-FAULTPAGE",
    statement:
      "The page whose fault a driver handles is in use and private, and whoever faulted has it locked until the driver is done.",
    source: "mm/memory.c: do_swap_page; mm/migrate_device.c: migrate_vma_setup (fault_page)",
    premise: (world) => faultPages(world).length > 0,
    holds: (world) =>
      faultPages(world).every(
        ({ fiber, page }) =>
          liveFolio(world, page)?.lock === fiber && world.folios.pgmaps.get(page.pfn)?.type === "private",
      ),
  },
  {
    kind: "invariant",
    id: "MIGD-NO-PTL-LEAK",
    statement: "When a migration lets go of its pages it holds no page table's lock.",
    source: "mm/migrate_device.c: migrate_vma_insert_huge_pmd_page leaves it locked on one way out, by reading",
    premise: (world) => migrates(world) || world.migrations.broken.keepsLock,
    holds: ({ migrations }) => !migrations.broken.keepsLock,
  },
]

/** For machines on which nobody refers to pages but by their addresses. */
export const waitersLetMove: Spec = {
  kind: "invariant",
  id: "MIGD-WAITERS-LET-MOVE",
  statement: "Who waits until a page is moved, or faults on it meanwhile, does not keep it from being moved.",
  source: "mm/migrate.c: migration_entry_wait_on_locked; mm/memory.c: do_swap_page; commit 1afaeb8293c9",
  premise: (world) =>
    world.migrations.broken.staysThoughFree || sources(world).some(({ one }) => one.phase === "moved"),
  holds: ({ migrations }) => !migrations.broken.staysThoughFree,
}
