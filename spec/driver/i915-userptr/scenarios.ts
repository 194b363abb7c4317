import { parameter, scenariosOf } from "../../define.ts"
import { allCalls } from "../calls.ts"
import { userptrProperties } from "./properties.ts"
import { userptrWorld } from "./world.ts"

const define = scenariosOf("driver/i915-userptr", userptrWorld, userptrProperties)

const pages = (initial: number) => parameter("pages of the process; the last one is the GPU's too", initial, 3)
const clients = (initial: number) => parameter("threads that submit work, each on an object of its own", initial, 2)
const submissions = (initial: number) => parameter("how often each does", initial, 3)
const invalidations = (initial: number) =>
  parameter("threads that munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit, once each", initial, 3)

/** One call of each kind against what is submitted, and submitted again. */
export const submit = define(
  "submit",
  "a thread submits work on a page while another thread of the process invalidates or ends",
  { pages: pages(1), clients: clients(1), submissions: submissions(2), invalidations: invalidations(1) },
  (bound) => ({ ...bound, cpus: bound.invalidations }),
)

/** Two invalidations that overlap. */
export const overlapping = define(
  "overlapping",
  "a thread submits work on a page while other threads of the process invalidate ranges that overlap",
  {
    pages: pages(1),
    clients: clients(1),
    submissions: submissions(1),
    invalidations: invalidations(2),
    calls: parameter("how many of the calls: munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork, exit", 2, 6),
  },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: allCalls.slice(0, bound.calls),
  }),
)
