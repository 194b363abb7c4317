/**
 * Migration between system and device memory (mm/migrate_device.c): `migrateVmaSetup` unmaps the pages and locks them, the
 * driver copies what it wants moved, `migrateVmaPages` decides what can be, `migrateVmaFinalize` maps the one or the other.
 *
 * The caller has `mmap_lock` for reading from the first to the last.
 */
import type * as Effect from "effect/Effect"
import { assert, enterLoop, procedure, self, step } from "../../checker/program/index.ts"
import { linkTable, lockedVma, vmfAnonPrepare } from "../mm/fault.ts"
import {
  type Folio,
  type Frame,
  folioOf,
  folioPut,
  folioTrylock,
  folioUnlock,
  isLarge,
  memcgCharge,
  pagesOfFolio,
} from "../mm/folio.ts"
import { removeMigrationPtes, tryToMigratePieces } from "../mm/hugeMigrate.ts"
import { compoundHead, folioMapcount, folioRefs } from "../mm/largeFolio.ts"
import { drainFor } from "../mm/lruDrain.ts"
import { migrationEntry, moveMapping, tryToMigrateOne } from "../mm/migrate.ts"
import { findVma, hasTable, isHuge, type Mm, pageTableLock } from "../mm/mm.ts"
import { isRmapped, isWritable, type Pte, present, type Rmapped } from "../mm/pte.ts"
import { at, type Range } from "../mm/range.ts"
import { addNewAnonRmap, isAnon, isCached, removeRmap, rmapWalk, rmapWalkLarge, tryShareAnonRmap } from "../mm/rmap.ts"
import { folioFreeSwap } from "../mm/swap.ts"
import type { System } from "../mm/system.ts"
import { dropTranslations } from "../mm/tlb.ts"
import { mostAccess } from "../mm/vma.ts"
import { type NotifierRange, notifierRange } from "../notifier/events.ts"
import { mmuNotifierInvalidateRangeEnd, mmuNotifierInvalidateRangeStart } from "../notifier/invalidate.ts"
import { keep, release, underLock } from "../sync/spinlock.ts"
import {
  collectPmd,
  migrateVmaInsertHugePmdPage,
  migrateVmaSplit,
  migrateVmaSplitFolio,
  splitHugeZeroPmd,
} from "./migrateHuge.ts"
import { isDevicePrivate, isZoneDevice, type PagemapType, pgmapOf } from "./pgmap.ts"

/** MIGRATE_VMA_SELECT_SYSTEM, ..._DEVICE_PRIVATE, ..._DEVICE_COHERENT: which pages are to be moved. */
export type Selected = "system" | "private" | "coherent"

/** `struct migrate_vma`: what is asked. */
export interface MigrateVma {
  readonly mm: Mm
  readonly range: Range
  readonly select: Selected | ReadonlyArray<Selected>
  /** `pgmap_owner`: whose private and coherent pages are meant, and who ignores what the migration announces. */
  readonly owner: string
  /** The private page whose fault is being handled: it is locked, and has one more reference. */
  readonly faultPage?: Frame
  /** MIGRATE_VMA_SELECT_COMPOUND: huge pages are taken as they are, and not split. */
  readonly compound?: boolean
}

/** An entry of `src` and `dst`: plain data, as steps return it. */
export type MigrateSlot = DeviceSlot & { readonly va: number }

/** The same, of a migration of pages wherever they are mapped. */
export type DeviceSlot = {
  /** The page, locked; `null` where there is none, or nothing to move. */
  readonly src: Frame | null
  /** MIGRATE_PFN_MIGRATE: whether it can be moved, as far as is known. Whoever clears it says that the page stays. */
  readonly migrate: boolean
  /** MIGRATE_PFN_WRITE: whether the entry allowed stores, or the area does where there was none. */
  readonly write: boolean
  /** The page that the driver has allocated, locked. */
  readonly dst: Frame | null
  /** MIGRATE_PFN_COMPOUND: it is a huge page, or a place for one; those behind it have nothing to say unless it is split. */
  readonly compound?: boolean
}

/** Whether a fault is being handled of a page of that folio. Within a step. */
export const isFaultFolio = ({ folios }: System, { faultPage }: Fault, frame: Frame): boolean =>
  faultPage !== undefined && pagesOfFolio(folios, frame).some(({ pfn }) => pfn === faultPage.pfn)

/**
 * `migrate_vma_setup`: collects the pages of the range that are selected, puts migration entries in their places, and
 * lets go those that somebody else refers to.
 */
export const migrateVmaSetup = procedure(function* (args: MigrateVma) {
  const collected = yield* collect(args)
  return yield* migrateDeviceUnmap(args.mm.system, collected, args)
})

