/**
 * That a store of a device which is under way when its entry goes has reached the page by then: what takes the entry away
 * waits for it. Recorded from outside, in the same instant as the store.
 */
import { type Cell, cell, type Monitor, type Property, type Taken } from "../../checker/index.ts"

/** The record of stores. */
export interface Stores {
  /** The last store through an entry that was not there any more, in words. */
  readonly late: Cell<string>
  readonly monitor: Monitor
}

/**
 * Makes the record.
 *
 * @param stepName the step in which a device stores: it returns `false` when it has not
 * @param allows whether the device maps for writing what the step stores to
 */
export const recordStores = (stepName: string, allows: (taken: Taken) => boolean): Stores => {
  const late = cell("late", "")
  return {
    late,
    monitor: {
      [stepName]: (taken) => {
        if (taken.result !== false && !allows(taken)) late.value = `${taken.fiber} stores to page ${taken.args[1]}`
      },
    },
  }
}

/**
 * The property of a device that stores.
 *
 * @param mapsForWriting whether there is an entry to store through
 * @param source the driver's file and function that take entries away
 */
export const storesInTime = <World extends { readonly stores: Stores }>(
  mapsForWriting: (world: World) => boolean,
  source: string,
): Property<World> => ({
  kind: "invariant",
  id: "MIRROR-STORE-DRAINED",
  statement: "No store of a device is under way behind the flush that has taken the entry away which it goes through.",
  source: `include/linux/mmu_notifier.h: invalidate_range_start; ${source}`,
  premise: (world) => world.stores.late.value !== "" || mapsForWriting(world),
  holds: ({ stores }) => stores.late.value === "",
  explain: ({ stores }) => `${stores.late.value}, which it does not map for writing any more.`,
})
