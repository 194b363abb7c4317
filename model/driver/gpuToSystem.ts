/** A GPU gives pages of its memory back of its driver's own accord (drivers/gpu/drm/amd/amdkfd/kfd_migrate.c). */
import { procedure } from "../../checker/program/index.ts"
import {
  type MigrateSlot,
  type MigrateVma,
  migrateVmaFinalize,
  migrateVmaPages,
  migrateVmaSetup,
} from "../deviceMemory/migrateVma.ts"
import type { DevPagemap } from "../deviceMemory/pgmap.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Mm, mmapReadLock, mmapReadUnlock } from "../mm/mm.ts"
import type { Range } from "../mm/range.ts"
import { allocSystemPage, copyPage } from "./gpu.ts"

/**
 * `svm_migrate_vram_to_ram`, `dmirror_migrate_to_system`: moves the pages of a range that are in a GPU's memory to system
 * memory, those that can be had. Of coherent memory it is the only way back that its driver has: no CPU faults on it.
 */
export const svmMigrateVramToRam = procedure(function* (mm: Mm, memory: DevPagemap, range: Range) {
  if (!(yield* mmgetNotZero(mm))) return
  yield* mmapReadLock(mm)
  const args: MigrateVma = { mm, range, select: memory.type, owner: memory.owner }
  const slots: Array<MigrateSlot> = []
  for (const slot of yield* migrateVmaSetup(args)) {
    // Where there is no page yet, none is needed here.
    const dst = slot.migrate && slot.src !== null ? yield* allocSystemPage(mm.system) : null
    if (dst !== null) yield* copyPage(mm.system, slot.src, dst)
    slots.push({ ...slot, dst })
  }
  yield* migrateVmaFinalize(args, yield* migrateVmaPages(args, slots))
  yield* mmapReadUnlock(mm)
  yield* mmput(mm)
})
