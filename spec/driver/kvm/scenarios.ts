import * as Effect from "effect/Effect"
import { step } from "../../../checker/index.ts"
import { kvmMmuZapAllFast, kvmPutKvm, kvmSetMemoryRegion } from "../../../model/driver/kvm.ts"
import { kvmppcBook3sHvPageFault, kvmTdpPageFault, memoryAdded } from "../../../model/driver/kvmFault.ts"
import { kvmGpcActivate, kvmGpcDeactivate, kvmWriteEvent } from "../../../model/driver/kvmPfnCache.ts"
import { exitMm } from "../../../model/mm/exit.ts"
import { mremap } from "../../../model/mm/mremap.ts"
import { reclaimPage } from "../../../model/mm/reclaim.ts"
import { parameter, scenariosOf } from "../../define.ts"
import { allCalls, type Call } from "../calls.ts"
import {
  closingProperties,
  gpcProperties,
  kvmPromises,
  kvmProperties,
  locklessProperties,
  memslotProperties,
  zapAllProperties,
} from "./properties.ts"
import { guest, guestThatExits, kvmWorld, slotsOf } from "./world.ts"

const define = scenariosOf("driver/kvm", kvmWorld, kvmProperties)

const pages = (initial: number) => parameter("pages of the process and the guest", initial, 3)
const vcpus = (initial: number) => parameter("virtual CPUs: the first one stores, the others load", initial, 3)
const invalidations = (initial: number) => parameter("threads of the process that make one call each", initial, 3)

/** The calls in the order in which `calls` adds them: the later ones cost more. */
const byCost: ReadonlyArray<Call> = [
  "mprotect(PROT_READ)",
  "munmap",
  "madvise(MADV_DONTNEED)",
  "fork",
  "madvise(MADV_PAGEOUT)",
]

/** Every call that invalidates, and the end of the process. */
export const calls = define(
  "calls",
  "a virtual CPU faults while threads of the process munmap, MADV_DONTNEED, MADV_PAGEOUT, mprotect, fork or exit",
  { pages: pages(1), vcpus: vcpus(1), invalidations: invalidations(2) },
  (bound) => ({ ...bound, cpus: bound.invalidations, calls: allCalls, vcpu: guestThatExits(kvmTdpPageFault) }),
)

/** Two virtual CPUs against two windows that overlap. */
export const overlapping = define(
  "overlapping",
  "virtual CPUs fault while threads of the process invalidate ranges that overlap",
  {
    pages: pages(2),
    vcpus: vcpus(2),
    invalidations: invalidations(2),
    calls: parameter(`how many of ${byCost.join(", ")} are made`, 3, byCost.length),
  },
  ({ calls, ...bound }) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: byCost.slice(0, calls),
    vcpu: guest(kvmTdpPageFault),
  }),
)

/** The end of the process, and of the machine, which another process may hold. */
export const exit = define(
  "exit",
  "the threads of the process end, one of them a virtual CPU's, while its memory is reclaimed and another process closes the machine",
  { vcpus: vcpus(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    calls: ["exit"],
    vcpu: (parts, vcpu, position) =>
      Effect.gen(function* () {
        yield* guest(kvmTdpPageFault)(parts, vcpu, position)
        yield* kvmPutKvm(parts.kvm)
        yield* exitMm(parts.mm)
      }),
    others: ({ mm, kvm }) => ({ kswapd: Effect.ignore(reclaimPage(mm, 0)), vmm: kvmPutKvm(kvm) }),
  }),
  closingProperties,
)

/** What reclaim asks before it takes a page. */
export const aging = define(
  "aging",
  "a page that a guest uses is looked at twice by reclaim, which asks whether it was used",
  { vcpus: vcpus(1), invalidations: parameter("threads of the process that make one call each", 1, 3, 0) },
  (bound) => ({
    ...bound,
    pages: 1,
    cpus: bound.invalidations,
    calls: ["madvise(MADV_DONTNEED)"],
    ages: true,
    vcpu: (parts, vcpu, position) => {
      const access = guest(kvmTdpPageFault)(parts, vcpu, position)
      return Effect.andThen(access, access)
    },
    others: ({ mm }) => ({ kswapd: Effect.andThen(reclaimPage(mm, 0), reclaimPage(mm, 0)) }),
  }),
)

