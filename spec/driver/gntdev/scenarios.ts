import { type Parameter, type Scenario, scenario } from "../../../checker/index.ts"
import { gntdevProperties } from "./properties.ts"
import { type GntdevWorld, gntdevWorld, type Shape } from "./world.ts"

const parameter = (description: string, initial: number, max: number, min = 1): Parameter => ({
  description,
  default: initial,
  min,
  max,
})

const define = <const P extends { readonly [name: string]: Parameter }>(
  id: string,
  summary: string,
  parameters: P,
  shape: (bound: { readonly [name in keyof P]: number }) => Shape,
): Scenario<GntdevWorld> =>
  scenario({
    id: `driver/gntdev/${id}`,
    summary,
    parameters,
    setup: (bound) => gntdevWorld(shape(bound)),
    properties: gntdevProperties,
  })

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
