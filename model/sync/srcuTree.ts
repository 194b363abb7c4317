/**
 * SRCU's algorithm (kernel/rcu/srcutree.c, as of Linux 6.13): counters of locks and unlocks per CPU and index, a grace
 * period that scans both indices with a flip between, a work item that drives it, another that invokes callbacks.
 * Nothing else uses this model: `spec/sync` checks that it keeps what `srcu.ts` promises.
 *
 * The struct is small (SRCU_SIZE_SMALL): callbacks are in the list of the boot CPU, and the tree of srcu_nodes is not in
 * use. Each critical section under a lock of the struct is one step, as only those under the same lock could look inside;
 * srcu_gp_mutex and srcu_cb_mutex are left out, since one work item alone takes them. Expediting changes only how soon a
 * scan is repeated. Memory is sequentially consistent: what barriers A to E order is in order, and their loss does not
 * show.
 */
import type * as Effect from "effect/Effect"
import { enterLoop, guardedStep, procedure, type Struct, self, step, struct } from "../../checker/program/index.ts"
import { type Mutex, mutex, mutexLock, mutexUnlock } from "./mutex.ts"

/** One of the two ranks of counters. */
export type Index = 0 | 1

/** The counters of one CPU: `srcu_lock_count[2]` and `srcu_unlock_count[2]`. */
export type Counters = { locks: readonly [number, number]; unlocks: readonly [number, number] }

/** A callback in `srcu_cblist`, with the grace period behind which it runs. */
export interface RcuHead {
  readonly func: "wakeme_after_rcu" | "srcu_barrier_cb" | "callback"
  /** Who waits for it, or which callback it is. */
  readonly head: string
  readonly seq: number
}

/** A work item: it may be queued again while it runs, and then runs once more. */
export type Work = { pending: boolean; running: boolean }

/** `struct srcu_struct` and what hangs on it. */
export interface SrcuTree {
  readonly name: string
  /** Where counters wrap: those of the kernel do at 2^64, or 2^32. */
  readonly wrap: number
  /** `srcu_idx`, its last bit. */
  readonly idx: Struct<{ srcu_idx: Index }>
  /** By CPU. */
  readonly counters: ReadonlyArray<Struct<Counters>>
  /** `struct srcu_usage`: the last two bits of `srcu_gp_seq` are the state of the grace period. */
  readonly sup: Struct<{ srcu_gp_seq: number; srcu_gp_seq_needed: number; srcu_barrier_cpu_cnt: number }>
  /** `struct srcu_data` of the boot CPU. `len` counts the callbacks that are being invoked too. */
  readonly sdp: Struct<{ cblist: ReadonlyArray<RcuHead>; len: number; srcu_gp_seq_needed: number }>
  /** Completions that are done, by who waits for them. */
  readonly completed: Struct<{ completed: Readonly<Record<string, true>> }>
  readonly barrierMutex: Mutex
  /** `sup->work`, which runs `process_srcu`, and `sdp->work`, which runs `srcu_invoke_callbacks`. */
  readonly work: Struct<Work>
  readonly callbackWork: Struct<Work>
  /** Whether the workers have nothing to wait for any more. */
  readonly gone: Struct<{ gone: boolean }>
}

/** Makes a struct that nobody reads in. */
export const srcuTree = (name: string, cpus: number, wrap: number): SrcuTree => {
  const cblist: ReadonlyArray<RcuHead> = []
  const completed: Readonly<Record<string, true>> = {}
  const idx: { srcu_idx: Index } = { srcu_idx: 0 }
  const zero: Counters = { locks: [0, 0], unlocks: [0, 0] }
  return {
    name,
    wrap,
    idx: struct(name, idx),
    counters: Array.from({ length: cpus }, (_, cpu) => struct(`${name}.cpu${cpu}`, zero)),
    sup: struct(`${name}.sup`, { srcu_gp_seq: 0, srcu_gp_seq_needed: 0, srcu_barrier_cpu_cnt: 0 }),
    sdp: struct(`${name}.sdp`, { cblist, len: 0, srcu_gp_seq_needed: 0 }),
    completed: struct(name, { completed }),
    barrierMutex: mutex(`${name}.srcu_barrier_mutex`),
    work: struct(`${name}.work`, { pending: false, running: false }),
    callbackWork: struct(`${name}.sdp.work`, { pending: false, running: false }),
    gone: struct(name, { gone: false }),
  }
}

const stateMask = 3
export const IDLE = 0
export const SCAN1 = 1
export const SCAN2 = 2

