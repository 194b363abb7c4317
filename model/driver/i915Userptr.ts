/**
 * i915 userptr objects (drivers/gpu/drm/i915/gem/i915_gem_userptr.c, i915_gem_execbuffer.c, Linux 5.13): a GPU that works on
 * pages of the process's which the driver pins. An invalidation waits until the GPU is done, and the pages are given up at
 * the next submission. Later versions (read in 2026) only set the sequence, and let the GPU go on with what is pinned.
 *
 * notifier_lock, under which the sequence is set and compared, is not seen: each is one step.
 */
import * as Effect from "effect/Effect"
import {
  enterLoop,
  fork,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
  type Wait,
} from "../../checker/program/index.ts"
import { type Content, type Frame, folioOf } from "../mm/folio.ts"
import { getUserPages, putUserPage, ungrab } from "../mm/gup.ts"
import { getUserPagesFast } from "../mm/gupFast.ts"
import type { Mm } from "../mm/mm.ts"
import type { NotifierRange } from "../notifier/events.ts"
import {
  type IntervalSubscription,
  intervalSubscription,
  mmuIntervalNotifierRemove,
  mmuIntervalReadBegin,
  mmuIntervalReadRetry,
  mmuIntervalSetSeq,
} from "../notifier/interval.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock } from "../sync/mutex.ts"

/** `struct drm_i915_gem_object`, of one page of the process. */
export interface UserptrObject {
  readonly name: string
  readonly mm: Mm
  readonly va: number
  /** Whether what is mapped there is special (pte_special), and left to the slow path when it is pinned. */
  readonly special: boolean
  readonly iv: IntervalSubscription
  /** The object's lock: that of its `dma_resv`. */
  readonly lock: Mutex
  readonly state: Struct<{
    /** `pvec`: the page that is pinned and bound into the GPU's address space. */
    page: Frame | null
    /** `notifier_seq`: the sequence that it was got with. */
    notifierSeq: number
    /** Who has put a fence into the object's `dma_resv` and not signalled it: a request, or who is about to submit it. */
    fences: ReadonlyArray<string>
    /** How many requests the GPU works on the page for, or is about to. */
    running: number
    /** Of these, how many it is at: it has stored, and not signalled. */
    working: number
  }>
}

/** Makes an object, its subscription not inserted. */
export const userptrObject = (mm: Mm, name: string, va: number, special = false): UserptrObject => {
  const range = { start: va, end: va + 1 }
  const fences: ReadonlyArray<string> = []
  const object: UserptrObject = {
    name,
    mm,
    va,
    special,
    iv: intervalSubscription(mm.subscriptions, name, range, (window, seq) => invalidate(object, window, seq)),
    lock: mutex(`${name}.lock`),
    state: struct(name, { page: null, notifierSeq: 0, fences, running: 0, working: 0 }),
  }
  return object
}

/**
 * `i915_gem_userptr_invalidate`: it takes no lock that is held over anything that invalidates. A process that exits is
 * not waited for (PF_EXITING; here, one that nobody runs in any more): its pages are pinned.
 */
const invalidate = procedure(function* (object: UserptrObject, range: NotifierRange, seq: number) {
  const { name, mm, iv, state } = object
  if (!range.blockable) return false
  yield* mmuIntervalSetSeq(iv, seq)
  const exiting = yield* step("PF_EXITING", [name], () => mm.state.users === 0)
  if (exiting) return true
  yield* guardedStep(
    "dma_resv_wait_timeout",
    [name],
    () => state.fences.length === 0,
    () => undefined,
    waitForGpu(object),
  )
  return true
})

/** What who waits for the object's fences waits for. */
const waitForGpu = ({ name, state }: UserptrObject): Wait => ({
  on: `the fences of ${name}`,
  kind: "fence",
  sleeps: true,
  hindrances: () => state.fences.map((fiber) => ({ fiber, how: "has yet to signal" })),
})

const without = (names: ReadonlyArray<string>, name: string) => names.filter((other) => other !== name)

