import { type Property, type Scenario, scenario } from "../../checker/index.ts"
import type { Kind } from "./implementations.ts"
import {
  callbackPromises,
  cleanupProperties,
  comesAbout,
  freedInTheEnd,
  promised,
  rcuProperties,
  treeProperties,
} from "./properties.ts"
import { type Shape, type SyncWorld, syncWorld } from "./world.ts"

/** Bounds that scenarios have in common; each has those that mean something in it. */
const bounds = {
  readers: { description: "fibers that read", min: 1, max: 3 },
  rounds: { description: "sections of each reader, one after the other", min: 1, max: 3 },
  nesting: { description: "sections of each reader, one inside the other", min: 1, max: 3 },
  updaters: { description: "fibers that wait for grace periods", min: 1, max: 3 },
  updates: { description: "grace periods that each of them waits for", min: 1, max: 3 },
  calls: { description: "callbacks that are queued", min: 1, max: 3 },
  cpus: { description: "CPUs among which readers move", min: 1, max: 3 },
} as const

type Bounds = Partial<Record<keyof typeof bounds, number>>

const once: Omit<Shape, "kind"> = {
  readers: 1,
  rounds: 1,
  nesting: 1,
  updaters: 0,
  updates: 0,
  callers: 0,
  calls: 0,
  flushers: 0,
  cpus: 1,
  wrap: 16,
}

/** What a domain of this kind must keep to, besides what is promised by all. */
const ownProperties: { readonly [kind in Kind]: ReadonlyArray<Property<SyncWorld>> } = {
  rcu: rcuProperties,
  srcu: [],
  srcutree: treeProperties,
}

const syncScenario = (
  kind: Kind,
  id: string,
  summary: string,
  defaults: Bounds,
  fixed: Partial<Shape>,
  properties: ReadonlyArray<Property<SyncWorld>>,
): Scenario<SyncWorld> =>
  scenario({
    id: `sync/${kind}/${id}`,
    summary,
    parameters: Object.fromEntries(
      Object.entries(bounds).flatMap(([name, bound]) => {
        const value = Object.entries(defaults).find(([own]) => own === name)?.[1]
        return value === undefined ? [] : [[name, { ...bound, default: value }]]
      }),
    ),
    setup: (bound) => syncWorld({ ...once, ...fixed, ...bound, kind }),
    properties: [...promised, ...ownProperties[kind], ...properties],
  })

const cleanup = (kind: Kind) => [...(kind === "rcu" ? [] : cleanupProperties), freedInTheEnd]

/** Whether nobody who was inside still is when synchronize returns. */
const gracePeriods = (kind: Kind, defaults: Bounds) =>
  syncScenario(
    kind,
    "grace-periods",
    "readers against fibers that free what they read behind a grace period",
    defaults,
    {},
    cleanup(kind),
  )

const nested = (kind: Kind, defaults: Bounds) =>
  syncScenario(kind, "nested", "sections inside sections, against fibers that wait for grace periods", defaults, {}, [
    ...cleanup(kind),
    ...(kind === "srcutree" ? comesAbout : []),
  ])

const callbacks = (kind: Kind, defaults: Bounds) =>
  syncScenario(kind, "callbacks", "objects freed by callbacks, with a barrier behind", defaults, { callers: 1 }, [
    ...callbackPromises,
    ...cleanup(kind),
  ])

const barriers = (kind: Kind, defaults: Bounds) =>
  syncScenario(
    kind,
    "barriers",
    "objects freed by callbacks, with one barrier while they are queued and one behind",
    defaults,
    { callers: 1, flushers: 1 },
    [...callbackPromises, ...cleanup(kind)],
  )

/** Counters that never wrap would never let two states meet. */
const steadyReaders = (kind: Kind, defaults: Bounds) =>
  syncScenario(
    kind,
    "steady-readers",
    "a grace period comes to its end although readers enter and leave for ever",
    defaults,
    { rounds: 0, updaters: 1, updates: 1, wrap: null },
    comesAbout,
  )

export const rcuGracePeriods = gracePeriods("rcu", { readers: 2, rounds: 1, nesting: 2, updaters: 2, updates: 1 })
export const rcuCallbacks = callbacks("rcu", { readers: 2, rounds: 2, calls: 2 })
export const rcuBarriers = barriers("rcu", { readers: 1, rounds: 2, calls: 2 })
export const srcuGracePeriods = gracePeriods("srcu", { readers: 2, rounds: 2, updaters: 2, updates: 1 })
export const srcuNested = nested("srcu", { readers: 2, rounds: 1, nesting: 2, updaters: 2, updates: 2 })
export const srcuCallbacks = callbacks("srcu", { readers: 2, rounds: 2, calls: 3 })
export const srcuBarriers = barriers("srcu", { readers: 2, rounds: 1, calls: 2 })
export const srcuSteadyReaders = steadyReaders("srcu", { readers: 3 })
export const treeGracePeriods = gracePeriods("srcutree", { readers: 2, rounds: 1, updaters: 1, updates: 2, cpus: 1 })
export const treeTwoUpdaters = syncScenario(
  "srcutree",
  "two-updaters",
  "a grace period is asked for while another is under way",
  { readers: 1, rounds: 1, updaters: 2, updates: 1 },
  {},
  cleanup("srcutree"),
)
export const treeMigration = syncScenario(
  "srcutree",
  "migration",
  "readers leave on another CPU than they entered on, while the counters of one CPU after the other are summed",
  { readers: 2, rounds: 1, updaters: 1, updates: 1, cpus: 2 },
  {},
  cleanup("srcutree"),
)
export const treeNested = nested("srcutree", { readers: 2, rounds: 1, nesting: 2, updaters: 1, updates: 1 })
export const treeCallbacks = callbacks("srcutree", { readers: 1, rounds: 1, calls: 2 })
export const treeBarriers = barriers("srcutree", { readers: 1, rounds: 1, calls: 1 })
export const treeTwoBarriers = syncScenario(
  "srcutree",
  "two-barriers",
  "two barriers at once, while a callback is queued",
  { calls: 1 },
  { readers: 0, callers: 1, flushers: 2 },
  [...callbackPromises, ...cleanup("srcutree")],
)
export const treeSteadyReaders = steadyReaders("srcutree", { readers: 2 })

export const syncScenarios = [
  rcuGracePeriods,
  rcuCallbacks,
  rcuBarriers,
  srcuGracePeriods,
  srcuNested,
  srcuCallbacks,
  srcuBarriers,
  srcuSteadyReaders,
  treeGracePeriods,
  treeTwoUpdaters,
  treeMigration,
  treeNested,
  treeCallbacks,
  treeBarriers,
  treeTwoBarriers,
  treeSteadyReaders,
]
