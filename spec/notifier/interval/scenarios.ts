import { type Parameter, scenario } from "../../../checker/index.ts"
import { intervalProperties } from "./properties.ts"
import { intervalWorld } from "./world.ts"

const bound = (description: string, initial: number, min: number, max: number): Parameter => ({
  description,
  default: initial,
  min,
  max,
})
const devices = (initial: number, min = 1) => bound("devices that mirror the process", initial, min, 4)
const pages = (initial = 1) => bound("pages of the process", initial, 1, 3)

export const oneFault = scenario({
  id: "notifier/interval/one-fault",
  summary: "a device fault against munmap or MADV_DONTNEED, with another process after the freed page",
  parameters: {
    pages: pages(),
    invalidations: bound("invalidations, one after the other", 2, 1, 4),
  },
  setup: ({ pages, invalidations }) =>
    intervalWorld({ devices: 1, pages, cpus: 1, rounds: invalidations, removals: 0, otherProcess: true }),
  properties: intervalProperties,
})

export const twoDevices = scenario({
  id: "notifier/interval/two-devices",
  summary: "several devices fault while one CPU invalidates",
  parameters: {
    devices: devices(2),
    pages: pages(),
    invalidations: bound("invalidations, one after the other", 1, 1, 4),
  },
  setup: ({ devices, pages, invalidations }) =>
    intervalWorld({ devices, pages, cpus: 1, rounds: invalidations, removals: 0, otherProcess: false }),
  properties: intervalProperties,
})

export const overlapping = scenario({
  id: "notifier/interval/overlapping",
  summary: "a device fault against invalidations on several CPUs at once",
  parameters: {
    devices: devices(1),
    pages: pages(),
    invalidations: bound("invalidations, each on a CPU of its own", 2, 1, 3),
  },
  setup: ({ devices, pages, invalidations }) =>
    intervalWorld({ devices, pages, cpus: invalidations, rounds: 1, removals: 0, otherProcess: false }),
  properties: intervalProperties,
})

export const insertRemove = scenario({
  id: "notifier/interval/insert-remove",
  summary: "devices insert and remove their subscriptions while CPUs invalidate",
  parameters: {
    devices: devices(2),
    pages: pages(),
    invalidations: bound("invalidations, each on a CPU of its own", 1, 1, 3),
    removals: bound("devices, of all of them, that insert, fault and remove", 1, 0, 4),
  },
  setup: ({ devices, pages, invalidations, removals }) =>
    intervalWorld({
      devices,
      pages,
      cpus: invalidations,
      rounds: 1,
      removals: Math.min(removals, devices),
      otherProcess: false,
    }),
  properties: intervalProperties,
})
