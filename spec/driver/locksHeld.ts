/**
 * What `lockdep_assert_held` asks in the kernel: that the steps which change what a lock protects are taken by its holder.
 * Recorded from outside, in the same instant as the step.
 */
import { type Cell, cell, type Monitor, type Property, type Taken } from "../../checker/index.ts"

/** The record of steps that need a lock. */
export interface Locking {
  /** The last step that was taken without its lock, in words. */
  readonly unlocked: Cell<string>
  readonly monitor: Monitor
}

/**
 * Makes the record.
 *
 * @param needs by step, whether the fiber that has taken it holds the lock; not of steps that take a lock or give it back
 */
export const recordLocking = (needs: { readonly [stepName: string]: (taken: Taken) => boolean }): Locking => {
  const unlocked = cell("unlocked", "")
  const ask =
    (name: string, holds: (taken: Taken) => boolean): Monitor[string] =>
    (taken) => {
      if (!holds(taken)) unlocked.value = `${taken.fiber} comes to ${name} without the lock`
    }
  return {
    unlocked,
    monitor: Object.fromEntries(Object.entries(needs).map(([name, holds]) => [name, ask(name, holds)])),
  }
}

/**
 * The property of a driver with locks.
 *
 * @param statement what is changed under which lock
 * @param isHeld whether anybody holds one of them
 */
export const locksHeld = <World extends { readonly locking: Locking }>(
  statement: string,
  source: string,
  isHeld: (world: World) => boolean,
): Property<World> => ({
  kind: "invariant",
  id: "LOCKDEP-HELD",
  statement,
  source,
  premise: (world) => world.locking.unlocked.value !== "" || isHeld(world),
  holds: ({ locking }) => locking.unlocked.value === "",
  explain: ({ locking }) => `${locking.unlocked.value}.`,
})
