/** The machine of the memory-management core with GPUs, and the record of what they migrate. */
import type { Monitor, Setup } from "../../checker/index.ts"
import type { PageKind } from "../mm/pages.ts"
import { type Machine, type MmWorld, type Operation, race, without } from "../mm/world.ts"
import { type Migrations, recordMigrations } from "./record.ts"

/** What the properties and seeded bugs of device memory see. */
export interface DeviceWorld extends MmWorld {
  readonly migrations: Migrations
}

/** `race`, with one GPU of private memory and no other device if nothing else is said. */
export const deviceRace = (
  kinds: ReadonlyArray<PageKind>,
  operations: ReadonlyArray<Operation>,
  machine: Partial<Machine> = {},
): Setup<DeviceWorld> => {
  const setup = race(kinds, operations, { devices: 0, gpus: ["private"], ...machine })
  const fibers = operations.map(({ actor }, slot) => `${actor}${slot}`)
  const migrations = recordMigrations(setup.world, fibers)
  return {
    ...setup,
    world: { ...setup.world, migrations },
    monitors: [...withoutElsewhere(setup.monitors ?? []), migrations.monitor],
  }
}

/** Steps that the core's recorders watch and nobody takes here: of files, of debuggers, of devices and CPUs of other kinds. */
const elsewhere: ReadonlySet<string> = new Set([
  "__access_remote_vm: copy_to_user_page",
  "collapse_pte_mapped_thp",
  "collapse_pte_mapped_thp: folio_unlock",
  "device_store",
  "ext4_ext_remove_space",
  "filemap_invalidate_lock",
  "filemap_invalidate_unlock",
  "finish_fault",
  "i_mmap_unlock_read",
  "i_size_write",
  "inc_mm_tlb_gen",
  "sva_store",
  "tlb_flush_mmu_tlbonly",
  "truncate_inode_folio",
  "unmap_mapping_range",
])

/** The core's recorders, as far as they have something to watch here. */
export const withoutElsewhere = (monitors: ReadonlyArray<Monitor>): ReadonlyArray<Monitor> =>
  without(elsewhere, monitors)
