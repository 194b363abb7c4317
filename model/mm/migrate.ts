/** Moving pages within system memory (mm/migrate.c: migrate_pages; mm/rmap.c: try_to_migrate_one). */
import * as Effect from "effect/Effect"
import { guardedStep, procedure, step } from "../../checker/program/index.ts"
import { isDevicePrivate } from "../deviceMemory/pgmap.ts"
import { inodeOf } from "../file/inode.ts"
import { notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { release, underLock } from "../sync/spinlock.ts"
import { tryToUnmapFlush, type UnmapBatch, unmapBatch } from "./batchedFlush.ts"
import { type Folio, type Frame, folioAlloc, folioLock, folioOf, folioPut, frameOf, type Zone } from "./folio.ts"
import { findVma, hasTable, type Mm, pageTableLock } from "./mm.ts"
import { isWritable, type Migration, present, type Rmapped } from "./pte.ts"
import { at } from "./range.ts"
import { clearOrDefer, isolateFolio } from "./reclaim.ts"
import { isAnon, isCached, removeRmap, rmapWalk, tryShareAnonRmap } from "./rmap.ts"
import { slotOf } from "./swap.ts"
import type { System } from "./system.ts"
import { mostAccess } from "./vma.ts"

/** `migrate_pages` of the page that is mapped at an address, as compaction does it. Returns what became of the page. */
export const migratePage = procedure(function* (mm: Mm, va: number) {
  const frame = yield* step("isolate_migratepages_block", [mm.name, va], () => isolateFolio(mm, va))
  if (frame === null) return "nothing" as const
  return yield* migrateFolios(mm.system, frame)
})

/**
 * `migrate_folio_unmap` and `migrate_folio_move`, of a folio that the caller has isolated: it is unmapped everywhere,
 * its content copied to a fresh folio, and that mapped in its place; if anybody else refers to it, it is mapped again as
 * it was. The isolation's reference is given back.
 */
export const migrateFolios = procedure(function* (system: System, src: Frame, zone: Zone = "any") {
  const { folios } = system
  yield* folioLock(folios, src)
  const dst = yield* allocTarget(system, src, zone)
  if (dst === "-ENOMEM" || dst === "-EBUSY") {
    yield* migrateFolioDone(system, src)
    return dst
  }
  const batch = unmapBatch()
  yield* rmapWalk(system, src, (mm, va) => tryToMigrateOne(mm, va, src, batch))
  const unmapped = yield* step("migrate_folio_unmap", [src.pfn], () => folioOf(folios, src).mapcount === 0)
  if (!unmapped) {
    yield* rmapWalk(system, src, (mm, va) => removeMigrationPte(mm, va, src, src))
    yield* tryToUnmapFlush(batch, src.pfn)
    yield* migrateFolioDone(system, src)
    yield* migrateFolioUndoDst(system, dst)
    return "-EAGAIN" as const
  }
  yield* tryToUnmapFlush(batch, src.pfn)
  const copied = yield* step("migrate_folio_move", [src.pfn, dst.pfn], () => {
    const source = folioOf(folios, src)
    if (source.refcount !== expectedRefs(source)) return false
    folioOf(folios, dst).content = source.content
    return true
  })
  const moved =
    copied &&
    (yield* step("folio_migrate_mapping", [src.pfn, dst.pfn], () => {
      const source = folioOf(folios, src)
      if (source.refcount !== expectedRefs(source)) return false
      moveMapping(system, source, folioOf(folios, dst))
      return true
    }))
  const target = moved ? dst : src
  yield* rmapWalk(system, target, (mm, va) => removeMigrationPte(mm, va, src, target))
  yield* migrateFolioDone(system, src)
  if (moved) {
    yield* step("folio_putback_lru", [dst.pfn], () => {
      const folio = folioOf(folios, dst)
      folio.lock = ""
      folio.lru = true
      folioPut(folios, dst)
    })
  } else yield* migrateFolioUndoDst(system, dst)
  return moved ? ("moved" as const) : ("-EAGAIN" as const)
})

/**
 * `alloc_migration_target`, and the look at writeback that `migrate_folio_unmap` begins with: with the folio locked none
 * begins any more. Who moves a page to pin it waits (MIGRATE_SYNC), compaction lets it be.
 */
const allocTarget = ({ folios }: System, src: Frame, zone: Zone): Effect.Effect<Frame | "-ENOMEM" | "-EBUSY"> =>
  guardedStep(
    "alloc_migration_target",
    [src.pfn],
    () => zone === "any" || !folioOf(folios, src).writeback,
    () => {
      const source = folioOf(folios, src)
      if (source.writeback) return "-EBUSY"
      const frame = folioAlloc(folios, source.memcg, zone)
      if (frame === null) return "-ENOMEM"
      folioOf(folios, frame).lock = source.lock
      return frame
    },
  )

/** `folio_expected_ref_count`, of an unmapped folio that is isolated. */
const expectedRefs = (folio: Folio): number => (isCached(folio) ? 2 : 1)

/**
 * `__folio_migrate_mapping` and `folio_migrate_flags`: the caches, the charge and the flags are the new folio's. Within
 * a step.
 */
export const moveMapping = (system: System, source: Folio, target: Folio): void => {
  target.mapping = source.mapping
  target.offset = source.offset
  target.dirty = source.dirty
  target.swapBacked = source.swapBacked
  target.anonExclusive = source.anonExclusive
  if (target.memcg === "") {
    // mem_cgroup_migrate: what was allocated without a charge takes the old one's.
    target.memcg = source.memcg
    source.memcg = ""
  }
  if (!isCached(source)) return
  if (source.swap !== null) {
    slotOf(system.swap, source.swap).cache = frameOf(target)
    target.swap = source.swap
    source.swap = null
  } else {
    at(inodeOf(system, source.mapping).cache, source.offset).value = frameOf(target)
    source.mapping = ""
  }
  target.refcount++
  source.refcount--
}

/** The old folio is unlocked, put back on the LRU if it is still in use, and the isolation's reference dropped. */
const migrateFolioDone = (system: System, src: Frame): Effect.Effect<void> =>
  step("migrate_folio_done", [src.pfn], () => {
    const folio = folioOf(system.folios, src)
    folio.lock = ""
    folio.lru = true
    folioPut(system.folios, src)
  })

/** `migrate_folio_undo_dst`: the new folio is not needed. */
const migrateFolioUndoDst = (system: System, dst: Frame): Effect.Effect<void> =>
  step("migrate_folio_undo_dst", [dst.pfn], () => {
    folioOf(system.folios, dst).lock = ""
    folioPut(system.folios, dst)
  })

/**
 * `try_to_migrate_one`: replaces the entry by one that makes whoever meets it wait for the folio's lock.
 *
 * @param batch what the flush is put off to; `null` where it is not (without TTU_BATCH_FLUSH)
 */
export const tryToMigrateOne = Effect.fnUntraced(function* (
  mm: Mm,
  va: number,
  frame: Frame,
  batch: UnmapBatch | null,
) {
  const { folios } = mm.system
  const ptl = pageTableLock(mm, va)
  const window = notifierRange("CLEAR", "try_to_migrate_one", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const taken = yield* clearOrDefer(mm, va, frame, "try_to_migrate_one", batch)
  if (taken !== null) {
    yield* step("try_to_migrate_one: set_migration_pte", [mm.name, va], () => {
      release(ptl)
      const folio = folioOf(folios, frame)
      const exclusive = folio.anonExclusive
      if (isAnon(folio) && !tryShareAnonRmap(folio)) {
        at(mm.pte, va).value = taken
        return
      }
      at(mm.pte, va).value = migrationEntry(taken, exclusive)
      removeRmap(folio)
      folioPut(folios, frame)
    })
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
})

/**
 * The entry that takes the place of one while its page is moved, with the rights that it gave: one of a page that a
 * device has for itself is as one for reading.
 *
 * @param exclusive whether the page was marked so
 */
export const migrationEntry = (taken: Rmapped, exclusive: boolean): Migration => {
  const writable = taken.kind === "private" ? taken.write : isWritable(taken)
  const mode = writable ? "write" : exclusive ? "readExclusive" : "read"
  const bits = taken.kind === "present" ? taken : { dirty: false, young: false }
  return { kind: "migration", page: taken.page, mode, dirty: bits.dirty, young: bits.young }
}

/**
 * `remove_migration_pte`: maps the folio, the new one or again the old one, with the rights that the entry had: of one that
 * may be written through, mprotect has taken that away if it had to. It is found by way of the upper level.
 */
export const removeMigrationPte = (mm: Mm, va: number, src: Frame, target: Frame): Effect.Effect<void> =>
  underLock(pageTableLock(mm, va), "remove_migration_pte", [mm.name, va], () => {
    if (hasTable(mm, va)) removeMigrationEntry(mm, va, src, target)
  })

/** The same of one entry, be it a piece of a huge one. Within a step, under the page table's lock. */
export const removeMigrationEntry = (mm: Mm, va: number, src: Frame, target: Frame): void => {
  const cell = at(mm.pte, va)
  const pte = cell.value
  if (pte?.kind !== "migration" || pte.page.pfn !== src.pfn || pte.page.generation !== src.generation) return
  const folio = folioOf(mm.system.folios, target)
  folio.refcount++
  folio.mapcount++
  if (isAnon(folio)) folio.anonExclusive = pte.mode !== "read"
  const vma = findVma(mm, va) ?? at(mm.vma, va).value
  const most = vma === null ? "none" : mostAccess(vma)
  const access = most === "none" ? "none" : pte.mode === "write" ? "write" : "read"
  if (isDevicePrivate(mm.system.folios, target)) {
    cell.value = { kind: "private", page: target, write: access === "write" }
    return
  }
  cell.value = present(target, access, {
    dirty: pte.dirty,
    young: pte.young,
  })
}