/** `rcu_seq_state` */
export const seqState = (seq: number): number => seq & stateMask
/** `rcu_seq_snap`: the sequence at which a full grace period has passed for one who asks now. */
const seqSnap = (seq: number): number => (seq + 2 * stateMask + 1) & ~stateMask
/** `rcu_seq_end` */
const seqEnd = (seq: number): number => (seq | stateMask) + 1

const countersOf = (srcu: SrcuTree, cpu: number): Struct<Counters> => {
  const counters = srcu.counters[cpu]
  if (counters === undefined) throw new RangeError(`${srcu.name} has no CPU ${cpu}`)
  return counters
}

/** One more of a pair of counters. */
export const incremented = (counts: readonly [number, number], idx: Index, wrap: number): readonly [number, number] =>
  idx === 0 ? [(counts[0] + 1) % wrap, counts[1]] : [counts[0], (counts[1] + 1) % wrap]

/**
 * `__srcu_read_lock`: looks which index is current and counts itself there. In between it may be preempted for as long
 * as it takes two grace periods, and be moved to another CPU.
 *
 * @param caller as which steps it shows: `__srcu_read_lock`, or `__srcu_read_lock_nmisafe`
 * @param cpu where it comes to count
 */
export const srcuTreeReadLock = procedure(function* (srcu: SrcuTree, cpu: number, caller = "__srcu_read_lock") {
  const idx = yield* step(`${caller}: srcu_idx`, [srcu.name], () => srcu.idx.srcu_idx)
  yield* step(`${caller}: srcu_lock_count`, [srcu.name, cpu, idx], () => {
    const counters = countersOf(srcu, cpu)
    counters.locks = incremented(counters.locks, idx, srcu.wrap)
  })
  return idx
})

/** `__srcu_read_unlock`, which may be on another CPU than the lock. */
export const srcuTreeReadUnlock = (
  srcu: SrcuTree,
  cpu: number,
  idx: Index,
  caller = "__srcu_read_unlock",
): Effect.Effect<void> =>
  step(caller, [srcu.name, cpu, idx], () => {
    const counters = countersOf(srcu, cpu)
    counters.unlocks = incremented(counters.unlocks, idx, srcu.wrap)
  })

/** `srcu_gp_start`. Under the lock of the struct. */
const srcuGpStart = ({ sup }: SrcuTree): void => {
  sup.srcu_gp_seq = sup.srcu_gp_seq + 1
}

/**
 * `srcu_gp_start_if_needed`: queues a callback and sees to it that a grace period comes. In a read-side section, so that
 * the grace period after next cannot end meanwhile.
 */
const srcuGpStartIfNeeded = procedure(function* (srcu: SrcuTree, func: RcuHead["func"], head: string, cpu: number) {
  const { sup, sdp } = srcu
  const idx = yield* srcuTreeReadLock(srcu, cpu, "__srcu_read_lock_nmisafe")
  const needed = yield* step("srcu_gp_start_if_needed", [srcu.name, head], () => {
    const seq = seqSnap(sup.srcu_gp_seq)
    sdp.cblist = [...sdp.cblist, { func, head, seq }]
    sdp.len++
    if (sdp.srcu_gp_seq_needed >= seq) return null
    sdp.srcu_gp_seq_needed = seq
    return seq
  })
  if (needed !== null) {
    yield* step("srcu_funnel_gp_start", [srcu.name, needed], () => {
      sup.srcu_gp_seq_needed = Math.max(sup.srcu_gp_seq_needed, needed)
      if (sup.srcu_gp_seq >= needed || seqState(sup.srcu_gp_seq) !== IDLE) return
      srcuGpStart(srcu)
      srcu.work.pending = true
    })
  }
  yield* srcuTreeReadUnlock(srcu, cpu, idx, "__srcu_read_unlock_nmisafe")
})

/** `wait_for_completion` on one's own completion, which is then initialised again. */
const waitForCompletion = ({ name, completed }: SrcuTree, caller: string): Effect.Effect<void> =>
  guardedStep(
    `${caller}: wait_for_completion`,
    [name],
    () => completed.completed[self()] === true,
    () => {
      const { [self()]: _, ...others } = completed.completed
      completed.completed = others
    },
  )

const complete = ({ completed }: SrcuTree, waiter: string): void => {
  completed.completed = { ...completed.completed, [waiter]: true }
}

/**
 * `synchronize_srcu`
 *
 * @param waiter the fiber that calls it, by name
 * @param cpu where it runs
 */
export const srcuTreeSynchronize = procedure(function* (srcu: SrcuTree, waiter: string, cpu: number) {
  yield* step("synchronize_srcu", [srcu.name], () => undefined)
  yield* srcuGpStartIfNeeded(srcu, "wakeme_after_rcu", waiter, cpu)
  yield* waitForCompletion(srcu, "synchronize_srcu")
})

