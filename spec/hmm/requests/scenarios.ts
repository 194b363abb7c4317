import { parameter, scenariosOf } from "../../define.ts"
import type { Call } from "../../driver/calls.ts"
import { faultsEnd, ownerProperties, requestsProperties } from "./properties.ts"
import { ofForeignPage, ofOwnPage } from "./wishes.ts"
import { requestsWorld } from "./world.ts"

const define = scenariosOf("hmm/requests", requestsWorld, requestsProperties)

const invalidations = parameter("threads that invalidate with a system call, once each", 1, 2, 0)
const chunk = parameter("for how many pages the device asks at once", 2, 2)

const lose: ReadonlyArray<Call> = ["munmap", "madvise(MADV_DONTNEED)", "mprotect(PROT_READ)"]

/** Requests of single pages, defaults and the mask, and tries again. */
export const window = define(
  "window",
  "a device asks for two pages in one of four ways while a thread of the process unmaps, discards or protects the second",
  { invalidations, chunk },
  (bound) => ({ cpus: bound.invalidations, chunk: bound.chunk, calls: lose, lastPage: true }),
  faultsEnd,
)

/** A long range in pieces, with one sequence. */
export const pieces = define(
  "pieces",
  "a device asks for two pages one after the other, and maps them together, while a thread of the process discards them",
  { invalidations },
  (bound) => ({ cpus: bound.invalidations, chunk: 1, calls: ["madvise(MADV_DONTNEED)"] }),
)

/** A fault that waits, and then goes on where it was. */
export const migration = define(
  "migration",
  "a device loads one page and stores to the other, which is being moved",
  { invalidations: { ...invalidations, default: 0 } },
  (bound) => ({
    cpus: bound.invalidations,
    chunk: 2,
    migrates: true,
    wishes: ofOwnPage,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
  faultsEnd,
)

/** A page of its own, which it is told of as it is. */
export const ownPrivate = define(
  "own-private",
  "the second page lies in the device's own memory while a thread of the process forks or discards it",
  { invalidations },
  (bound) => ({
    cpus: bound.invalidations,
    chunk: 2,
    owner: "card0",
    wishes: ofOwnPage,
    calls: ["fork", "madvise(MADV_DONTNEED)"],
  }),
  ownerProperties,
)

/** A page of another's, which is to be brought back. */
export const foreignPrivate = define(
  "foreign-private",
  "the second page lies in another device's memory while a thread of the process discards it",
  { invalidations },
  (bound) => ({
    cpus: bound.invalidations,
    chunk: 2,
    owner: "card1",
    wishes: ofForeignPage,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
  ownerProperties,
)

/** Without mmap_lock, and only for a time. */
export const timeout = define(
  "timeout",
  "faults may drop mmap_lock, and the device gives up in time, while a thread of the process discards both pages",
  { invalidations, reaper: parameter("whether the OOM reaper comes as well", 0, 1, 0) },
  (bound) => ({
    cpus: bound.invalidations,
    chunk: 2,
    timeout: true,
    reaper: bound.reaper === 1,
    calls: ["madvise(MADV_DONTNEED)"],
  }),
  faultsEnd,
)

export const requestsScenarios = [window, pieces, migration, ownPrivate, foreignPrivate, timeout]
