/**
 * The record of invalidations under way and of the lives of notifiers: what properties need to remember and the protocol
 * does not. Recorded from outside, in cells of its own, in the same instant as the step that it is about.
 */
import { type Monitor, type Plain, type Struct, struct } from "../../../checker/index.ts"
import { overlaps } from "../../../model/mm/range.ts"
import { listed } from "../../../model/notifier/mmuNotifier.ts"
import type { NotifiedMm } from "../../../model/notifier/notifiedMm.ts"
import type { Mutex } from "../../../model/sync/mutex.ts"

/** What a fiber is at. */
export type Walk = {
  /** `refused`: start has returned -EAGAIN, and the fiber has started nothing since. */
  phase: "closed" | "started" | "refused"
  nonblock: boolean
  /** Whether the interval tree's side of the invalidation is open. */
  itree: boolean
  /** The notifiers that were told of the start and not of the end, of those that have an end. */
  told: ReadonlyArray<string>
  /** The notifiers on the list whose start has returned. */
  called: ReadonlyArray<string>
  /** The listed notifier whose callback is running, and which callback that is. */
  current: string
  callback: string
  /** The interval subscriptions that the range overlaps and that have not been called; those whose second pass is due. */
  uncalled: ReadonlyArray<string>
  unfinished: ReadonlyArray<string>
  /** The answers to the question whether a page is young, as far as there are any. */
  young: boolean
  cleared: boolean
  /** The notifiers that say that it is not, asked without clearing anything. */
  old: ReadonlyArray<string>
}

/** What has gone wrong so far. */
export type Slips = {
  /** A start inside a window, or an end outside. */
  unpaired: boolean
  endAfterRefusal: boolean
  orphanEnd: boolean
  /** A page was taken away although a notifier had not been called. */
  missed: boolean
  blockableRefused: boolean
  /** A notifier that has an end has refused. */
  endOfRefuser: boolean
  /** A start returned, in whichever way, with a second pass outstanding. */
  unfinished: boolean
  registeredInflight: boolean
  /** A notifier registered without a lock that it has to hold. */
  registeredUnlocked: boolean
  /** A range was announced under no lock that would have kept a notifier from registering. */
  startedUnlocked: boolean
  /** A driver set the sequence, or asked whether it had changed, without its lock. */
  sequenceUnlocked: boolean
  /** A page that was taken back from a device was still its own when its folio was unlocked. */
  leftExclusive: boolean
  unlinkedTwice: boolean
  wrongAge: boolean
  askedBeforeCleared: boolean
  /** Somebody was told that a page is not young, and not every notifier has said so. */
  wronglyOld: boolean
}

/** What a fiber that subscribes has come to. */
export type Stage = "new" | "registering" | "registered" | "freed" | "unloaded"

export interface NotifierRecord {
  readonly walks: ReadonlyMap<string, Struct<Walk>>
  readonly stages: ReadonlyMap<string, Struct<{ stage: Stage }>>
  /** The devices of which a release has finished. */
  readonly released: Struct<{ names: ReadonlyArray<string> }>
  /** The devices that wait in read_begin, and the sequence that each has from it and has not asked read_retry about. */
  readonly reading: Struct<{ names: ReadonlyArray<string>; samples: Readonly<Record<string, number>> }>
  /** Who has used which page since somebody was told of that: the process or a device, and the address. */
  readonly uses: Struct<{ of: ReadonlyArray<string> }>
  readonly slips: Struct<Slips>
  readonly monitor: Monitor
}

const nobody: ReadonlyArray<string> = []

const closed: Walk = {
  phase: "closed",
  nonblock: false,
  itree: false,
  told: nobody,
  called: nobody,
  current: "",
  callback: "",
  uncalled: nobody,
  unfinished: nobody,
  young: false,
  cleared: false,
  old: nobody,
}

const none: Slips = {
  unpaired: false,
  endAfterRefusal: false,
  orphanEnd: false,
  missed: false,
  blockableRefused: false,
  endOfRefuser: false,
  unfinished: false,
  registeredInflight: false,
  registeredUnlocked: false,
  startedUnlocked: false,
  sequenceUnlocked: false,
  leftExclusive: false,
  unlinkedTwice: false,
  wrongAge: false,
  askedBeforeCleared: false,
  wronglyOld: false,
}

/**
 * Makes the record.
 *
 * @param subscribers the fibers that register, by name, with what they have come to
 * @param locks of the drivers, by the names of their interval subscriptions
 */
