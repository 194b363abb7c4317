/**
 * Large folios in migration (mm/rmap.c: try_to_migrate_one; mm/huge_memory.c: set_pmd_migration_entry, remove_migration_pmd),
 * and their splitting.
 */
import * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Frame, folioOf, folioPut, folioUnlock, largeCell, maybePinned, pagesOfFolio } from "./folio.ts"
import { hugePmdOf } from "./hugeSplit.ts"
import { folioMapcount, folioRefs } from "./largeFolio.ts"
import { migrationEntry, removeMigrationEntry, removeMigrationPte } from "./migrate.ts"
import { isHuge, pageTableLock } from "./mm.ts"
import { isRmapped } from "./pte.ts"
import { at } from "./range.ts"
import { isAnon, maps, type Pieces, removeRmap, rmapWalk, rmapWalkLarge, tryShareAnonRmap } from "./rmap.ts"
import type { System } from "./system.ts"
import { dropTranslations } from "./tlb.ts"

/** The addresses of pieces. */
const extentOf = ({ pieces }: Pieces) => ({
  start: Math.min(...pieces.map(({ va }) => va)),
  end: Math.max(...pieces.map(({ va }) => va)) + 1,
})

/**
 * `try_to_migrate_one` of what one page table maps of a large folio: a huge entry becomes one migration entry, others
 * as many as there are.
 *
 * @param splits whether a huge entry is split first (TTU_SPLIT_HUGE_PMD)
 */
export const tryToMigratePieces = procedure(function* (pieces: Pieces, splits: boolean) {
  const { mm } = pieces
  const range = extentOf(pieces)
  const window = notifierRange("CLEAR", "try_to_migrate_one", range)
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  yield* underLock(
    pageTableLock(mm, range.start),
    "try_to_migrate_one: set_pmd_migration_entry",
    [mm.name, range.start, range.end],
    () => {
      if (splits && isHuge(mm, range.start)) hugePmdOf(mm, range.start).huge.value = false
      setMigrationEntries(pieces)
    },
  )
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/**
 * `set_pmd_migration_entry`, or the same entry by entry: false where the folio may be pinned, and stays as it is. The TLBs are
 * flushed in between, as nobody can take the page table's lock then. Within a step, under that lock.
 */
export const setMigrationEntries = (all: Pieces): boolean => {
  const { mm, pieces } = all
  const { folios } = mm.system
  const mapped = pieces.filter(({ va, page }) => maps(mm, va, page))
  const [first] = mapped
  if (first === undefined) return true
  const isPinned = pagesOfFolio(folios, first.page).some((page) => maybePinned(folioOf(folios, page)))
  if (isPinned && mapped.some(({ page }) => folioOf(folios, page).anonExclusive)) return false
  dropTranslations(mm, extentOf(all))
  for (const { va, page } of mapped) {
    const cell = at(mm.pte, va)
    const pte = cell.value
    if (!isRmapped(pte)) continue
    const folio = folioOf(folios, page)
    const exclusive = folio.anonExclusive
    if (isAnon(folio)) tryShareAnonRmap(folio)
    if (pte.kind === "present" && pte.dirty) folio.dirty = true
    cell.value = migrationEntry(pte, exclusive)
    removeRmap(folio)
    folioPut(folios, page)
  }
  return true
}

/**
 * `remove_migration_ptes`: maps the folio, the new one or again the old one, wherever it was mapped. The new one is as
 * large as the old one.
 */
export const removeMigrationPtes = procedure(function* (system: System, src: Frame, target: Frame) {
  const { folios } = system
  const pages = yield* pagesOf(system, src)
  if (pages.length === 1) return yield* rmapWalk(system, target, (mm, va) => removeMigrationPte(mm, va, src, target))
  yield* rmapWalkLarge(system, target, ({ mm, pieces }) => {
    const moves = pieces.flatMap(({ va, page }) => {
      const from = pages[page.pfn % folios.hugePages]
      return from === undefined ? [] : [{ va, from, to: page }]
    })
    const [first] = moves
    if (first === undefined) return Effect.void
    return underLock(
      pageTableLock(mm, first.va),
      "remove_migration_pmd",
      [mm.name, first.va, first.va + moves.length],
      () => {
        for (const { va, from, to } of moves) removeMigrationEntry(mm, va, from, to)
      },
    )
  })
})

/** The pages of a folio that is not split meanwhile, as who asks has locked it. */
const pagesOf = ({ folios }: System, frame: Frame): Effect.Effect<ReadonlyArray<Frame>> =>
  folios.large.length === 0
    ? Effect.succeed([frame])
    : step("folio_nr_pages", [frame.pfn], () => pagesOfFolio(folios, frame))

/**
 * `split_folio` (mm/huge_memory.c: __folio_split), of a large folio that the caller has locked and refers to once.
 * Every page is a folio of its own then; nobody may refer to it but those who map it, and the caller.
 *
 * @param lockAt the page that stays the caller's: its lock and the reference are that page's then
 * @returns false where the folio is left as it is
 */
export const splitFolio = procedure(function* (system: System, frame: Frame, lockAt: Frame) {
  const { folios, anonVmaLock } = system
  const can = yield* step(
    "can_split_folio",
    [frame.pfn],
    () => folioRefs(folios, frame) === folioMapcount(folios, frame) + 1,
  )
  if (!can) return false
  yield* downWrite(anonVmaLock, "anon_vma_lock_write", [frame.pfn])
  yield* rmapWalkLarge(system, frame, (pieces) => tryToMigratePieces(pieces, true), true)
  const pages = yield* step("__folio_split", [frame.pfn, lockAt.pfn], () => freezeAndSplit(system, frame))
  const mapped = pages ?? [frame]
  for (const page of mapped) {
    yield* rmapWalkLarge(
      system,
      page,
      ({ mm, pieces }) =>
        Effect.forEach(pieces, ({ va, page: piece }) => removeMigrationPte(mm, va, piece, piece), { discard: true }),
      true,
    )
  }
  yield* upWrite(anonVmaLock, "anon_vma_unlock_write", [frame.pfn])
  if (pages === null) return false
  for (const page of pages.filter(({ pfn }) => pfn !== lockAt.pfn)) {
    yield* step("__folio_split: folio_unlock, free_folio_and_swap_cache", [page.pfn], () => {
      folioUnlock(folios, page)
      folioPut(folios, page)
    })
  }
  return true
})

/**
 * `__folio_freeze_and_split_unmapped`: makes every page of an unmapped folio a folio of its own, which is locked and has one
 * reference; `null` where somebody else refers to it. Within a step.
 */
export const freezeAndSplit = ({ folios }: System, frame: Frame): ReadonlyArray<Frame> | null => {
  if (folioRefs(folios, frame) !== 1) return null
  const pages = pagesOfFolio(folios, frame)
  largeCell(folios, frame.pfn).value = false
  for (const page of pages) folioOf(folios, page).refcount = 1
  return pages
}