/** `migrate_vma_collect`, in one window; when it closes faults meet the migration entries. */
const collect = procedure(function* (args: MigrateVma) {
  const { mm, range, owner } = args
  const window = { ...notifierRange("MIGRATE", "migrate_vma_collect", range), owner }
  const slots: Array<MigrateSlot> = []
  yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
  for (let va = range.start; va < range.end; va = range.start + slots.length) {
    slots.push(...((yield* collectPmd(args, va)) ?? [yield* collectPte(args, va)]))
  }
  yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return slots
})

/**
 * What `migrate_vma_collect_pmd` makes of an entry: nothing to move, a page yet to come, one that was locked and cleared, or
 * one of a large folio, which is to be split.
 */
type Collected =
  | "skip"
  | { readonly kind: "empty"; readonly write: boolean }
  | { readonly kind: "large"; readonly page: Frame }
  | Rmapped

const collectPte = procedure(function* (args: MigrateVma, va: number) {
  const nothing: MigrateSlot = { va, src: null, migrate: false, write: false, dst: null }
  const head = yield* enterLoop("migrate_vma_collect_pmd")
  for (;;) {
    yield* head()
    const slot = yield* tryCollectPte(args, va, nothing)
    if (!("large" in slot)) return slot
    if (!(yield* migrateVmaSplitFolio(args, slot.large))) return nothing
  }
})

/** The same of what is no large folio's; else which page is. */
const tryCollectPte = procedure(function* (args: MigrateVma, va: number, nothing: MigrateSlot) {
  const { mm } = args
  const { folios } = mm.system
  const ptl = pageTableLock(mm, va)
  const found = yield* underLock(ptl, "migrate_vma_collect_pmd: ptep_get_and_clear", [mm.name, va], (): Collected => {
    const cell = at(mm.pte, va)
    if (isHuge(mm, va)) return "skip"
    const pte: Pte = hasTable(mm, va) ? cell.value : null
    const empty = pte === null || pte.kind === "zero"
    if (empty) {
      const vma = findVma(mm, va)
      if (vma === null || vma.file !== null || (pte !== null && !selects(args, "system"))) return "skip"
      return { kind: "empty", write: mostAccess(vma) === "write" }
    }
    if (!isRmapped(pte) || !isSelected(args, pte)) return "skip"
    if (isLarge(folios, pte.page)) return { kind: "large", page: pte.page }
    const folio = folioOf(folios, pte.page)
    if (!isFaultFolio(mm.system, args, pte.page) && !folioTrylock(folios, pte.page)) return "skip"
    folio.refcount++
    cell.value = null
    // Of an exclusive page the flush must come before the look at its pins.
    if (folio.anonExclusive) dropTranslations(mm, { start: va, end: va + 1 })
    keep(ptl)
    return pte
  })
  if (found === "skip") return nothing
  if (found.kind === "empty") return { ...nothing, migrate: true, write: found.write }
  if (found.kind === "large") return { large: found.page }

  const set = yield* step("migrate_vma_collect_pmd: set_pte_at", [mm.name, va], () => {
    const folio = folioOf(folios, found.page)
    const exclusive = folio.anonExclusive
    if (isAnon(folio) && !tryShareAnonRmap(folio)) {
      // It is pinned.
      at(mm.pte, va).value = found
      if (!isFaultFolio(mm.system, args, found.page)) folio.lock = ""
      folioPut(folios, found.page)
      release(ptl)
      return "pinned"
    }
    if (found.kind === "present" && found.dirty) folio.dirty = true
    at(mm.pte, va).value = migrationEntry(found, exclusive)
    removeRmap(folio)
    folioPut(folios, found.page)
    if (found.kind === "present" && !exclusive) return "flush"
    release(ptl)
    return "flushed"
  })
  if (set === "pinned") return nothing
  if (set === "flush") yield* flushCollected(mm, va)
  const write = found.kind === "private" ? found.write : isWritable(found)
  return { ...nothing, src: found.page, migrate: true, write }
})

/** The flush that ends the walk of a page table, under its lock. */
const flushCollected = (mm: Mm, va: number): Effect.Effect<void> =>
  step("migrate_vma_collect_pmd: flush_tlb_range", [mm.name, va, va + 1], () => {
    dropTranslations(mm, { start: va, end: va + 1 })
    release(pageTableLock(mm, va))
  })

export const selects = ({ select }: MigrateVma, kind: Selected | PagemapType): boolean =>
  (typeof select === "string" ? [select] : select).some((one) => one === kind)

export const isSelected = (args: MigrateVma, pte: Rmapped): boolean => {
  const pgmap = pgmapOf(args.mm.system.folios, pte.page)
  if (pte.kind === "exclusive") return false
  if (pgmap === undefined) return selects(args, "system")
  return selects(args, pgmap.type) && pgmap.owner === args.owner
}