export const record = (
  mm: NotifiedMm,
  fibers: ReadonlyArray<string>,
  subscribers: ReadonlyMap<string, Stage>,
  locks: ReadonlyMap<string, Mutex>,
): NotifierRecord => {
  const { subs } = mm
  const walks = new Map(fibers.map((name) => [name, struct(`walk.${name}`, closed)]))
  const stages = new Map([...subscribers].map(([name, stage]) => [name, struct(`stage.${name}`, { stage })]))
  const slips = struct("slips", none)
  const released = struct("released", { names: nobody })
  const noSamples: Readonly<Record<string, number>> = {}
  const uses = struct("uses", { of: nobody })
  const reading = struct("reading", { names: nobody, samples: noSamples })

  // One that is off the list will not be told of an end: that is as it should be.
  const due = (name: string) => subs.byName.get(name)?.state.hashed === true

  const walking = (write: (walk: Struct<Walk>, args: ReadonlyArray<Plain>, result: Plain) => void) =>
    watching((fiber, args, result) => {
      const walk = walks.get(fiber)
      if (walk !== undefined) write(walk, args, result)
    })
  const reaches = (stage: Stage) =>
    watching((fiber) => {
      const life = stages.get(fiber)
      if (life !== undefined) life.stage = stage
    })

  const used = (name: Plain | undefined, va: Plain | undefined) => {
    uses.of = [...new Set([...uses.of, `${name} ${va}`])].sort()
  }
  const told = (name: Plain | undefined, va: Plain | undefined, result: Plain) => {
    if (result === true) uses.of = uses.of.filter((use) => use !== `${name} ${va}`)
  }
  const underUserLock = (fiber: string, name: Plain | undefined) => {
    const lock = locks.get(String(name))
    if (lock !== undefined && lock.state.holder !== fiber) slips.sequenceUnlocked = true
  }

  const asked = walking((walk, [name, va], result) => {
    told(name, va, result)
    if (!walk.cleared) slips.askedBeforeCleared = true
    if (result === true) walk.young = true
  })
  const answered = walking((walk, _args, result) => {
    if (result !== walk.young) slips.wrongAge = true
    walk.young = false
    walk.cleared = false
  })

  // What keeps ranges from being announced while a notifier registers, and the other way round.
  const rangeLocks = [mm.mmapLock, mm.vmaLock, mm.iMmapRwsem, mm.anonVmaRwsem]
  const starts = walking((walk, args) => {
    if (walk.phase === "started" || walk.itree || walk.told.some(due)) slips.unpaired = true
    walk.phase = "started"
    walk.nonblock = args.includes("nonblock")
    walk.called = nobody
  })

  const monitor: Monitor = {
    __mmu_notifier_invalidate_range_start: (taken) => {
      const { fiber } = taken
      if (mm.state.users > 0 && !rangeLocks.some(({ state }) => state.readers.includes(fiber))) {
        slips.startedUnlocked = true
      }
      starts(taken)
    },
    __mmu_notifier_invalidate_range_end: walking((walk) => {
      if (walk.phase === "refused") slips.endAfterRefusal = true
      else if (walk.phase === "closed") slips.unpaired = true
      if (walk.unfinished.length > 0) slips.unfinished = true
      walk.phase = "closed"
      walk.nonblock = false
      walk.called = nobody
    }),
    "__oom_reap_task_mm: -EAGAIN": walking((walk) => {
      if (walk.unfinished.length > 0) slips.unfinished = true
      walk.phase = "refused"
      walk.nonblock = false
      walk.called = nobody
    }),
    mn_itree_inv_start_range: walking((walk, [, start, end]) => {
      const pages = { start: Number(start), end: Number(end) }
      walk.itree = true
      walk.uncalled = subs.itree.state.tree.filter((name) => {
        const iv = subs.itree.byName.get(name)
        return iv !== undefined && overlaps(iv.range, pages)
      })
    }),
    mn_itree_inv_next: walking((walk, [behind]) => {
      walk.uncalled = walk.uncalled.filter((name) => name !== behind)
    }),
    mn_itree_inv_end: walking((walk) => {
      walk.itree = false
      walk.uncalled = nobody
    }),
    xe_vm_invalidate_vma_submit: walking((walk, [name], result) => {
      const { finish } = result as { readonly finish: boolean } // what the step returns
      if (finish) walk.unfinished = [...walk.unfinished, String(name)].sort()
    }),
    xe_userptr_invalidate_finish: walking((walk, [name]) => {
      walk.unfinished = walk.unfinished.filter((other) => other !== name)
    }),
    mmu_interval_read_begin: watching((_fiber, [name], result) => {
      const { seq, invalidating } = result as { readonly seq: number; readonly invalidating: boolean } // what the step returns
      if (invalidating) reading.names = [...reading.names, String(name)].sort()
      reading.samples = { ...reading.samples, [String(name)]: seq }
    }),
    mmu_interval_set_seq: watching((fiber, [name]) => underUserLock(fiber, name)),
    mmu_interval_read_retry: watching((fiber, [name]) => {
      underUserLock(fiber, name)
      const { [String(name)]: _, ...others } = reading.samples
      reading.samples = others
    }),
    "mmu_interval_read_begin: prepare_to_wait": watching((fiber, _args, result) => {
      if (result === true) reading.names = reading.names.filter((name) => name !== fiber)
    }),
    hlist_for_each_entry_srcu: walking((walk, [callback, behind], result) => {
      if (callback === "invalidate_range_start" && behind !== "") walk.called = [...walk.called, String(behind)].sort()
      walk.current = result === null ? "" : String(result)
      walk.callback = result === null ? "" : String(callback)
    }),
    srcu_read_unlock: walking((walk) => {
      walk.current = ""
      walk.callback = ""
    }),
    kvm_mmu_notifier_invalidate_range_start: walking((walk, [name], result) => {
      if (result === false) slips.endOfRefuser = true
      walk.told = [...walk.told, String(name)].sort()
    }),
    kvm_mmu_notifier_invalidate_range_end: walking((walk, [name]) => {
      if (!walk.told.includes(String(name))) slips.orphanEnd = true
      walk.told = walk.told.filter((other) => other !== name)
    }),
    "nouveau_svmm_invalidate_range_start: -EAGAIN": walking((walk) => {
      if (!walk.nonblock) slips.blockableRefused = true
    }),
    kvm_flush_shadow_all: watching((_fiber, [name]) => {
      released.names = [...released.names.filter((other) => other !== name), String(name)].sort()
    }),
    zap_pte_range: walking((walk) => {
      const called = listed(subs).filter(({ ops }) => ops.invalidateRangeStart !== undefined)
      if (called.some(({ name }) => !walk.called.includes(name)) || walk.uncalled.length > 0) slips.missed = true
      if (walk.unfinished.length > 0) slips.unfinished = true
    }),
    mmap_write_lock: reaches("registering"),
    mmap_write_unlock: reaches("registered"),
    kfree: reaches("freed"),
    free_module: reaches("unloaded"),
    // Where register begins.
    "arch_invalidate_secondary_tlbs && invalidate_range": watching((fiber) => {
      if (mm.mmapLock.state.writer !== fiber) slips.registeredUnlocked = true
    }),
    __mmu_notifier_register: watching((fiber) => {
      const isLocked = rangeLocks.every(({ state }) => state.writer === fiber)
      if (!isLocked || mm.allLocksMutex.state.holder !== fiber) slips.registeredUnlocked = true
      if ([...walks.values()].some(({ phase, told }) => phase === "started" || told.some(due))) {
        slips.registeredInflight = true
      }
    }),
    folio_unlock: walking((walk, [, va]) => {
      // Who makes a page exclusive unlocks it outside of the invalidation.
      if (walk.phase === "started" && mm.exclusive[Number(va)]?.value !== "") slips.leftExclusive = true
    }),
    "mmu_notifier_unregister: hlist_del_init_rcu": watching((_fiber, _args, result) => {
      if (result === "twice") slips.unlinkedTwice = true
    }),
    get_user_pages: watching((_fiber, [name, va], result) => {
      if (result !== "exclusive") used(name, va)
    }),
    device_map: watching((_fiber, [name, va]) => {
      if (subs.byName.get(String(name))?.ops.testYoung !== undefined) used(name, va)
    }),
    ptep_test_and_clear_young: walking((walk, [name, va], result) => {
      told(name, va, result)
      walk.young = result === true
      walk.cleared = true
    }),
    kvm_mmu_notifier_clear_flush_young: asked,
    folio_referenced_one: answered,
    kvm_mmu_notifier_clear_young: asked,
    damon_ptep_mkold: answered,
    kvm_mmu_notifier_test_young: walking((walk, [name], result) => {
      if (result === false) walk.old = [...walk.old, String(name)].sort()
    }),
    damon_young_pmd_entry: walking((walk, _args, result) => {
      const unheard = listed(subs).some(({ name, ops }) => ops.testYoung !== undefined && !walk.old.includes(name))
      if (result === false && unheard) slips.wronglyOld = true
      walk.old = nobody
    }),
  }
  return { walks, stages, released, reading, uses, slips, monitor }
}

const watching =
  (write: (fiber: string, args: ReadonlyArray<Plain>, result: Plain) => void): Monitor[string] =>
  ({ fiber, args, result }) =>
    write(fiber, args, result)
