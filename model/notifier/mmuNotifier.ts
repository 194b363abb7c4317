/**
 * The mmu notifier of today (mm/mmu_notifier.c): subscriptions to the invalidations of an address space, on a list that
 * is walked under one global SRCU domain, beside the interval notifier's tree (interval.ts). Here is how they come and
 * go; mmuNotifierRange.ts has what they are called for.
 *
 * Register takes every lock under which a range may be open, so that no notifier is told of an end without its start.
 */
import * as Effect from "effect/Effect"
import { assert, choose, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import { mutexLock, mutexUnlock } from "../sync/mutex.ts"
import { downWrite, upWrite } from "../sync/rwsem.ts"
import { underLock } from "../sync/spinlock.ts"
import { callSrcu, type Srcu, srcuBarrier, srcuReadLock, srcuReadUnlock, synchronizeSrcu } from "../sync/srcu.ts"
import {
  type IntervalSubscription,
  mmuIntervalNotifierInsert as itreeInsert,
  mmuIntervalNotifierRemove as itreeRemove,
  mnItreeRelease,
  type NotifierSubscriptions,
  notifierSubscriptions,
} from "./interval.ts"
import type { MmuNotifierOps } from "./mmuNotifierOps.ts"
import { mmdrop, type NotifiedMm } from "./notifiedMm.ts"

/** `struct mmu_notifier`. */
export interface MmuNotifier {
  readonly name: string
  /** Which driver's operations they are: what `mmu_notifier_get` looks for. */
  readonly driver: string
  readonly ops: MmuNotifierOps
  readonly state: Struct<{
    users: number
    /** `hlist.next`, by name: it stays when the notifier is unlinked, so that who stands at it can go on. */
    next: string
    /** `!hlist_unhashed(&subscription->hlist)` */
    hashed: boolean
    /** Whether a notifier that is allocated by `mmu_notifier_get` is in use, or its memory was given back. */
    life: "unused" | "allocated" | "freed"
  }>
}

/** `struct mmu_notifier_subscriptions`: the list, with the interval tree and its lock beside it. */
export interface MmuSubscriptions {
  readonly itree: NotifierSubscriptions
  /** The global domain, of all address spaces. */
  readonly srcu: Srcu
  readonly state: Struct<{
    /** Whether `mm->notifier_subscriptions` is set. */
    published: boolean
    hasItree: boolean
    /** `list.first`, by name. */
    first: string
  }>
  /** The objects behind the names: they are static, only their membership changes. */
  readonly byName: Map<string, MmuNotifier>
}

/** Makes an address space's subscriptions: none, and no memory for them yet. */
export const mmuSubscriptions = (mm: string, srcu: Srcu): MmuSubscriptions => ({
  itree: notifierSubscriptions(mm),
  srcu,
  state: struct(`${mm}.notifier_subscriptions`, { published: false, hasItree: false, first: "" }),
  byName: new Map(),
})

/** Makes a notifier that is not registered. */
export const mmuNotifier = (subs: MmuSubscriptions, name: string, driver: string, ops: MmuNotifierOps): MmuNotifier => {
  const made: MmuNotifier = {
    name,
    driver,
    ops,
    state: struct(`${name}.mn`, { users: 0, next: "", hashed: false, life: "unused" }),
  }
  subs.byName.set(name, made)
  return made
}

/** The notifiers on the list, the one that was added last first. Within a step or property. */
export const listed = ({ state, byName }: MmuSubscriptions): ReadonlyArray<MmuNotifier> => {
  const found: Array<MmuNotifier> = []
  for (let at = byName.get(state.first); at !== undefined; at = byName.get(at.state.next)) found.push(at)
  return found
}

/** `hlist_add_head_rcu`. Within a step. */
export const listAddHead = ({ state }: MmuSubscriptions, added: MmuNotifier): void => {
  added.state.next = state.first
  added.state.hashed = true
  state.first = added.name
}

/** `hlist_del_init_rcu`: true if it was on the list. Within a step. */
export const listDelete = (subs: MmuSubscriptions, deleted: MmuNotifier): boolean => {
  if (!deleted.state.hashed) return false
  const before = listed(subs).find(({ state }) => state.next === deleted.name)
  const link = before === undefined ? "first" : "next"
  if (link === "next" && before !== undefined) before.state.next = deleted.state.next
  else subs.state.first = deleted.state.next
  deleted.state.hashed = false
  return true
}

/**
 * Calls what every listed notifier has for a callback. Inside an SRCU section.
 *
 * @param call the callback of a notifier, `undefined` if it has none
 * @param enough whether nobody has to be called behind one that gave this answer
 */
export const forEachListed = procedure(function* <A>(
  subs: MmuSubscriptions,
  callback: string,
  call: (notifier: MmuNotifier) => Effect.Effect<A> | undefined,
  enough: (answer: A) => boolean = () => false,
) {
  const answers: Array<A> = []
  for (let at = yield* following(subs, callback, null, call); at !== null; ) {
    const called: MmuNotifier | undefined = subs.byName.get(at)
    const running = called === undefined ? undefined : call(called)
    if (running !== undefined) {
      const answer = yield* running
      answers.push(answer)
      if (enough(answer)) break
    }
    at = yield* following(subs, callback, at, call)
  }
  return answers
})

/** Something that is done inside an SRCU section. */
export const underSrcu = procedure(function* <A>({ srcu }: MmuSubscriptions, inside: Effect.Effect<A>) {
  const section = yield* srcuReadLock(srcu)
  const result = yield* inside
  yield* srcuReadUnlock(srcu, section)
  return result
})

/** `hlist_for_each_entry_srcu`: the name of the next notifier behind one, or of the first, that has such a callback. */
const following = (
  subs: MmuSubscriptions,
  callback: string,
  behind: string | null,
  call: (notifier: MmuNotifier) => unknown,
): Effect.Effect<string | null> =>
  step("hlist_for_each_entry_srcu", [callback, behind ?? ""], () => {
    let at = behind === null ? subs.state.first : (subs.byName.get(behind)?.state.next ?? "")
    for (;;) {
      const candidate = subs.byName.get(at)
      if (candidate === undefined) return null
      if (call(candidate) !== undefined) return at
      at = candidate.state.next
    }
  })

/** `mm_take_all_locks`: nobody can have a range of the address space open then. False when a signal came first. */
const mmTakeAllLocks = procedure(function* (mm: NotifiedMm) {
  yield* mutexLock(mm.allLocksMutex)
  // Nothing is locked yet for which a signal had to be looked at twice: there is one area.
  if (mm.signals && (yield* choose("signal_pending", [false, true]))) {
    yield* mutexUnlock(mm.allLocksMutex)
    return false
  }
  yield* downWrite(mm.vmaLock, "vma_start_write", [mm.name])
  yield* downWrite(mm.iMmapRwsem, "vm_lock_mapping", [mm.name])
  yield* downWrite(mm.anonVmaRwsem, "vm_lock_anon_vma", [mm.name])
  return true
})

/** `mm_drop_all_locks` */
const mmDropAllLocks = procedure(function* (mm: NotifiedMm) {
  yield* upWrite(mm.anonVmaRwsem, "vm_unlock_anon_vma", [mm.name])
  yield* upWrite(mm.iMmapRwsem, "vm_unlock_mapping", [mm.name])
  yield* upWrite(mm.vmaLock, "vma_end_write_all", [mm.name])
  yield* mutexUnlock(mm.allLocksMutex)
})

/** What register says. */
export type Registered = "registered" | "-EINTR" | "-EINVAL"

/**
 * `__mmu_notifier_register`, with `mmap_lock` held for writing by a caller that has a user's reference to the address
 * space.
 *
 * @param added `null` to have the interval tree alone
 */
export const __mmuNotifierRegister = procedure(function* (mm: NotifiedMm, added: MmuNotifier | null) {
  const { subs } = mm
  if (added !== null && (yield* wantsBoth(added))) return registered("-EINVAL")
  // The memory for the subscriptions is had before, as nothing may be allocated under all locks.
  if (!(yield* mmTakeAllLocks(mm))) return registered("-EINTR")
  yield* underLock(subs.itree.lock, "__mmu_notifier_register", [mm.name, added?.name ?? null], () => {
    subs.state.published = true
    if (added === null) {
      subs.state.hasItree = true
      return
    }
    mm.state.count++
    added.state.users = 1
    listAddHead(subs, added)
  })
  yield* mmDropAllLocks(mm)
  return registered("registered")
})

const registered = (result: Registered): Registered => result

/** Whoever hears of TLB flushes may not hear of ranges too. */
const wantsBoth = ({ name, ops }: MmuNotifier): Effect.Effect<boolean> =>
  step("arch_invalidate_secondary_tlbs && invalidate_range", [name], () => {
    const ranges = ops.invalidateRangeStart !== undefined || ops.invalidateRangeEnd !== undefined
    return ops.archInvalidateSecondaryTlbs !== undefined && ranges
  })

/** `mmu_notifier_register` */
export const mmuNotifierRegister = procedure(function* (mm: NotifiedMm, added: MmuNotifier) {
  yield* downWrite(mm.mmapLock, "mmap_write_lock", [mm.name, added.name])
  const result = yield* __mmuNotifierRegister(mm, added)
  yield* upWrite(mm.mmapLock, "mmap_write_unlock", [mm.name, added.name, result])
  return result
})

/**
 * `mmu_notifier_get`: the driver's notifier of this address space, or a new one.
 *
 * @returns its name, or why there is none
 */
export const mmuNotifierGet = procedure(function* (mm: NotifiedMm, driver: string) {
  const { subs } = mm
  yield* downWrite(mm.mmapLock, "mmap_write_lock", [mm.name, driver])
  const found = yield* underLock(subs.itree.lock, "find_get_mmu_notifier", [mm.name, driver], () => {
    const existing = listed(subs).find((notifier) => notifier.driver === driver)
    if (existing !== undefined) existing.state.users++
    return existing?.name ?? null
  })
  const result: string = found ?? (yield* getNew(mm, driver))
  yield* upWrite(mm.mmapLock, "mmap_write_unlock", [mm.name, driver, result])
  return result
})

const getNew = procedure(function* (mm: NotifiedMm, driver: string) {
  const name = yield* step("alloc_notifier", [driver], () => {
    const fresh = [...mm.subs.byName.values()].find(
      ({ driver: its, state }) => its === driver && state.life === "unused",
    )
    assert(fresh !== undefined, `there is no memory for another notifier of ${driver}`)
    fresh.state.life = "allocated"
    return fresh.name
  })
  const fresh = mm.subs.byName.get(name)
  if (fresh === undefined) return name
  const result = yield* __mmuNotifierRegister(mm, fresh)
  if (result === "registered") return name
  yield* fresh.ops.freeNotifier?.() ?? Effect.void
  return result
})

/** `mmu_notifier_put`: the last one takes it off the list; a callback behind a grace period frees it. */
export const mmuNotifierPut = procedure(function* (mm: NotifiedMm, put: MmuNotifier) {
  const last = yield* underLock(mm.subs.itree.lock, "mmu_notifier_put", [put.name], () => {
    put.state.users--
    if (put.state.users > 0) return false
    listDelete(mm.subs, put)
    return true
  })
  if (!last) return
  yield* callSrcu(mm.subs.srcu, put.name, Effect.andThen(put.ops.freeNotifier?.() ?? Effect.void, mmdrop(mm)))
})

/** `mmu_notifier_synchronize`: when it returns every notifier that was put before has been freed. For the end of a module. */
export const mmuNotifierSynchronize = ({ subs }: NotifiedMm): Effect.Effect<void> => srcuBarrier(subs.srcu)

/**
 * `mmu_interval_notifier_insert` and `mmu_interval_notifier_remove` as drivers call them: the first has the interval tree
 * made, under all locks, where there is none yet.
 */
export const mmuIntervalNotifierInsert = procedure(function* (mm: NotifiedMm, iv: IntervalSubscription) {
  const { subs } = mm
  const hasItree = yield* step("smp_load_acquire(notifier_subscriptions)", [mm.name], () => subs.state.hasItree)
  if (!hasItree) {
    yield* downWrite(mm.mmapLock, "mmap_write_lock", [mm.name, iv.name])
    const result = yield* __mmuNotifierRegister(mm, null)
    yield* upWrite(mm.mmapLock, "mmap_write_unlock", [mm.name, iv.name, result])
    if (result !== "registered") return false
  }
  yield* step("mmgrab", [mm.name], () => {
    mm.state.count++
  })
  yield* itreeInsert(subs.itree, iv)
  return true
})

export const mmuIntervalNotifierRemove = (mm: NotifiedMm, iv: IntervalSubscription) =>
  Effect.andThen(itreeRemove(mm.subs.itree, iv), mmdrop(mm))

/** `mmu_notifier_unregister`: when it returns no callback of the notifier runs or will. */
export const mmuNotifierUnregister = procedure(function* (mm: NotifiedMm, gone: MmuNotifier) {
  const { subs } = mm
  const unhashed = yield* step("hlist_unhashed", [gone.name], () => !gone.state.hashed)
  if (!unhashed) {
    // Exit may do the same at the same time: release runs twice then.
    yield* underSrcu(subs, gone.ops.release?.() ?? Effect.void)
    yield* underLock(subs.itree.lock, "mmu_notifier_unregister: hlist_del_init_rcu", [gone.name], () =>
      listDelete(subs, gone),
    )
  }
  yield* synchronizeSrcu(subs.srcu)
  yield* mmdrop(mm)
})

/** `__mmu_notifier_release`: the first thing that `exit_mmap` does, with no user of the address space left. */
export const __mmuNotifierRelease = procedure(function* (mm: NotifiedMm) {
  const { subs } = mm
  const { published, hasItree } = yield* step("__mmu_notifier_release", [mm.name], () => ({
    published: subs.state.published,
    hasItree: subs.state.hasItree,
  }))
  if (!published) return
  if (hasItree) yield* mnItreeRelease(subs.itree, { start: 0, end: mm.pages })
  if (yield* hlistEmpty(mm)) return
  yield* underSrcu(subs, hlistRelease(mm))
  // Who unregisters may have unlinked its own and be in the middle of its release: no page may be freed before that.
  yield* synchronizeSrcu(subs.srcu)
})

/** `mn_hlist_release` */
const hlistRelease = procedure(function* ({ name, subs }: NotifiedMm) {
  yield* forEachListed(subs, "release", ({ ops }) => ops.release?.())
  // One step: release has run on all of them, so nobody who walks meanwhile can tell in which order they go.
  yield* underLock(subs.itree.lock, "mn_hlist_release: hlist_del_init_rcu", [name], () => {
    for (const notifier of listed(subs)) listDelete(subs, notifier)
  })
})

/** `hlist_empty(&subscriptions->list)`, without a lock. */
export const hlistEmpty = ({ name, subs }: NotifiedMm): Effect.Effect<boolean> =>
  step("hlist_empty", [name], () => subs.state.first === "")
