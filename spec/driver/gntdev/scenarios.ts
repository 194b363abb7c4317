import { parameter, scenariosOf } from "../../define.ts"
import { gntdevProperties } from "./properties.ts"
import { gntdevWorld } from "./world.ts"

const define = scenariosOf("driver/gntdev", gntdevWorld, gntdevProperties)

const submissions = (initial: number) => parameter("how often a thread submits work on the page to a GPU", initial, 3)
const invalidations = (initial: number) =>
  parameter("threads that munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit, once each", initial, 3)

/** One call of each kind. */
export const pinned = define(
  "pinned",
  "a thread invalidates a page that another domain has granted, and that another thread has a GPU work on",
  { submissions: submissions(2), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations }),
)

/** Two at once. */
export const overlapping = define(
  "overlapping",
  "threads invalidate, at the same time, a page that another domain has granted, and that a GPU works on",
  { submissions: submissions(1), invalidations: invalidations(2) },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: ["munmap", "madvise(MADV_DONTNEED)", "mprotect(PROT_READ)"],
  }),
)
