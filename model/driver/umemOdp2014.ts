/**
 * RDMA's on-demand paging of 2014 to 2018 (drivers/infiniband/core/umem_odp.c, with mlx5's part of a fault): one classic
 * notifier for all that a process has registered with a device, and for every umem a count of the invalidations under
 * way and a sequence of those that have ended. A umem that is made while one is under way has not seen its start: it
 * has no counters of its own, and no fault on it succeeds, until a moment comes in which none is under way.
 *
 * The notifier is registered with the process's first umem, here before everything else.
 */
import * as Effect from "effect/Effect"
import {
  assert,
  type Cell,
  cell,
  enterLoop,
  guardedStep,
  procedure,
  type Struct,
  step,
  struct,
} from "../../checker/program/index.ts"
import { mmgetNotZero, mmput } from "../mm/exit.ts"
import { type Content, type Frame, folioOf } from "../mm/folio.ts"
import { getUserPages, ungrab } from "../mm/gup.ts"
import type { Mm } from "../mm/mm.ts"
import { at, overlaps, pagesOf, type Range } from "../mm/range.ts"
import { type Mutex, mutex, underMutex } from "../sync/mutex.ts"
import { addReader, downWrite, type RwSem, readWait, rwSem, upRead, upWrite } from "../sync/rwsem.ts"

/** `struct ib_ucontext`: a process that uses a device. */
export interface IbUcontext {
  readonly mm: Mm
  /** Read by callbacks, written where umems come or get their counters. */
  readonly umemRwsem: RwSem
  readonly state: Struct<{
    /** `notifier_count`, atomic: invalidations under way. */
    notifierCount: number
    /** `umem_tree`, by name. */
    tree: ReadonlyArray<string>
    /** `no_private_counters`: those that wait for counters of their own. */
    noPrivateCounters: ReadonlyArray<string>
  }>
  readonly umems: Map<string, Umem2014>
}

/** `struct ib_umem`, writable, with its `odp_data` and the device's translations of its region. */
export interface Umem2014 {
  readonly name: string
  readonly context: IbUcontext
  readonly range: Range
  /** What is done under it is one step each time. */
  readonly mutex: Mutex
  readonly state: Struct<{
    /** `mn_counters_active`, `notifiers_seq`, `notifiers_count`: under the mutex; the sequence is sampled without. */
    active: boolean
    seq: number
    count: number
    /** `notifier_completion`: done. */
    completed: boolean
    dying: boolean
  }>
  /** `page_list` and `dma_list`, by the process's addresses. */
  readonly pageList: ReadonlyArray<Cell<Frame | null>>
  /** The device's translations. */
  readonly mtt: ReadonlyArray<Cell<Frame | null>>
}

/** Makes a process's use of a device, its notifier registered, without umems. */
export const ibUcontext = (mm: Mm): IbUcontext => {
  const none: ReadonlyArray<string> = []
  const context: IbUcontext = {
    mm,
    umemRwsem: rwSem("umem_rwsem"),
    state: struct("context", { notifierCount: 0, tree: none, noPrivateCounters: none }),
    umems: new Map(),
  }
  mm.subscriptions.forLife.push({
    release: () => release(context),
    invalidateRangeStart: (range) => Effect.as(invalidateRangeStart(context, range), true),
    invalidateRangeEnd: (range) => invalidateRangeEnd(context, range),
  })
  return context
}

/**
 * Makes a umem.
 *
 * @param inTree whether it is there from the beginning
 */
export const umem2014 = (context: IbUcontext, name: string, range: Range, inTree: boolean): Umem2014 => {
  const table = (what: string) => context.mm.pte.map((_, va) => cell<Frame | null>(`${name}.${what}${va}`, null))
  const umem: Umem2014 = {
    name,
    context,
    range,
    mutex: mutex(`${name}.umem_mutex`),
    state: struct(name, { active: inTree, seq: 0, count: 0, completed: false, dying: false }),
    pageList: table("page"),
    mtt: table("mtt"),
  }
  context.umems.set(name, umem)
  if (inTree) context.state.tree = [...context.state.tree, name]
  return umem
}

const umemOf = ({ umems }: IbUcontext, name: string): Umem2014 => {
  const umem = umems.get(name)
  if (umem === undefined) throw new RangeError(`there is no umem ${name}`)
  return umem
}

