/** The machine of the memory-management core with GPUs, and the record of what they migrate. */
import type { Setup } from "../../checker/index.ts"
import { type Machine, type MmWorld, type Operation, type PageKind, race } from "../mm/world.ts"
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
    monitors: [...(setup.monitors ?? []), migrations.monitor],
  }
}
