/** Seeded bugs of userptr objects. The first ones are the bug zoo's. */
import * as Effect from "effect/Effect"
import {
  builtIn,
  changeBody,
  guardedStep,
  leaveOut,
  moveBehind,
  type Replacements,
  type SeededBug,
  self,
  step,
} from "../../../checker/index.ts"
import type { UserptrObject } from "../../../model/driver/i915Userptr.ts"
import { ungrab } from "../../../model/mm/gup.ts"
import { mutexUnlock } from "../../../model/sync/mutex.ts"
import { zoo } from "../../bugZoo.ts"
import { overlapping, submit } from "./scenarios.ts"
import type { UserptrWorld } from "./world.ts"

/** Where bugs are hunted: at bounds that are no larger than it takes. */
const once = { scenario: submit.id, bound: { pages: 1, clients: 1, submissions: 1, invalidations: 1 } }
const twice = { scenario: submit.id, bound: { pages: 1, clients: 1, submissions: 2, invalidations: 1 } }

const objectNamed = ({ objects }: UserptrWorld, name: unknown): UserptrObject | undefined =>
  objects.find((object) => object.name === name)

/** `struct_mutex` of 2014: the lock is held from before the page is pinned until behind that. */
const heldOverPin = ({ lock }: UserptrObject): Replacements => {
  let held = false
  return {
    i915_gem_object_userptr_submit_init: (original) =>
      Effect.tap(original, (kept) =>
        Effect.sync(() => {
          held = kept === false
        }),
      ),
    mutex_unlock: (original) => Effect.suspend(() => (held ? Effect.void : original)),
    mutex_lock: (original) =>
      Effect.suspend(() => {
        if (!held) return original
        held = false
        return Effect.void
      }),
    mmput: (original) =>
      Effect.suspend(() => {
        if (!held) return original
        // The page was not to be had.
        held = false
        return Effect.andThen(mutexUnlock(lock), original)
      }),
  }
}

