import { parameter, scenariosOf } from "../../define.ts"
import { odpProperties2014 } from "./properties.ts"
import { odpWorld2014 } from "./world.ts"

const define = scenariosOf("driver/odp2014", odpWorld2014, odpProperties2014)

const nics = parameter("queues of the device, each with a umem of its own, that access a page once", 1, 2)

/** A fault against two invalidations that overlap. */
export const overlapping = define(
  "overlapping",
  "the device faults while threads of the process invalidate, or exit",
  {
    pages: parameter("pages of the process, all registered", 1, 2),
    nics,
    invalidations: parameter(
      "threads that munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit, once each",
      2,
      3,
    ),
  },
  (bound) => ({ ...bound, cpus: bound.invalidations, registered: true }),
)

/** What only the device knows to be dirty. */
export const swappedIn = define(
  "swapped-in",
  "the device stores to a page that was read from swap, which is reclaimed",
  { nics },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: 1,
    registered: true,
    swappedIn: true,
    calls: ["madvise(MADV_PAGEOUT)"],
  }),
)

/** A umem that comes while invalidations are under way. */
export const register = define(
  "register",
  "memory is registered, and the device faults there, while threads of the process invalidate",
  { nics, invalidations: parameter("threads that MADV_DONTNEED, once each", 2, 3) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    registered: false,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)

/** The counts alone, which two threads change at once. */
export const accounts = define(
  "accounts",
  "memory is registered, and not used, while threads of the process invalidate",
  { nics, invalidations: parameter("threads that MADV_DONTNEED, once each", 2, 3) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    registered: false,
    accesses: false,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
)