/** `i915_gem_object_userptr_submit_init`: pins the page, unless it is pinned and there was no invalidation since. */
const submitInit = procedure(function* (object: UserptrObject) {
  const { name, mm, va, iv, lock, state } = object
  const seq = yield* mmuIntervalReadBegin(mm.subscriptions, iv)
  yield* mutexLock(lock)
  const kept = yield* step(
    "i915_gem_object_userptr_submit_init",
    [name, seq],
    () => state.page !== null && state.notifierSeq === seq,
  )
  if (!kept) yield* unbind(object)
  yield* mutexUnlock(lock)
  if (kept) return "bound" as const

  const pinUserPages = object.special ? getUserPages : getUserPagesFast
  const got = yield* Effect.orElseSucceed(pinUserPages(mm, va, { write: true, pin: true }), () => null)
  if (got === null) return "-EFAULT" as const
  yield* mutexLock(lock)
  const retry = yield* mmuIntervalReadRetry(iv, seq)
  if (!retry) {
    yield* step("i915_gem_userptr_get_pages", [name], () => {
      state.page = got.frame
      state.notifierSeq = seq
    })
  }
  yield* mutexUnlock(lock)
  if (!retry) return "bound" as const
  yield* putUserPage(mm.system, got)
  return "-EAGAIN" as const
})

/**
 * `i915_gem_object_userptr_unbind`, when the GPU is done with the page. What it may have stored to is marked dirty; not
 * where somebody else has locked the page, for whom the driver must not wait here.
 */
const unbind = procedure(function* (object: UserptrObject) {
  const { name, mm, state } = object
  const { system } = mm
  yield* guardedStep(
    "i915_gem_object_unbind",
    [name],
    () => state.fences.length === 0,
    () => undefined,
    waitForGpu(object),
  )
  yield* step("i915_gem_userptr_put_pages", [name], () => {
    if (state.page === null) return
    const folio = folioOf(system.folios, state.page)
    if (folio.lock === "") folio.dirty = true
    ungrab(system, state.page, true)
    state.page = null
  })
})

/**
 * `i915_gem_do_execbuffer`, of a thread of the process: the GPU is to store to the object. The request's fence is there
 * before the driver looks whether the page still is the process's: an invalidation that comes later waits for it.
 *
 * @param request the name of the request
 * @returns false when the process has nothing mapped there for that
 */
export const execbuffer = procedure(function* (object: UserptrObject, request: string, content: Content) {
  const { name, iv, lock, state } = object
  const head = yield* enterLoop("i915_gem_do_execbuffer")
  for (;;) {
    yield* head()
    const bound = yield* submitInit(object)
    if (bound === "-EFAULT") return false
    if (bound === "-EAGAIN") continue
    yield* mutexLock(lock)
    const seq = yield* step("_i915_vma_move_to_active", [name], () => {
      state.fences = [...state.fences, self()].sort()
      return state.notifierSeq
    })
    // i915_gem_object_userptr_submit_done
    const stale = yield* mmuIntervalReadRetry(iv, seq)
    if (!stale) {
      yield* step("eb_request_add", [request], () => {
        state.fences = [...without(state.fences, self()), request].sort()
        state.running++
      })
      yield* fork(request, execute(object, content))
    } else {
      yield* step("i915_request_set_error_once", [request], () => {
        state.fences = without(state.fences, self())
      })
    }
    yield* mutexUnlock(lock)
    if (!stale) return true
  }
})

/** What the GPU does. */
const execute = procedure(function* ({ name, mm, state }: UserptrObject, content: Content) {
  yield* step("gpu_store", [name, content], () => {
    state.working++
    if (state.page !== null) folioOf(mm.system.folios, state.page).content = content
  })
  yield* step("dma_fence_signal", [name], () => {
    state.running--
    state.working--
    state.fences = without(state.fences, self())
  })
})

/** The end of an object: when its file is closed, which may be behind the end of the address space. */
export const userptrRelease = procedure(function* (object: UserptrObject) {
  yield* mutexLock(object.lock)
  yield* unbind(object)
  yield* mutexUnlock(object.lock)
  // i915_gem_userptr_release
  yield* mmuIntervalNotifierRemove(object.mm.subscriptions, object.iv)
})