/** `call_srcu`: the callback is run by the worker, which knows what its name means. */
export const srcuTreeCall = procedure(function* (srcu: SrcuTree, head: string, cpu: number) {
  yield* step("call_srcu", [srcu.name, head], () => undefined)
  yield* srcuGpStartIfNeeded(srcu, "callback", head, cpu)
})

/**
 * `srcu_barrier`: entrains a callback behind the last one, in that one's grace period, if there is any. The count begins
 * at one, so that it cannot reach zero before all are posted.
 */
export const srcuTreeBarrier = procedure(function* (srcu: SrcuTree, waiter: string, cpu: number) {
  const { sup, sdp } = srcu
  yield* step("srcu_barrier", [srcu.name], () => undefined)
  yield* mutexLock(srcu.barrierMutex)
  const idx = yield* srcuTreeReadLock(srcu, cpu, "__srcu_read_lock_nmisafe")
  yield* step("srcu_barrier_one_cpu", [srcu.name], () => {
    const entrained = sdp.len > 0
    sup.srcu_barrier_cpu_cnt = entrained ? 2 : 1
    if (!entrained) return
    // Where all of the list is being invoked, the callback is entrained among those that are done.
    const seq = sdp.cblist.at(-1)?.seq ?? 0
    sdp.cblist = [...sdp.cblist, { func: "srcu_barrier_cb", head: waiter, seq }]
    sdp.len++
  })
  yield* srcuTreeReadUnlock(srcu, cpu, idx, "__srcu_read_unlock_nmisafe")
  yield* step("srcu_barrier: atomic_dec_and_test", [srcu.name], () => barrierDone(srcu, waiter))
  yield* waitForCompletion(srcu, "srcu_barrier")
  yield* mutexUnlock(srcu.barrierMutex)
})

const barrierDone = (srcu: SrcuTree, waiter: string): void => {
  srcu.sup.srcu_barrier_cpu_cnt--
  if (srcu.sup.srcu_barrier_cpu_cnt === 0) complete(srcu, waiter)
}

/** Takes a work item off its queue and runs it; false when there will be none any more. */
const nextWork = ({ name, gone }: SrcuTree, work: Struct<Work>, caller: string): Effect.Effect<boolean> =>
  guardedStep(
    caller,
    [name],
    () => work.pending || gone.gone,
    () => {
      if (!work.pending) return false
      work.pending = false
      work.running = true
      return true
    },
  )

/** The worker that drives grace periods: `process_srcu`, as often as it is queued. */
export const processSrcu = procedure(function* (srcu: SrcuTree) {
  const head = yield* enterLoop("process_srcu")
  for (;;) {
    yield* head()
    if (!(yield* nextWork(srcu, srcu.work, "process_srcu"))) return
    yield* srcuAdvanceState(srcu)
    yield* srcuReschedule(srcu)
  }
})

/** `srcu_advance_state`: goes on with a grace period as far as readers let it. */
const srcuAdvanceState = procedure(function* (srcu: SrcuTree) {
  const { sup } = srcu
  /** What a scan of this state looks at: the index that new readers do not take. */
  const scanned = (): Index => (srcu.idx.srcu_idx === 0 ? 1 : 0)
  const at = yield* step("srcu_advance_state", [srcu.name], () => {
    if (seqState(sup.srcu_gp_seq) === IDLE) {
      if (sup.srcu_gp_seq >= sup.srcu_gp_seq_needed) return null
      srcuGpStart(srcu)
    }
    return { state: seqState(sup.srcu_gp_seq), idx: scanned() }
  })
  if (at === null) return
  let { idx } = at
  if (at.state === SCAN1) {
    if (!(yield* tryCheckZero(srcu, idx, SCAN1))) return
    yield* step("srcu_flip", [srcu.name], () => {
      srcu.idx.srcu_idx = srcu.idx.srcu_idx === 0 ? 1 : 0
    })
    idx = yield* step("rcu_seq_set_state", [srcu.name, SCAN2], () => {
      sup.srcu_gp_seq = (sup.srcu_gp_seq & ~stateMask) | SCAN2
      return scanned()
    })
  }
  if (!(yield* tryCheckZero(srcu, idx, SCAN2))) return
  yield* srcuGpEnd(srcu)
})

/**
 * `srcu_readers_active_idx_check`: whether there was a moment, between the two sums, at which nobody was counted at an
 * index. Unlocks are summed first: each lock whose unlock was counted is then counted too.
 *
 * @param scan for readers of traces
 */
