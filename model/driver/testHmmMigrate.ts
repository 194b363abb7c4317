/**
 * Migration to a device's memory by the driver of the self tests (lib/test_hmm.c: dmirror_migrate_to_device;
 * mm/migrate_device.c), where that memory is coherent: CPUs map it as they map their own, so that here it is not told from
 * it, but for not being on the LRU. One page of anonymous memory; what other processes map too is left where it is.
 *
 * Corrected: the driver maps the new page without a look at any sequence, and holds the locks of both folios to be enough.
 * They do not keep the migration entry from being zapped. Here a subscription that hears of everything but the migration
 * itself tells; a seeded bug leaves the look out. Like every subscription by whose sequence something is mapped it drops
 * that in the same critical section: the other one's callback may have been called before.
 */
import * as Effect from "effect/Effect"
import { step } from "../../checker/program/index.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Frame, folioAlloc, folioOf, folioPut, folioTrylock } from "../mm/folio.ts"
import { moveMapping, removeMigrationPte } from "../mm/migrate.ts"
import { findVma, type Mm, mmapReadLock, mmapReadUnlock, pageTableLock } from "../mm/mm.ts"
import { isWritable, mappedPage } from "../mm/pte.ts"
import { at } from "../mm/range.ts"
import { clearMapping } from "../mm/reclaim.ts"
import { isAnon, removeRmap, tryShareAnonRmap } from "../mm/rmap.ts"
import { type NotifierRange, notifierRangeOf } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
} from "../notifier/interval.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { underLock } from "../sync/spinlock.ts"
import { type Dmirror, setPageDirty, subscription } from "./testHmm.ts"

/** A migration, with its subscription, of a page to the device's memory. */
export interface Migration {
  readonly dmirror: Dmirror
  readonly va: number
  readonly notifier: IntervalSubscription
}

/** Makes a migration that has not begun. */
export const migrationOf = (dmirror: Dmirror, va: number): Migration => {
  const { name } = dmirror
  const page = { start: va, end: va + 1 }
  const ignores = ({ owner }: NotifierRange) => owner === name
  const notifier = subscription(dmirror, `${name}.migration`, page, { clears: true, ignores })
  return { dmirror, va, notifier }
}

/** `dmirror_migrate_to_device` of one page: whether it was moved. */
export const dmirrorMigrateToDevice = Effect.fnUntraced(function* (migration: Migration) {
  const { dmirror, notifier } = migration
  const { mm } = dmirror
  if (!(yield* mmgetNotZero(mm))) return false
  yield* mmuIntervalNotifierInsert(mm.subscriptions, notifier)
  const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
  yield* mmapReadLock(mm)
  const moved = yield* migratePage(migration, seq)
  yield* mmapReadUnlock(mm)
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  yield* mmput(mm)
  return moved
})

/** From `migrate_vma_setup` to `migrate_vma_finalize`, `mmap_lock` held for read. */
const migratePage = Effect.fnUntraced(function* ({ dmirror, va, notifier }: Migration, seq: number) {
  const { mm } = dmirror
  const { system } = mm
  const collected = yield* migrateVmaCollect(dmirror, va)
  if (collected === null) return false
  const { src, write } = collected
  const isolated = yield* migrateDeviceUnmap(mm, src)
  const dst = isolated ? yield* allocAndCopy(mm, src) : null
  const moved =
    dst !== null &&
    (yield* step("migrate_vma_pages", [src.pfn, dst.pfn], () => {
      const source = folioOf(system.folios, src)
      if (source.refcount !== 1 || source.swap !== null) return false
      moveMapping(system, source, folioOf(system.folios, dst))
      return true
    }))
  if (moved) {
    yield* mutexLock(dmirror.mutex)
    if (!(yield* mmuIntervalReadRetry(notifier, seq))) {
      yield* setPageDirty(mm, { page: dst, write })
      yield* step("dmirror_migrate_finalize_and_map", [dmirror.name, va], () => {
        at(dmirror.pt, va).value = { page: dst, write }
      })
    }
    yield* mutexUnlock(dmirror.mutex)
  }
  yield* removeMigrationPte(mm, va, src, moved ? dst : src)
  yield* step("migrate_vma_finalize", [src.pfn, ...(dst === null ? [] : [dst.pfn])], () => {
    if (isolated) folioOf(system.folios, src).lru = true
    for (const frame of dst === null ? [src] : [src, dst]) {
      folioOf(system.folios, frame).lock = ""
      folioPut(system.folios, frame)
    }
  })
  return moved
})

/** `migrate_vma_collect`: the entry becomes a migration entry, the folio locked and referred to; `null` if it stays. */
const migrateVmaCollect = Effect.fnUntraced(function* ({ name, mm }: Dmirror, va: number) {
  const window = notifierRangeOf(name, "MIGRATE", "migrate_vma_collect", { start: va, end: va + 1 })
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  const collected = yield* underLock(pageTableLock(mm, va), "migrate_vma_collect_pmd", [mm.name, va], () =>
    collectPte(mm, va),
  )
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return collected
})

/** One entry, its translations flushed, under the page table's lock. Within a step. */
const collectPte = (mm: Mm, va: number): { readonly src: Frame; readonly write: boolean } | null => {
  const src = mappedPage(at(mm.pte, va).value)
  if (src === null || findVma(mm, va) === null) return null
  const folio = folioOf(mm.system.folios, src)
  if (!isAnon(folio) || !folioTrylock(folio)) return null
  const exclusive = folio.anonExclusive
  const taken = clearMapping(mm, va, src)
  if (taken === null || !tryShareAnonRmap(folio)) {
    at(mm.pte, va).value = taken
    folio.lock = ""
    return null
  }
  const write = isWritable(taken)
  const mode = write ? "write" : exclusive ? "readExclusive" : "read"
  at(mm.pte, va).value = { kind: "migration", page: src, mode, dirty: taken.dirty, young: taken.young }
  // The entry's reference becomes the migration's.
  removeRmap(folio)
  return { src, write }
}

/** `migrate_device_unmap`: takes the folio off the LRU; false if somebody else has. Who refers to it besides is seen below. */
const migrateDeviceUnmap = ({ system }: Mm, src: Frame): Effect.Effect<boolean> =>
  step("migrate_device_unmap", [src.pfn], () => {
    const folio = folioOf(system.folios, src)
    if (!folio.lru) return false
    folio.lru = false
    return true
  })

/** `dmirror_migrate_alloc_and_copy`: before it is sure that the page is moved. */
const allocAndCopy = ({ system }: Mm, src: Frame): Effect.Effect<Frame | null> =>
  step("dmirror_migrate_alloc_and_copy", [src.pfn], () => {
    const source = folioOf(system.folios, src)
    const dst = folioAlloc(system.folios, source.memcg)
    if (dst === null) return null
    const target = folioOf(system.folios, dst)
    target.lock = source.lock
    target.content = source.content
    return dst
  })
