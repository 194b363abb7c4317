/** Coherent memory of a device gives way to a pin for good (mm/migrate_device.c: migrate_device_coherent_folio). */
import { procedure, step } from "../../checker/program/index.ts"
import { type Frame, folioAllocUncharged, folioLock, folioOf } from "../mm/folio.ts"
import type { System } from "../mm/system.ts"
import { migrateDevicePages } from "./migrateDevice.ts"
import { migrateDeviceFinalize, migrateDeviceUnmap } from "./migrateVma.ts"

/** Two may pin a page for good at once, and either looks at the references of the other. */
const apart = { putsLater: true } as const

/**
 * `migrate_device_coherent_folio`: moves the page to system memory where it may be pinned for good, whoever maps it and
 * without its driver; the caller's reference goes. The content is copied behind the last look at the references, as
 * nobody can reach the page any more then.
 *
 * @returns false when somebody else refers to the page, or there is no memory
 */
export const migrateDeviceCoherentFolio = procedure(function* (system: System, src: Frame) {
  const { folios } = system
  yield* folioLock(folios, src)
  const [slot] = yield* migrateDeviceUnmap(system, [{ src, migrate: true, write: false, dst: null }], apart)
  if (slot?.migrate !== true) return false
  const dst = yield* step("folio_alloc", [src.pfn], () => folioAllocUncharged(folios, "unmovable"))
  if (dst !== null) yield* folioLock(folios, dst)
  const [moved] = yield* migrateDevicePages(system, [{ ...slot, dst }])
  if (moved === undefined) return false
  if (moved.migrate && dst !== null) {
    yield* step("folio_copy", [src.pfn, dst.pfn], () => {
      folioOf(folios, dst).content = folioOf(folios, src).content
    })
  }
  yield* migrateDeviceFinalize(system, [moved], apart)
  return moved.migrate
})