const tryCheckZero = procedure(function* (srcu: SrcuTree, idx: Index, scan: number) {
  let unlocks = 0
  for (const cpu of srcu.counters.keys()) {
    unlocks += yield* step(
      "srcu_readers_unlock_idx",
      [srcu.name, cpu, idx, `SCAN${scan}`],
      () => countersOf(srcu, cpu).unlocks[idx],
    )
  }
  let locks = 0
  for (const cpu of srcu.counters.keys()) {
    locks += yield* step(
      "srcu_readers_lock_idx",
      [srcu.name, cpu, idx, `SCAN${scan}`],
      () => countersOf(srcu, cpu).locks[idx],
    )
  }
  return (locks - unlocks) % srcu.wrap === 0
})

/** `srcu_gp_end`: has the callbacks invoked that waited for this grace period, and begins the next if one is needed. */
const srcuGpEnd = procedure(function* (srcu: SrcuTree) {
  const { sup } = srcu
  yield* step("srcu_gp_end", [srcu.name], () => {
    sup.srcu_gp_seq = seqEnd(sup.srcu_gp_seq)
  })
  yield* step("srcu_schedule_cbs_sdp", [srcu.name], () => {
    srcu.callbackWork.pending = true
  })
  yield* step("srcu_gp_end: srcu_gp_start", [srcu.name], () => {
    if (seqState(sup.srcu_gp_seq) !== IDLE || sup.srcu_gp_seq >= sup.srcu_gp_seq_needed) return
    srcuGpStart(srcu)
    srcu.work.pending = true
  })
})

/** `srcu_reschedule`: the work is queued again as long as there is a grace period to wait for. */
const srcuReschedule = (srcu: SrcuTree): Effect.Effect<void> =>
  step("srcu_reschedule", [srcu.name], () => {
    const { sup, work } = srcu
    work.running = false
    if (sup.srcu_gp_seq >= sup.srcu_gp_seq_needed) return
    if (seqState(sup.srcu_gp_seq) === IDLE) srcuGpStart(srcu)
    work.pending = true
  })

/**
 * The worker that invokes callbacks: `srcu_invoke_callbacks`, as often as it is queued.
 *
 * @param callback what the callback of a name does
 */
export const srcuInvokeCallbacks = procedure(function* (
  srcu: SrcuTree,
  callback: (head: string) => Effect.Effect<unknown>,
) {
  const { sup, sdp, callbackWork } = srcu
  const ready = ({ seq }: RcuHead): boolean => seq <= sup.srcu_gp_seq
  const head = yield* enterLoop("srcu_invoke_callbacks")
  for (;;) {
    yield* head()
    if (!(yield* nextWork(srcu, callbackWork, "srcu_invoke_callbacks"))) return
    const heads = yield* step("rcu_segcblist_extract_done_cbs", [srcu.name], () => {
      const done = sdp.cblist.filter(ready)
      sdp.cblist = sdp.cblist.filter((each) => !ready(each))
      if (done.length === 0) callbackWork.running = false
      return done
    })
    if (heads.length === 0) continue
    for (const { func, head: name } of heads) {
      if (func === "wakeme_after_rcu") yield* step(func, [name], () => complete(srcu, name))
      else if (func === "srcu_barrier_cb") yield* step(func, [name], () => barrierDone(srcu, name))
      else yield* callback(name)
    }
    yield* step("rcu_segcblist_add_len", [srcu.name, -heads.length], () => {
      sdp.len -= heads.length
      callbackWork.running = false
      if (sdp.cblist.some(ready)) callbackWork.pending = true
    })
  }
})

/** `cleanup_srcu_struct`: flushes the work items, and says what it would warn of. The workers end. */
export const srcuTreeCleanup = (srcu: SrcuTree): Effect.Effect<ReadonlyArray<string>> =>
  guardedStep(
    "cleanup_srcu_struct",
    [srcu.name],
    () => [srcu.work, srcu.callbackWork].every(({ pending, running }) => !pending && !running),
    () => {
      srcu.gone.gone = true
      const { sup, sdp } = srcu
      return [
        ...(openSections(srcu) === 0 ? [] : ["srcu_readers_active"]),
        ...(sdp.len === 0 ? [] : ["rcu_segcblist_n_cbs"]),
        ...(seqState(sup.srcu_gp_seq) === IDLE && sup.srcu_gp_seq === sup.srcu_gp_seq_needed ? [] : ["srcu_gp_seq"]),
      ]
    },
  )

/** Sections counted at an index, or at both: what is true at one instant, which no scan can see. */
export const openSections = ({ counters, wrap }: SrcuTree, idx?: Index): number => {
  const indices: ReadonlyArray<Index> = idx === undefined ? [0, 1] : [idx]
  const open = counters.flatMap(({ locks, unlocks }) => indices.map((each) => locks[each] - unlocks[each]))
  return ((open.reduce((sum, count) => sum + count, 0) % wrap) + wrap) % wrap
}
