import { type Bound, type Scenario, scenario } from "../../../checker/index.ts"
import { intervalPromises, intervalProperties } from "./properties.ts"
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
  promises: typeof intervalPromises = [],
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
    properties: [...intervalProperties, ...promises],
  })

/** One CPU does all the invalidations, one after the other. */
const oneInvalidator =
  (otherProcess: boolean) =>
  ({ invalidations, ...bound }: Defaults): Shape => ({ ...bound, cpus: 1, rounds: invalidations, otherProcess })

/** Each invalidation has a CPU of its own. */
const manyInvalidators = ({ invalidations, ...bound }: Defaults): Shape => ({
  ...bound,
  cpus: invalidations,
  rounds: 1,
  otherProcess: false,
})

/** One fault against one invalidation. */
export const oneFault = intervalScenario(
  "one-fault",
  "a device faults while a CPU invalidates and another process is after the freed page",
  { devices: 2, pages: 2, invalidations: 2, removals: 0 },
  oneInvalidator(true),
)

/** Whether those who retry get through. */
export const retries = intervalScenario(
  "retries",
  "devices that fault while a CPU invalidates come to the end of their retries",
  { devices: 2, pages: 2, invalidations: 2, removals: 0 },
  oneInvalidator(false),
  intervalPromises,
)

/** Many faults, refaults and recycled pages. */
export const repeated = intervalScenario(
  "repeated",
  "a device faults on two pages while a CPU invalidates again and again and another process is after the freed pages",
  { devices: 1, pages: 2, invalidations: 3, removals: 0 },
  oneInvalidator(true),
)

/** Devices with different ranges. */
export const twoDevices = intervalScenario(
  "two-devices",
  "several devices fault while one CPU invalidates again and again",
  { devices: 3, pages: 2, invalidations: 1, removals: 0 },
  oneInvalidator(false),
)

/** Windows that overlap in time. */
export const overlapping = intervalScenario(
  "overlapping",
  "a device faults while several CPUs invalidate at once",
  { devices: 1, pages: 2, invalidations: 2, removals: 0 },
  manyInvalidators,
)

/** All three states of the writer, deferred inserts and removes. */
export const insertRemove = intervalScenario(
  "insert-remove",
  "devices insert and remove their subscriptions while CPUs invalidate",
  { devices: 3, pages: 2, invalidations: 1, removals: 2 },
  manyInvalidators,
)
