/** The invariants of userptr objects: what the GPU works on against the process's page table, and its pins. */
import type { Property } from "../../../checker/index.ts"
import type { UserptrObject } from "../../../model/driver/i915Userptr.ts"
import { folioOf, isLive } from "../../../model/mm/folio.ts"
import { type MappedWorld, type Mapping, mappingProperties } from "../mappings.ts"
import { isUnder } from "../windows.ts"
import type { UserptrWorld } from "./world.ts"

/** What there must be. */
export interface WithObjects extends MappedWorld {
  readonly objects: ReadonlyArray<UserptrObject>
}

/**
 * What is bound and not being worked on is as good as not mapped: it is looked at anew at the next submission. And a
 * process that exits is not waited for: all that can be said then is that the pages are pinned.
 */
const mappings = ({ mm, objects }: WithObjects): ReadonlyArray<Mapping> =>
  (mm.state.users === 0 ? [] : objects).flatMap(({ name, va, state }) =>
    state.running > 0 && state.page !== null
      ? [{ where: `the GPU, for ${name},`, hva: va, page: state.page, write: true }]
      : [],
  )

const holdsPin = ({ mm }: WithObjects, { state }: UserptrObject): boolean =>
  state.page === null || (isLive(mm.system.folios, state.page) && folioOf(mm.system.folios, state.page).pincount > 0)

/** Those of all that pins pages for a GPU. */
export const userptrInvariants: ReadonlyArray<Property<WithObjects>> = [
  {
    kind: "invariant",
    id: "MIRROR-FLUSH-BEFORE-RETURN",
    statement:
      "When the driver's callback has returned, the GPU does not work on the range, until the end of the invalidation; unless nobody runs in the process any more.",
    source: "include/linux/mmu_notifier.h: invalidate_range_start; i915_gem_userptr.c: i915_gem_userptr_invalidate",
    premise: ({ objects, windows }) => objects.some(({ va }) => isUnder(windows, va, "open")),
    holds: ({ mm, objects, windows }) =>
      mm.state.users === 0 || objects.every(({ va, state }) => state.working === 0 || !isUnder(windows, va, "open")),
  },
  {
    kind: "invariant",
    id: "USERPTR-PINNED",
    statement:
      "What is bound into the GPU's address space is pinned, whatever has become of the address space of the process.",
    source: "drivers/gpu/drm/i915/gem/i915_gem_userptr.c: i915_gem_userptr_invalidate, still have userptr pins",
    premise: ({ objects }) => objects.some(({ state }) => state.page !== null),
    holds: (world) => world.objects.every((object) => holdsPin(world, object)),
  },
]

export const userptrProperties: ReadonlyArray<Property<UserptrWorld>> = [
  ...mappingProperties<WithObjects>(mappings, "drivers/gpu/drm/i915/gem/i915_gem_userptr.c"),
  ...userptrInvariants,
  {
    kind: "invariant",
    id: "USERPTR-FENCED",
    statement: "The GPU works on an object while its page is bound, and until the request's fence is signalled.",
    source: "drivers/gpu/drm/i915/gem/i915_gem_userptr.c: i915_gem_object_userptr_unbind; dma_resv_wait_timeout",
    premise: ({ gpu }) => gpu.hasStored,
    holds: ({ gpu }) => !gpu.astray,
  },
  {
    kind: "leadsTo",
    id: "L-RETRY",
    statement: "With finitely many invalidations, every submission comes to the end of its retries.",
    source: "drivers/gpu/drm/i915/gem/i915_gem_execbuffer.c: -EAGAIN of i915_gem_object_userptr_submit_done",
    to: ({ objects }, { ended }) => objects.every((_, position) => ended(`client${position}`)),
  },
]
