import { type Bound, type Scenario, scenario } from "../../../checker/index.ts"
import { intervalProperties } from "./properties.ts"
import { type IntervalWorld, intervalWorld, type Shape } from "./world.ts"

interface Defaults {
  readonly devices: number
  readonly pages: number
  readonly invalidations: number
  readonly removals: number
}

/** Every scenario of the interval notifier has the same four bounds; they differ in the defaults and in who does what. */
const intervalScenario = (
  id: string,
  summary: string,
  defaults: Defaults,
  shape: (bound: Defaults) => Shape,
): Scenario<IntervalWorld> =>
  scenario({
    id: `notifier/interval/${id}`,
    summary,
    parameters: {
      devices: { description: "devices that mirror the process", default: defaults.devices, min: 1, max: 4 },
      pages: { description: "pages of the process", default: defaults.pages, min: 1, max: 3 },
      invalidations: { description: "munmaps or MADV_DONTNEEDs", default: defaults.invalidations, min: 1, max: 4 },
      removals: {
        description: "devices, of all, that insert their subscription before the fault and remove it behind",
        default: defaults.removals,
        min: 0,
        max: 4,
      },
    },
    requires: ({ devices, removals }: Bound) =>
      (removals ?? 0) > (devices ?? 0) ? "removals must not be more than devices" : undefined,
    setup: (bound) => intervalWorld(shape(bound)),
    properties: intervalProperties,
  })

export const oneFault = intervalScenario(
  "one-fault",
  "a device faults while one CPU invalidates again and again and another process is after the freed pages",
  { devices: 1, pages: 1, invalidations: 3, removals: 0 },
  ({ devices, pages, invalidations, removals }) => ({
    devices,
    pages,
    cpus: 1,
    rounds: invalidations,
    removals,
    otherProcess: true,
  }),
)

export const twoDevices = intervalScenario(
  "two-devices",
  "several devices fault while one CPU invalidates again and again",
  { devices: 2, pages: 1, invalidations: 2, removals: 0 },
  ({ devices, pages, invalidations, removals }) => ({
    devices,
    pages,
    cpus: 1,
    rounds: invalidations,
    removals,
    otherProcess: false,
  }),
)

export const overlapping = intervalScenario(
  "overlapping",
  "a device faults while several CPUs invalidate at once",
  { devices: 1, pages: 1, invalidations: 2, removals: 0 },
  ({ devices, pages, invalidations, removals }) => ({
    devices,
    pages,
    cpus: invalidations,
    rounds: 1,
    removals,
    otherProcess: false,
  }),
)

export const insertRemove = intervalScenario(
  "insert-remove",
  "devices insert and remove their subscriptions while CPUs invalidate",
  { devices: 2, pages: 1, invalidations: 1, removals: 2 },
  ({ devices, pages, invalidations, removals }) => ({
    devices,
    pages,
    cpus: invalidations,
    rounds: 1,
    removals,
    otherProcess: false,
  }),
)
