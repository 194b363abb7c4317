/**
 * Migration of a device's pages by their numbers, wherever they are mapped (mm/migrate_device.c: migrate_device_range): by a
 * driver that needs its memory back. No address space is known and none of their locks is held; nor is a MIGRATE event
 * announced: what maps the pages is unmapped under CLEAR events of its own.
 */
import type * as Effect from "effect/Effect"
import { procedure, step } from "../../checker/program/index.ts"
import { type Frame, folioPut, folioTryGet, folioTrylock, isLarge } from "../mm/folio.ts"
import type { System } from "../mm/system.ts"
import { type DeviceSlot, folioMigrateMapping, migrateDeviceUnmap } from "./migrateVma.ts"

/**
 * `migrate_device_range`, `migrate_device_pfns`: locks the pages, those that are in use and not locked by anybody, and takes
 * them out of all page tables. A slot without `migrate` is a page that stays: it is free, locked, or referred to by somebody
 * else.
 * Until it is locked the reference alone makes the page's own fault fail, which comes again.
 */
export const migrateDevicePfns = procedure(function* (system: System, pfns: ReadonlyArray<number>) {
  const slots: Array<DeviceSlot> = []
  for (const pfn of pfns) {
    const src = yield* migrateDevicePfnLock(system, pfn)
    const slot = { src, migrate: src !== null, write: false, dst: null }
    slots.push(src === null || !system.thp ? slot : { ...slot, compound: yield* isCompound(system, src) })
  }
  return yield* migrateDeviceUnmap(system, slots, {})
})

/** `migrate_device_pfn_lock`: the page, locked and referred to; `null` when it cannot be had. */
const migrateDevicePfnLock = procedure(function* ({ folios }: System, pfn: number) {
  const frame: Frame | null = yield* step("migrate_device_pfn_lock: folio_get_nontail_page", [pfn], () =>
    folioTryGet(folios, pfn),
  )
  if (frame === null) return null
  const locked = yield* step("migrate_device_pfn_lock: folio_trylock", [pfn], () => folioTrylock(folios, frame))
  if (locked) return frame
  yield* step("migrate_device_pfn_lock: folio_put", [pfn], () => folioPut(folios, frame))
  return null
})

const isCompound = ({ folios }: System, src: Frame): Effect.Effect<boolean> =>
  step("migrate_device_range: folio_nr_pages", [src.pfn], () => isLarge(folios, src))

/** A huge page without an address space cannot be split here: it stays where its driver has no huge page for it. */
const migrateIfAlike = procedure(function* (system: System, compound: boolean, src: Frame, dst: Frame) {
  if (compound && !(yield* isCompound(system, dst))) return false
  return yield* folioMigrateMapping(system, src, dst, {})
})

/** `migrate_device_pages`, behind the driver's copy. Every slot has a page already: there are no empty places to fill. */
export const migrateDevicePages = procedure(function* (system: System, slots: ReadonlyArray<DeviceSlot>) {
  const moved: Array<DeviceSlot> = []
  for (const slot of slots) {
    const { src, dst } = slot
    const migrate =
      slot.migrate && src !== null && dst !== null && (yield* migrateIfAlike(system, slot.compound === true, src, dst))
    moved.push({ ...slot, migrate })
  }
  return moved
})