export const userptrBugs: ReadonlyArray<SeededBug<UserptrWorld>> = [
  {
    id: "userptr-callback-takes-driver-mutex",
    title: "the callback takes the lock that the driver holds while it gets pages, for which it needs mmap_lock",
    source: "commit 484d9a844d0d: drm/i915/userptr: Avoid struct_mutex recursion for mmu_invalidate_range_start",
    references: zoo(86),
    ...once,
    breaks: builtIn.deadlock,
    at: callbackTakesLock,
  },
  {
    id: "userptr-callback-lock-inversion",
    title:
      "the same between two: who changes the protection of the page holds mmap_lock and waits for the driver's lock",
    source: "commit 484d9a844d0d: drm/i915/userptr: Avoid struct_mutex recursion for mmu_invalidate_range_start",
    references: zoo(86),
    scenario: overlapping.id,
    // Without fork, after which the driver itself would invalidate.
    bound: { pages: 1, clients: 1, submissions: 1, invalidations: 2, calls: 4 },
    breaks: builtIn.deadlock,
    at: callbackTakesLock,
  },
  {
    id: "userptr-callback-defers-and-returns",
    title: "the callback leaves it to a work item to wait for the GPU, and returns",
    source: "commit 380996aa: drm/i915: Use a task to cancel the userptr on invalidate_range, without the wait for it",
    references: zoo(86),
    ...once,
    breaks: "MIRROR-FLUSH-BEFORE-RETURN",
    // The work item is not seen: all that it does is to wait.
    at: () => ({ dma_resv_wait_timeout: (_, { args }) => step("queue_work", args, () => undefined) }),
  },
  {
    id: "userptr-no-sequence",
    title:
      "invalidations leave no trace: pages that were pinned before, or while, one went on are taken for the process's",
    source:
      "Linux 3.16 to 5.12, by inference; König: Re: dma-buf/userptr, dri-devel March 2018: you always need to implement invalidate_range_end as well",
    ...once,
    breaks: "MIRROR-AGREE",
    at: () => ({ mmu_interval_set_seq: leaveOut() }),
  },
  {
    id: "userptr-read-only-page",
    title: "the same: the GPU stores to what the process may no longer store to",
    source: "Linux 3.16 to 5.12, by inference",
    ...once,
    breaks: "MIRROR-PERM",
    at: () => ({ mmu_interval_set_seq: leaveOut() }),
  },
  {
    id: "userptr-submits-without-second-look",
    title: "the work is submitted without a look whether there was an invalidation since the page was pinned",
    source: "i915_gem_execbuffer.c, eb_move_to_gpu: i915_gem_object_userptr_submit_done",
    ...once,
    breaks: "MIRROR-NO-INSTALL-IN-WINDOW",
    at: (_, fiber) => {
      let submitting = false
      return fiber.startsWith("client")
        ? {
            _i915_vma_move_to_active: (original) =>
              Effect.tap(original, () =>
                Effect.sync(() => {
                  submitting = true
                }),
              ),
            mmu_interval_read_retry: (original) =>
              Effect.suspend((): Effect.Effect<unknown> => {
                if (!submitting) return original
                submitting = false
                return Effect.succeed(false)
              }),
          }
        : {}
    },
  },
  {
    id: "userptr-fence-after-second-look",
    title:
      "the request's fence is made known after the driver looked whether there was an invalidation, which does not wait for it",
    source:
      "i915_gem_execbuffer.c, eb_move_to_gpu: the order of _i915_vma_move_to_active and i915_gem_object_userptr_submit_done",
    ...once,
    breaks: "MIRROR-FLUSH-BEFORE-RETURN",
    at: (world) => ({
      _i915_vma_move_to_active: changeBody(({ args }) => objectNamed(world, args[0])?.state.notifierSeq ?? 0),
    }),
  },
  {
    id: "userptr-never-binds-anew",
    title: "what is bound is kept whatever the sequence says, and no submission with it comes about any more",
    source: "i915_gem_userptr.c, i915_gem_object_userptr_submit_init: notifier_seq == obj->userptr.notifier_seq",
    ...twice,
    breaks: "L-RETRY",
    at: (world) => ({
      i915_gem_object_userptr_submit_init: changeBody(
        ({ args }) => (objectNamed(world, args[0])?.state.page ?? null) !== null,
      ),
    }),
  },
  {
    id: "userptr-unpins-when-bound",
    title:
      "the driver gives back its pin when the page is bound, as those do who mirror; the end of the process does not wait for it",
    source: "i915_gem_userptr.c, i915_gem_userptr_invalidate: if (current->flags & PF_EXITING) return true",
    ...once,
    breaks: "USERPTR-PINNED",
    at: unpinnedWhenBound,
  },
  {
    id: "userptr-unpins-and-defers",
    title: "the driver gives back its pin when the page is bound, and its callback does not wait",
    source: "i915_gem_userptr.c, i915_gem_userptr_invalidate: still have userptr pins",
    ...once,
    breaks: "MIRROR-NO-UAF",
    at: (world) => ({
      ...unpinnedWhenBound(world),
      dma_resv_wait_timeout: leaveOut(),
    }),
  },
  {
    id: "userptr-pins-leak-on-retry",
    title: "a submission that has to be tried again forgets the page that it had pinned",
    source: "i915_gem_userptr.c, i915_gem_object_userptr_submit_init: out: unpin_user_pages",
    ...once,
    breaks: "MIRROR-NO-REF",
    at: (_, fiber) => (fiber.startsWith("client") ? { unpin_user_page: leaveOut() } : {}),
  },
  {
    id: "userptr-fence-before-store",
    title: "a request's fence is signalled before the GPU is done with the page",
    source: "i915_gem_userptr.c: i915_gem_userptr_invalidate, by inference",
    ...once,
    breaks: "USERPTR-FENCED",
    at: () => moveBehind("gpu_store", "dma_fence_signal"),
  },
]

/** The pin is given back when the page is bound, so that there is nothing to give back later. */
function unpinnedWhenBound(world: UserptrWorld): Replacements {
  return {
    i915_gem_userptr_get_pages: changeBody((operation) => {
      operation.body()
      const object = objectNamed(world, operation.args[0])
      if (object?.state.page) ungrab(world.mm.system, object.state.page, true)
    }),
    i915_gem_userptr_put_pages: changeBody(({ args }) => {
      const object = objectNamed(world, args[0])
      if (object !== undefined) object.state.page = null
    }),
  }
}

/** The callback has the GPU's work cancelled under the driver's lock, which is held while pages are got. */
function callbackTakesLock(world: UserptrWorld, fiber: string): Replacements {
  return {
    ...world.objects.flatMap((object, position) => (fiber === `client${position}` ? [heldOverPin(object)] : []))[0],
    dma_resv_wait_timeout: (original, operation) => {
      const object = objectNamed(world, operation.args[0])
      if (object === undefined) return original
      const { state } = object.lock
      const lock = guardedStep(
        "cancel_userptr: mutex_lock",
        operation.args,
        () => state.holder === "",
        () => {
          state.holder = self()
        },
      )
      const unlock = step("cancel_userptr: mutex_unlock", operation.args, () => {
        state.holder = ""
      })
      return lock.pipe(Effect.andThen(original), Effect.andThen(unlock))
    },
  }
}
