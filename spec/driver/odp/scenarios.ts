import { deregImplicitMr } from "../../../model/driver/mlx5Implicit.ts"
import { cacheCreateEnt, mlx5IbDeregMr } from "../../../model/driver/mlx5Odp.ts"
import { parameter, scenariosOf } from "../../define.ts"
import {
  deregistrationProperties,
  implicitProperties,
  odpPromises,
  odpProperties,
  oneThreadProperties,
} from "./properties.ts"
import { odpWorld } from "./world.ts"

const define = scenariosOf("driver/odp", odpWorld, odpProperties)

const pages = (initial: number) => parameter("pages of the process, all registered", initial, 2)
const nics = (initial: number, min = 1) =>
  parameter("queues of the device that access a page once: the first stores, the others load", initial, 2, min)
const invalidations = (initial: number) =>
  parameter("threads that munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit, once each", initial, 3)

/** A fault against two windows that overlap. */
export const overlapping = define(
  "overlapping",
  "the device faults while threads of the process invalidate, or exit",
  { pages: pages(1), nics: nics(1), invalidations: invalidations(2) },
  (bound) => ({ ...bound, cpus: bound.invalidations }),
)

/** What only the device knows to be dirty. */
export const swappedIn = define(
  "swapped-in",
  "the device stores to a page that was read from swap, which is reclaimed",
  { nics: nics(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    swappedIn: true,
    calls: ["madvise(MADV_PAGEOUT)"],
  }),
  odpPromises,
)

/** The end of a region. */
export const deregister = define(
  "deregister",
  "a region is deregistered while the device faults and a thread of the process invalidates, or exits",
  { nics: nics(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    others: ({ dev, mrs: [mr] }) => (mr === undefined ? {} : { ibv_dereg_mr: mlx5IbDeregMr(dev, mr) }),
  }),
  deregistrationProperties,
)

/** What may be waited for under the lock of the callback. */
export const keyCache = define(
  "key-cache",
  "a region is deregistered while the device faults and memory for the cache of keys is allocated, which means to reclaim some",
  { nics: nics(1, 0) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: 0,
    others: ({ dev, mrs: [mr] }) =>
      mr === undefined ? {} : { ibv_dereg_mr: mlx5IbDeregMr(dev, mr), ibv_reg_mr: cacheCreateEnt(dev, 0) },
  }),
  [...deregistrationProperties, ...oneThreadProperties, ...odpPromises],
)

/** Children that come and go. */
export const implicit = define(
  "implicit",
  "children of an implicit region are made by faults, and destroyed as a thread of the process invalidates again and again",
  {
    nics: nics(1),
    invalidations: parameter("how often the thread calls MADV_DONTNEED", 2, 3),
  },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: 1,
    rounds: bound.invalidations,
    implicit: true,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
  [...implicitProperties, ...deregistrationProperties],
)

/** Who is first to make a child. */
export const implicitQueues = define(
  "implicit-queues",
  "queues of the device fault at once where an implicit region has no child yet",
  { nics: nics(2) },
  (bound) => ({ ...bound, pages: 1, cpus: 0, implicit: true }),
  [...implicitProperties, ...deregistrationProperties, ...oneThreadProperties],
)

/** The end of an implicit region, and of its children with it. */
export const deregisterImplicit = define(
  "deregister-implicit",
  "an implicit region is deregistered while the device faults and a thread of the process invalidates, or exits",
  { nics: nics(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    implicit: true,
    calls: ["madvise(MADV_DONTNEED)", "exit"],
    others: ({ imr }) => (imr === undefined ? {} : { ibv_dereg_mr: deregImplicitMr(imr) }),
  }),
  [...implicitProperties, ...deregistrationProperties],
)

/** The end of a child by the callback's worker, and by the end of its parent: who destroys it. */
export const deregisterChild = define(
  "deregister-child",
  "an implicit region with a child is deregistered while threads of the process give the child's page up",
  { invalidations: parameter("threads that MADV_DONTNEED, once each", 1, 2) },
  (bound) => ({
    pages: 1,
    nics: 0,
    cpus: bound.invalidations,
    implicit: true,
    child: true,
    calls: ["madvise(MADV_DONTNEED)"],
    others: ({ imr }) => (imr === undefined ? {} : { ibv_dereg_mr: deregImplicitMr(imr) }),
  }),
  [...implicitProperties, ...deregistrationProperties],
)