/** Those who ask for a retry without mmu_lock: what the order of the writes in the end is for. */
export const lockless = define(
  "lockless",
  "a virtual CPU faults on a machine where the retry is asked for without mmu_lock, while threads invalidate",
  { pages: pages(1), vcpus: vcpus(1), invalidations: invalidations(2) },
  (bound) => ({ ...bound, cpus: bound.invalidations, calls: byCost.slice(0, 3), vcpu: guest(kvmppcBook3sHvPageFault) }),
  locklessProperties,
)

/** What invalidations concern, when that changes. */
export const memslots = define(
  "memslots",
  "memory is added to the guest, and a virtual CPU faults there, while threads of the process invalidate",
  { vcpus: parameter("virtual CPUs: they store", 1, 1, 0), invalidations: invalidations(2) },
  (bound) => ({
    pages: 1,
    vcpus: bound.vcpus,
    slots: 0,
    users: 1,
    cpus: bound.invalidations,
    calls: ["madvise(MADV_DONTNEED)", "munmap"],
    vcpu: (parts, vcpu, position) =>
      Effect.andThen(memoryAdded(parts.kvm, vcpu, 0), guest(kvmTdpPageFault)(parts, vcpu, position)),
    others: ({ kvm }) => {
      const [slot] = slotsOf(1)
      return slot === undefined ? {} : { vmm: kvmSetMemoryRegion(kvm, slot) }
    },
  }),
  memslotProperties,
)

/** Invalidations one of which waits for what another holds: neither may wait for who changes the memslots. */
export const memslotsMove = define(
  "memslots-move",
  "memory is added to the guest while mremap, which takes the locks of reverse mappings within its window, and reclaim, which holds them around its own, invalidate",
  {},
  () => ({
    pages: 2,
    vcpus: 0,
    slots: 1,
    users: 2,
    cpus: 0,
    calls: [],
    vcpu: () => Effect.void,
    others: ({ mm, kvm }) => {
      const [, slot] = slotsOf(2)
      return {
        cpu0: Effect.ignore(mremap(mm, { start: 1, end: 2 }, 1, 0)),
        // The first time it finds that the page was used.
        kswapd: Effect.andThen(reclaimPage(mm, 1), reclaimPage(mm, 1)),
        ...(slot === undefined ? {} : { vmm: kvmSetMemoryRegion(kvm, slot) }),
      }
    },
  }),
)

/** The tree that is being torn down. */
export const zapAll = define(
  "zap-all",
  "a guest's page table is replaced, and the old one torn down bit by bit, while a thread of the process invalidates",
  { pages: pages(1), vcpus: vcpus(1), invalidations: invalidations(1) },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: byCost,
    users: 1,
    roots: 2,
    vcpu: guest(kvmTdpPageFault),
    others: ({ kvm }) => ({ vmm: kvmMmuZapAllFast(kvm) }),
  }),
  zapAllProperties,
)

/** KVM's own accesses. */
export const pfnCache = define(
  "pfn-cache",
  "KVM writes an event to a guest page through a cache that is given up meanwhile, while threads of the process invalidate",
  {
    invalidations: invalidations(1),
    uses: parameter("whether the cache is made to be used, and given up", 1, 1, 0),
  },
  (bound) => ({
    pages: 1,
    vcpus: 0,
    cpus: bound.invalidations,
    calls: byCost,
    users: 2,
    gpc: true,
    vcpu: () => Effect.void,
    others: ({ kvm, gpc }) =>
      gpc === undefined
        ? {}
        : {
            ...(bound.uses === 1 ? { vmm: Effect.andThen(kvmGpcActivate(kvm, gpc), kvmGpcDeactivate(kvm, gpc)) } : {}),
            timer: Effect.andThen(
              kvmWriteEvent(kvm, gpc, "event"),
              step("timer", () => undefined),
            ),
          },
  }),
  gpcProperties,
)

/** Whether those who retry get through. */
export const retries = define(
  "retries",
  "virtual CPUs that fault while threads of the process invalidate come to the end of their retries",
  { pages: pages(1), vcpus: vcpus(1), invalidations: invalidations(2) },
  (bound) => ({
    ...bound,
    cpus: bound.invalidations,
    calls: ["madvise(MADV_DONTNEED)", "mprotect(PROT_READ)"],
    vcpu: guest(kvmTdpPageFault),
  }),
  kvmPromises,
)