/** What the steps behind the collection need to know. */
export interface Fault {
  readonly faultPage?: Frame
  /**
   * Whether the reference is dropped in a step of its own behind the lock's, where others look at the references of a page that
   * is not locked: those who pin it for good. Elsewhere the two are one step.
   */
  readonly putsLater?: true
}

/**
 * `migrate_device_unmap`: takes the pages off the LRU and out of all other page tables. A page that then is referred to by
 * anybody else goes back where it was.
 */
export const migrateDeviceUnmap = procedure(function* <Slot extends DeviceSlot>(
  system: System,
  collected: ReadonlyArray<Slot>,
  fault: Fault,
) {
  const { folios } = system
  const slots: Array<Slot> = []
  const isolated = new Set<Frame>()
  let mayDrain = true
  for (const slot of collected) {
    const { src } = slot
    if (src === null) {
      slots.push(slot)
      continue
    }
    if (mayDrain && !isZoneDevice(folios, src)) mayDrain = !(yield* drainFor(system, src))
    const mapped = yield* step("migrate_device_unmap: folio_isolate_lru", [src.pfn], () => {
      const folio = folioOf(folios, src)
      assert(folio.lock === self(), `page ${src.pfn} is taken out of page tables, and is not locked`)
      if (!isZoneDevice(folios, src)) {
        if (!folio.lru) return "not on the LRU"
        // The isolation's reference takes the place of the collection's.
        setLru(system, src, false)
      }
      return folioMapcount(folios, src) > 0 ? "mapped" : "unmapped"
    })
    if (mapped === "mapped") yield* tryToMigrate(system, src, slot.compound === true)
    const alone =
      mapped !== "not on the LRU" &&
      (yield* step("migrate_vma_check_page", [src.pfn], () => checkPage(system, src, fault)))
    slots.push(alone ? slot : { ...slot, migrate: false })
    if (mapped !== "not on the LRU") isolated.add(src)
  }
  for (const { src, migrate } of slots) {
    if (src === null || migrate) continue
    yield* removeMigrationPtes(system, src, src)
    yield* putBack(system, src, fault, isolated.has(src))
  }
  return slots.map((slot) => (slot.migrate ? slot : { ...slot, src: null }))
})

/** `try_to_migrate` */
const tryToMigrate = (system: System, src: Frame, compound: boolean): Effect.Effect<void> =>
  compound
    ? rmapWalkLarge(system, src, (pieces) => tryToMigratePieces(pieces, false))
    : rmapWalk(system, src, (mm, va) => tryToMigrateOne(mm, va, src, null))

/** Whether the pages of a folio are on the LRU. Within a step. */
const setLru = ({ folios }: System, frame: Frame, lru: boolean): void => {
  for (const page of pagesOfFolio(folios, frame)) folioOf(folios, page).lru = lru
}

/**
 * `migrate_vma_check_page`: whether nobody but the migration refers to an unmapped page. Of a device's page one reference
 * too many goes unnoticed, as its free pages once had one; `migrateVmaPages` counts exactly. Within a step.
 */
const checkPage = (system: System, src: Frame, fault: Fault): boolean => {
  const folio = folioOf(system.folios, src)
  const relic = isZoneDevice(system.folios, src) ? 1 : 0
  return (
    folioMapcount(system.folios, src) === 0 &&
    folioRefs(system.folios, src) <= expectedRefs(system, folio, src, fault) + relic
  )
}

/** The migration's reference, the fault's, and the swap cache's or the file's. */
const expectedRefs = (system: System, folio: Folio, frame: Frame, fault: Fault): number =>
  1 + (isFaultFolio(system, fault, frame) ? 1 : 0) + (isCached(folio) ? 1 : 0)

/**
 * The page stays, or is no longer needed: it is unlocked, unless it is the fault's, and the migration's reference dropped.
 *
 * @param isolated whether the migration has it off the LRU
 */
const putBack = procedure(function* (system: System, frame: Frame, fault: Fault, isolated = true) {
  const unlock = () => {
    if (!isFaultFolio(system, fault, frame)) folioUnlock(system.folios, frame)
  }
  if (fault.putsLater === true) yield* step("folio_unlock", [frame.pfn], unlock)
  yield* step(fault.putsLater === true ? "folio_putback_lru" : "folio_unlock, folio_putback_lru", [frame.pfn], () => {
    if (fault.putsLater !== true) unlock()
    if (isolated && !isZoneDevice(system.folios, frame)) setLru(system, frame, true)
    folioPut(system.folios, compoundHead(system.folios, frame))
  })
})

/**
 * `migrate_vma_pages`, behind the driver's copy: what is not referred to by anybody else becomes the new page; a new page
 * takes an empty place if it still is empty. A slot that comes back without `migrate` stays as it was: the driver must not
 * point its own page table to the new page.
 */
