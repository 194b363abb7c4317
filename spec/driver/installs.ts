/**
 * That a fault comes to something: who has found that what it looked up is current maps it. Recorded from outside, in the
 * same instant as the driver's steps.
 */
import { type Cell, cell, type Monitor, type Property, type Taken } from "../../checker/index.ts"

/** The record of what was found to be current. */
export interface Installs {
  /** By fiber: whether it has found so, and holds the lock still. */
  readonly current: ReadonlyMap<string, Cell<boolean>>
  /** The last one that has given up the lock without a mapping, in words. */
  readonly forgotten: Cell<string>
  readonly monitor: Monitor
}

/**
 * Makes the record.
 *
 * @param fibers all that map
 * @param asks the step that asks whether what was looked up is stale, and returns `false` if not
 * @param ends the step that gives up the lock under which that is so
 * @param maps whether the device maps now what the fiber has looked up
 */
export const recordInstalls = (
  fibers: ReadonlyArray<string>,
  asks: string,
  ends: string,
  maps: (taken: Taken) => boolean,
): Installs => {
  const current = new Map(fibers.map((name) => [name, cell(`current.${name}`, false)]))
  const forgotten = cell("forgotten", "")
  return {
    current,
    forgotten,
    monitor: {
      [asks]: ({ fiber, result }) => {
        const own = current.get(fiber)
        if (own !== undefined) own.value = result === false
      },
      [ends]: (taken) => {
        const own = current.get(taken.fiber)
        if (own?.value !== true) return
        own.value = false
        if (!maps(taken)) forgotten.value = taken.fiber
      },
    },
  }
}

/** The property of a driver whose devices map what they fault in. */
export const mapsCurrent = <World extends { readonly installs: Installs }>(source: string): Property<World> => ({
  kind: "invariant",
  id: "MIRROR-CURRENT-MAPPED",
  statement:
    "Who finds under the driver's lock that what it has looked up is current maps it before the lock is given up.",
  source: `Documentation/mm/hmm.rst: the example of hmm_range_fault; ${source}`,
  premise: ({ installs }) =>
    installs.forgotten.value !== "" || [...installs.current.values()].some(({ value }) => value),
  holds: ({ installs }) => installs.forgotten.value === "",
  explain: ({ installs }) => `${installs.forgotten.value} has found its page to be current, and maps nothing.`,
})