/** `down_read(umem_rwsem)`, and what `rbt_ib_umem_for_each_in_range` finds under it. */
const downReadUmems = (context: IbUcontext, range: Range): Effect.Effect<ReadonlyArray<string>> =>
  guardedStep(
    "down_read: umem_rwsem",
    [range.start, range.end],
    () => context.umemRwsem.state.writer === "",
    () => {
      addReader(context.umemRwsem)
      return context.state.tree.filter((name) => overlaps(umemOf(context, name).range, range))
    },
    readWait(context.umemRwsem),
  )

const upReadUmems = ({ umemRwsem }: IbUcontext) => upRead(umemRwsem, "up_read: umem_rwsem")

/** `ib_umem_notifier_start_account`. One without counters of its own is left out: no fault on it succeeds. */
const startAccount = ({ name, mutex, state }: Umem2014): Effect.Effect<void> =>
  underMutex(mutex, "ib_umem_notifier_start_account", [name], () => {
    if (!state.active) return
    if (state.count === 0) state.completed = false
    state.count++
  })

/** `ib_umem_notifier_end_account` */
const endAccount = ({ name, mutex, state }: Umem2014): Effect.Effect<void> =>
  underMutex(mutex, "ib_umem_notifier_end_account", [name], () => {
    if (!state.active) return
    state.seq++
    state.count--
    if (state.count === 0) state.completed = true
  })

/**
 * `mlx5_ib_invalidate_range`: the device's translations go without the mutex, as the count keeps faults from writing
 * others; then the DMA mappings, and what the device may have stored to is dirty (`ib_umem_odp_unmap_dma_pages`).
 */
const invalidateRange = procedure(function* (umem: Umem2014, range: Range) {
  const { name, context, mutex, pageList, mtt } = umem
  const start = Math.max(range.start, umem.range.start)
  const end = Math.min(range.end, umem.range.end)
  yield* step("mlx5_ib_update_mtt: zap", [name, start, end], () => {
    for (const va of pagesOf({ start, end })) at(mtt, va).value = null
  })
  yield* underMutex(mutex, "ib_umem_odp_unmap_dma_pages", [name, start, end], () => {
    for (const va of pagesOf({ start, end })) {
      const mapped = at(pageList, va)
      if (mapped.value !== null) folioOf(context.mm.system.folios, mapped.value).dirty = true
      mapped.value = null
    }
  })
})

/** `ib_umem_notifier_invalidate_range_start` */
const invalidateRangeStart = procedure(function* (context: IbUcontext, range: Range) {
  yield* step("ib_ucontext_notifier_start_account", [range.start, range.end], () => {
    context.state.notifierCount++
  })
  for (const name of yield* downReadUmems(context, range)) {
    const umem = umemOf(context, name)
    yield* startAccount(umem)
    yield* invalidateRange(umem, range)
  }
  yield* upReadUmems(context)
})

/** `ib_umem_notifier_invalidate_range_end` */
const invalidateRangeEnd = procedure(function* (context: IbUcontext, range: Range) {
  for (const name of yield* downReadUmems(context, range)) yield* endAccount(umemOf(context, name))
  yield* upReadUmems(context)
  yield* contextEndAccount(context, range)
})

/**
 * `ib_ucontext_notifier_end_account`: the last invalidation under way gives counters to those that wait for them, unless
 * the next one has begun when the tree is locked. A fault may have looked a page up before these ended, and must see that
 * in the sequence, which the kernel left as it was.
 */
const contextEndAccount = procedure(function* (context: IbUcontext, range: Range) {
  const { state, umemRwsem } = context
  const last = yield* step("ib_ucontext_notifier_end_account", [range.start, range.end], () => {
    state.notifierCount--
    return state.notifierCount === 0 && state.noPrivateCounters.length > 0
  })
  if (!last) return
  yield* downWrite(umemRwsem, "down_write: umem_rwsem")
  const idle = yield* step("ib_ucontext_notifier_end_account: notifier_count", () => state.notifierCount === 0)
  if (idle) {
    yield* step("ib_ucontext_notifier_end_account: mn_counters_active", () => {
      for (const name of state.noPrivateCounters) {
        const umem = umemOf(context, name)
        Object.assign(umem.state, { active: true, completed: true, seq: umem.state.seq + 1 })
      }
      state.noPrivateCounters = []
    })
  }
  yield* upWrite(umemRwsem, "up_write: umem_rwsem")
})