export const migrateVmaPages = procedure(function* (args: MigrateVma, slots: ReadonlyArray<MigrateSlot>) {
  const { mm, owner, range } = args
  const moved: Array<MigrateSlot> = []
  let window: NotifierRange | null = null
  for (const slot of yield* migrateVmaSplit(args, slots)) {
    const { va, src, dst } = slot
    if (!slot.migrate || dst === null) {
      moved.push({ ...slot, migrate: false })
      continue
    }
    if (src === null && window === null) {
      window = { ...notifierRange("MIGRATE", "migrate_vma_insert_page", { start: va, end: range.end }), owner }
      yield* mmuNotifierInvalidateRangeStart(mm.subscriptions, window)
    }
    const migrate: boolean =
      src === null
        ? yield* migrateVmaInsertPage(mm, va, dst, slot.compound === true)
        : yield* folioMigrateMapping(mm.system, src, dst, args)
    moved.push({ ...slot, migrate })
  }
  if (window !== null) yield* mmuNotifierInvalidateRangeEnd(mm.subscriptions, window)
  return moved
})

/** `folio_migrate_mapping`, if nobody else refers to the page, and the new one is of a kind for it. */
export const folioMigrateMapping = (system: System, src: Frame, dst: Frame, fault: Fault): Effect.Effect<boolean> =>
  step("folio_migrate_mapping", [src.pfn, dst.pfn], () => {
    const { folios } = system
    const source = folioOf(folios, src)
    if (isZoneDevice(folios, dst) && !isAnon(source)) return false
    if (source.swap !== null && isZoneDevice(folios, dst) && !folioFreeSwap(system.swap, folios, src)) return false
    if (folioRefs(folios, src) !== expectedRefs(system, source, src, fault)) return false
    const target = pagesOfFolio(folios, dst)
    for (const [position, page] of pagesOfFolio(folios, src).entries()) {
      moveMapping(system, folioOf(folios, page), folioOf(folios, target[position] ?? dst))
    }
    return true
  })

/** `migrate_vma_insert_page`, or `migrate_vma_insert_huge_pmd_page` */
const migrateVmaInsertPage = procedure(function* (mm: Mm, va: number, dst: Frame, compound: boolean) {
  if (compound) return yield* migrateVmaInsertHugePmdPage(mm, va, dst)
  if (mm.system.thp) yield* splitHugeZeroPmd(mm, va)
  return yield* underLock(pageTableLock(mm, va), "migrate_vma_insert_page", [mm.name, va], () =>
    insertPage(mm, va, dst),
  )
})

/**
 * `migrate_vma_insert_page`: maps a new page where none is, not even a page table (`pte_alloc`). Within a step, under the
 * page table's lock.
 */
const insertPage = (mm: Mm, va: number, dst: Frame): boolean => {
  const { folios } = mm.system
  const pte = at(mm.pte, va)
  if (findVma(mm, va) === null || mm.state.unstable || isHuge(mm, va)) return false
  linkTable(mm, va)
  if (pte.value !== null && pte.value.kind !== "zero") return false
  if (!vmfAnonPrepare(mm, va, { write: true })) return false
  const vma = lockedVma(mm, va)
  if (vma.uffdMissing) return false
  const folio = folioOf(folios, dst)
  memcgCharge(folios, folio, mm.name)
  addNewAnonRmap(folio, vma)
  folio.lru = !isZoneDevice(folios, dst)
  folio.refcount++
  mm.rss.anon++
  if (pte.value !== null) dropTranslations(mm, { start: va, end: va + 1 })
  const access = mostAccess(vma)
  pte.value = isDevicePrivate(folios, dst)
    ? { kind: "private", page: dst, write: access === "write" }
    : present(dst, access, { dirty: access === "write" })
  return true
}

/** `migrate_vma_finalize`: maps what was moved where it now is, and what was not where it was; both are unlocked and put. */
export const migrateVmaFinalize = (args: MigrateVma, slots: ReadonlyArray<MigrateSlot>): Effect.Effect<void> =>
  migrateDeviceFinalize(args.mm.system, slots, args)

/** `migrate_device_finalize`, of pages wherever they are mapped. */
export const migrateDeviceFinalize = procedure(function* (
  system: System,
  slots: ReadonlyArray<DeviceSlot>,
  fault: Fault = {},
) {
  for (const { src, dst, migrate } of slots) {
    if (src !== null) {
      const target = migrate && dst !== null ? dst : src
      yield* removeMigrationPtes(system, src, target)
      yield* putBack(system, src, fault)
    }
    if (dst !== null) yield* putBack(system, dst, fault.putsLater === true ? { putsLater: true } : {})
  }
})
