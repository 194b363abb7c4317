/**
 * Migration to the memory of the self tests' devices, and back, at the wish of a process (lib/test_hmm.c:
 * dmirror_migrate_to_device, dmirror_migrate_to_system).
 *
 * Corrected: the driver maps the new page without a look at any sequence, and holds the locks of both folios to be
 * enough. They do not keep the migration entry from being zapped. Here a subscription that hears of everything but the
 * migration itself tells; a seeded bug leaves the look out. Like every subscription by whose sequence something is
 * mapped it drops that in the same critical section: the other one's callback may have been called before.
 *
 * A huge page that a migration splits is announced as if somebody else did it: where there are huge pages the file
 * faults in what it may not map.
 *
 * What is moved to the device is announced in the name of the file, not of the device, so that the file can tell it
 * from what is moved back: its entries in the device's memory stay where they are.
 */
import * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import {
  type MigrateSlot,
  type MigrateVma,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../deviceMemory/migrateVma.ts"
import { zoneDeviceFolioInit, zoneDevicePageInit } from "../deviceMemory/pgmap.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { folioOf, pagesOfFolio, zeroes } from "../mm/folio.ts"
import { findVma, type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import { at, type Range } from "../mm/range.ts"
import { allows } from "../mm/vma.ts"
import { areaOf } from "../mm/vmaMerge.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  mmuIntervalNotifierInsert,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
} from "../notifier/interval.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { type Dmirror, dmirrorCmd, dmirrorFault, dmirrorVerify, setPageDirty, subscription } from "./testHmm.ts"
import { allocAndCopyAll, type DmirrorDevice, failsNow, piecesOf } from "./testHmmDevice.ts"

/** A migration to the device, with its subscription. */
export interface Migration {
  readonly dmirror: Dmirror
  readonly range: Range
  readonly notifier: IntervalSubscription
}

/** Makes a migration that has not begun; more than one of a file need names. */
export const migrationOf = (dmirror: Dmirror, range: Range, called = `${dmirror.name}.migration`): Migration => {
  const { name } = dmirror
  const ignores = ({ event, owner }: NotifierRange) => event === "MIGRATE" && owner === name
  const notifier = subscription(dmirror, called, range, { clears: true, ignores })
  return { dmirror, range, notifier }
}

/** `dmirror_migrate_to_device`: what can be moved is, and all is to be in the device's page table afterwards. */
export const dmirrorMigrateToDevice = procedure(function* (migration: Migration) {
  const { dmirror, range, notifier } = migration
  const { mm } = dmirror
  if (!(yield* mmgetNotZero(mm))) return dmirrorCmd("-EINVAL")
  yield* mmuIntervalNotifierInsert(mm.subscriptions, notifier)
  const seq = yield* mmuIntervalReadBegin(mm.subscriptions, notifier)
  yield* mmapReadLock(mm)
  let stale = false
  const ret = yield* forAreas(mm, range, (area) =>
    Effect.map(moveToDevice(migration, area, seq), (moved) => {
      stale ||= moved.stale
      return moved.pages
    }),
  )
  yield* mmapReadUnlock(mm)
  yield* mmuIntervalNotifierRemove(mm.subscriptions, notifier)
  if (stale && mm.system.thp) yield* dmirrorFault(dmirror, range, false)
  yield* mmput(mm)
  return typeof ret === "string" ? dmirrorCmd(ret) : yield* dmirrorVerify(dmirror, range)
})

/**
 * Area by area, `mmap_lock` held for read.
 *
 * @param move says how many pages it has moved, or what went wrong
 * @returns how many there were, or what went wrong
 */
const forAreas = Effect.fnUntraced(function* (
  mm: Mm,
  range: Range,
  move: (area: Range) => Effect.Effect<number | "-ENOMEM">,
) {
  let pages = 0
  for (let start = range.start; start < range.end; ) {
    const next = yield* step("vma_lookup", [mm.name, start], () => {
      const vma = findVma(mm, start)
      // Areas of hugetlbfs are what migrate_vma_setup refuses.
      return vma === null || !allows(vma, false) || vma.hugetlb ? null : Math.min(range.end, areaOf(mm, start).end)
    })
    if (next === null) return "-EINVAL" as const
    const moved = yield* move({ start, end: next })
    if (moved === "-ENOMEM") return moved
    pages += moved
    start = next
  }
  return pages
})

/** How many pages of those there were are moved (`dmirror_successful_migrated_pages`). */
const successful = ({ system: { folios } }: Mm, moved: ReadonlyArray<MigrateSlot>): number =>
  moved
    .filter(({ src, migrate }) => src !== null && migrate)
    .reduce((sum, { compound }) => sum + (compound === true ? folios.hugePages : 1), 0)

/** From `migrate_vma_setup` to `migrate_vma_finalize`, of pages of one area. */
const moveToDevice = procedure(function* ({ dmirror, notifier }: Migration, range: Range, seq: number) {
  const { name, mm, mutex, pt } = dmirror
  const args: MigrateVma = { mm, range, select: "system", owner: name, ...compoundOf(mm) }
  const slots: Array<MigrateSlot> = []
  const collected = yield* migrateVmaSetup(args)
  while (slots.length < collected.length) {
    const slot = collected[slots.length]
    if (slot?.compound !== true)
      slots.push(...(slot === undefined ? [] : [yield* dmirrorMigrateAllocAndCopy(dmirror, slot)]))
    else {
      const { hugePages } = mm.system.folios
      slots.push(...(yield* dmirrorMigrateHuge(dmirror, collected.slice(slots.length, slots.length + hugePages))))
    }
  }
  const moved = yield* migrateVmaPages(args, slots)
  let stale = false
  if (moved.some(({ migrate }) => migrate)) {
    yield* mutexLock(mutex)
    stale = yield* mmuIntervalReadRetry(notifier, seq)
    for (const { va, dst, migrate, write, compound } of stale ? [] : moved) {
      if (!migrate || dst === null) continue
      const pages = compound === true ? yield* piecesOf(mm.system, dst) : [dst]
      for (const [position, page] of pages.entries()) {
        yield* setPageDirty(mm, { page, write })
        yield* step("dmirror_migrate_finalize_and_map", [name, va + position], () => {
          at(pt, va + position).value = { page, write }
        })
      }
    }
    yield* mutexUnlock(mutex)
  }
  yield* migrateVmaFinalize(args, moved)
  return { pages: successful(mm, moved), stale }
})

/** MIGRATE_VMA_SELECT_COMPOUND, where there is anything to select. */
const compoundOf = ({ system }: Mm) => (system.thp ? { compound: true } : {})

/** `dmirror_migrate_alloc_and_copy`, of a huge page, or the place of one: where there is no huge page, page by page. */
const dmirrorMigrateHuge = procedure(function* (dmirror: Dmirror, slots: ReadonlyArray<MigrateSlot>) {
  const { mm, mdevice } = dmirror
  const { folios } = mm.system
  const [first] = slots
  if (first === undefined || !first.migrate) return slots
  const { src } = first
  const fails = yield* step("dmirror_migrate_alloc_and_copy: FAIL_ALLOC", [mdevice.memory.name], () =>
    failsNow(mdevice),
  )
  const dst = fails ? null : yield* zoneDeviceFolioInit(folios, mdevice.memory)
  const pages = src === null ? [] : yield* piecesOf(mm.system, src)
  if (dst !== null) {
    yield* step("dmirror_migrate_alloc_and_copy", [src?.pfn ?? null, dst.pfn], () => {
      for (const [position, page] of pagesOfFolio(folios, dst).entries()) {
        const from = pages[position]
        folioOf(folios, page).content = from === undefined ? zeroes : folioOf(folios, from).content
      }
    })
    return slots.map((slot, position) => (position === 0 ? { ...slot, dst } : slot))
  }
  const single: Array<MigrateSlot> = []
  for (const [position, slot] of slots.entries()) {
    const one = yield* dmirrorMigrateAllocAndCopy(dmirror, { ...slot, src: pages[position] ?? null, migrate: true })
    single.push({ ...slot, dst: one.dst })
  }
  return single
})

/** `dmirror_migrate_alloc_and_copy`, of one page: before it is sure that it is moved. A page yet to come is full of zeroes. */
const dmirrorMigrateAllocAndCopy = procedure(function* ({ mm, mdevice }: Dmirror, slot: MigrateSlot) {
  const { folios } = mm.system
  const { src } = slot
  const dst = slot.migrate ? yield* zoneDevicePageInit(folios, mdevice.memory) : null
  if (dst === null) return slot
  yield* step("dmirror_migrate_alloc_and_copy", [src?.pfn ?? null, dst.pfn], () => {
    folioOf(folios, dst).content = src === null ? zeroes : folioOf(folios, src).content
  })
  return { ...slot, dst }
})

/** `dmirror_migrate_to_system`: says how many pages it has moved, be it none. */
export const dmirrorMigrateToSystem = procedure(function* ({ mm, mdevice }: Dmirror, range: Range) {
  if (!(yield* mmgetNotZero(mm))) return dmirrorCmd("-EINVAL")
  yield* mmapReadLock(mm)
  const ret = yield* forAreas(mm, range, (area) =>
    moveToSystem(mdevice, {
      mm,
      range: area,
      select: mdevice.memory.type,
      owner: mdevice.memory.owner,
      ...compoundOf(mm),
    }),
  )
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
  return typeof ret === "string" ? dmirrorCmd(ret) : { ...dmirrorCmd("0"), cpages: ret }
})

const moveToSystem = procedure(function* (mdevice: DmirrorDevice, args: MigrateVma) {
  const { system } = args.mm
  const collected = yield* migrateVmaSetup(args)
  const by = "dmirror_devmem_fault_alloc_and_copy"
  const { slots, enough } = yield* allocAndCopyAll(system, collected, by, mdevice)
  if (!enough) {
    // The driver leaves those marked that it has a page for, none of which has been moved.
    const stay = yield* step("dmirror_migrate_to_system: -ENOMEM", [args.mm.name], () =>
      slots.map((slot) => ({ ...slot, migrate: false })),
    )
    yield* migrateVmaFinalize(args, stay)
    return "-ENOMEM" as const
  }
  const moved = yield* migrateVmaPages(args, slots)
  yield* migrateVmaFinalize(args, moved)
  return successful(args.mm, moved)
})