/** `ib_umem_notifier_release`: an invalidation without an end; faults that wait hear that there is nothing to wait for. */
const release = procedure(function* (context: IbUcontext) {
  const whole = { start: 0, end: context.mm.pages }
  yield* step("ib_ucontext_notifier_start_account", [whole.start, whole.end], () => {
    context.state.notifierCount++
  })
  for (const name of yield* downReadUmems(context, whole)) {
    const umem = umemOf(context, name)
    yield* startAccount(umem)
    yield* step("ib_umem_notifier_release_trampoline", [name], () => {
      umem.state.dying = true
      umem.state.completed = true
    })
    yield* invalidateRange(umem, whole)
  }
  yield* upReadUmems(context)
})

/**
 * `ib_umem_odp_get`: a new umem. If no invalidation is under way it counts from now on; otherwise it is put on the list.
 *
 * Here that is decided and done in one step. In the kernel the count is read and then the list is written to, and the
 * lock that is held keeps no invalidation from lowering the count in between.
 */
export const ibUmemOdpGet = procedure(function* (umem: Umem2014) {
  const { name, context } = umem
  const { state, umemRwsem } = context
  yield* downWrite(umemRwsem, "down_write: umem_rwsem")
  yield* step("ib_umem_odp_get", [name], () => {
    state.tree = [...state.tree, name]
    if (state.notifierCount === 0) umem.state.active = true
    else state.noPrivateCounters = [...state.noPrivateCounters, name]
  })
  yield* upWrite(umemRwsem, "up_write: umem_rwsem")
})

/** `ib_umem_mmu_notifier_retry`, under the mutex. Within a step. */
const mmuNotifierRetry = ({ state }: Umem2014, seq: number): boolean =>
  !state.active || state.count > 0 || state.seq !== seq

/**
 * `ib_umem_odp_map_dma_pages`, of one page, for writing: a reference is held only until it is known whether the page may
 * be used.
 */
const ibUmemOdpMapDmaPages = procedure(function* (umem: Umem2014, va: number, seq: number) {
  const { name, context, mutex, pageList } = umem
  const { mm } = context
  // get_task_mm
  if (!(yield* mmgetNotZero(mm))) return "-ENOENT" as const
  const frame = yield* Effect.match(getUserPages(mm, va, { write: true, pin: false }), {
    onFailure: () => null,
    onSuccess: (page) => page.frame,
  })
  const mapped =
    frame === null
      ? ("-EFAULT" as const)
      : yield* underMutex(mutex, "ib_umem_odp_map_dma_single_page", [name, va], () => {
          const retry = mmuNotifierRetry(umem, seq)
          const entry = at(pageList, va)
          if (!retry) {
            assert(
              entry.value === null || entry.value.pfn === frame.pfn,
              "the device has another page than the process",
            )
            entry.value = frame
          }
          ungrab(mm.system, frame, false)
          return retry ? ("-EAGAIN" as const) : ("mapped" as const)
        })
  yield* mmput(mm)
  return mapped
})

/** `pagefault_single_data_segment`: false where the page cannot be had. */
const pagefault = procedure(function* (umem: Umem2014, va: number) {
  const { name, mutex, pageList, mtt, state } = umem
  const seq = yield* step("pagefault_single_data_segment: notifiers_seq", [name], () => state.seq)
  const mapped = yield* ibUmemOdpMapDmaPages(umem, va, seq)
  if (mapped === "-ENOENT" || mapped === "-EFAULT") return false
  if (mapped === "mapped") {
    const done = yield* underMutex(mutex, "mlx5_ib_update_mtt", [name, va, seq], () => {
      if (mmuNotifierRetry(umem, seq)) return false
      at(mtt, va).value = at(pageList, va).value
      return true
    })
    if (done) return true
  }
  // It gives up after a while and tries again; but what it waits for need not be long.
  const dying = yield* guardedStep(
    "wait_for_completion_timeout",
    [name],
    () => state.completed || state.dying,
    () => state.dying,
  )
  return !dying
})

/**
 * An access of the device to a page, with the page faults that it takes.
 *
 * @param content what it stores; without it, it loads
 * @returns false when it ends in an error
 */
export const rdmaAccess2014 = procedure(function* (umem: Umem2014, va: number, content?: Content) {
  const { name, context, mtt } = umem
  const head = yield* enterLoop("rdma_access")
  for (;;) {
    yield* head()
    const done = yield* step(content === undefined ? "rdma_read" : "rdma_write", [name, va], () => {
      const page = at(mtt, va).value
      if (page === null) return false
      if (content !== undefined) folioOf(context.mm.system.folios, page).content = content
      return true
    })
    if (done) return true
    if (!(yield* pagefault(umem, va))) return false
  }
})
