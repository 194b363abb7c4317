/**
 * HMM as Linux 5.3 had it (mm/hmm.c, include/linux/hmm.h), before interval notifiers took its place in 5.5: one
 * `struct hmm` per address space with one classic notifier in it, which counts the invalidations under way, marks the
 * ranges that devices are faulting on as invalid, and has every mirror of the address space drop what it maps.
 *
 * In one thing it is not as published. There a range becomes valid again when the last invalidation ends, and the driver
 * asks for nothing else; an invalidation that falls between its look at the page table and that question goes unnoticed
 * (04ec32fbc2b2, "mm/hmm: allow hmm_range to be used with a mmu_interval_notifier or hmm_mirror"). Here a range has a
 * count as well, as in Gunthorpe's "RFC mm/hmm: Replace the range->valid with a seqcount" of 27 May 2019; there it is one
 * count for all ranges.
 */
import type * as Effect from "effect/Effect"
import { assert, guardedStep, procedure, type Struct, step, struct } from "../../checker/program/index.ts"
import type { Range } from "../mm/range.ts"
import type { NotifierRange } from "../notifier/events.ts"
import { __mmuNotifierRegister, listAddHead, type MmuNotifier, mmuNotifier } from "../notifier/mmuNotifier.ts"
import { mmuNotifierCallSrcu, mmuNotifierUnregisterNoRelease } from "../notifier/mmuNotifier2019.ts"
import { mmgetNotZero, mmput, type NotifiedMm } from "../notifier/notifiedMm.ts"
import { addReader, downWrite, type RwSem, readWait, rwSem, upRead, upWrite } from "../sync/rwsem.ts"
import { type SpinLock, spinLock, underLock } from "../sync/spinlock.ts"
import { type WaitQueue, waitEvent, waitQueue, wakeSleepers } from "../sync/waitQueue.ts"

/** `struct hmm` */
export interface Hmm {
  readonly name: string
  readonly notifier: MmuNotifier
  readonly mirrorsSem: RwSem
  readonly rangesLock: SpinLock
  readonly wq: WaitQueue
  readonly state: Struct<{
    kref: number
    /** Whether there is such a struct, or its memory was given back. */
    life: "unused" | "allocated" | "freed"
    /** The invalidations under way. */
    notifiers: number
    /** By name, newest first. */
    mirrors: ReadonlyArray<string>
    ranges: ReadonlyArray<string>
  }>
}

/** What an address space has of HMM. */
export interface HmmOfMm {
  readonly mm: NotifiedMm
  /** `mm->hmm`, by name, under `page_table_lock`. */
  readonly pointer: Struct<{ hmm: string }>
  /** The memory for one after the other, and for one while another waits for its grace period. */
  readonly structs: ReadonlyArray<Hmm>
  /** The objects behind the names. */
  readonly mirrors: Map<string, HmmMirror>
  readonly ranges: Map<string, HmmRange>
}

/** `struct hmm_mirror_ops` */
export interface HmmMirrorOps {
  /**
   * `ops->sync_cpu_device_pagetables`: drops what the device maps in the range. False (-EAGAIN) when it would have to
   * sleep and the range is not blockable.
   */
  readonly syncCpuDevicePagetables: (range: NotifierRange) => Effect.Effect<boolean>
  /** `ops->release`: drops all, as the address space goes. */
  readonly release: () => Effect.Effect<void>
}

/** `struct hmm_mirror`, with its operations. */
export interface HmmMirror extends HmmMirrorOps {
  readonly name: string
  readonly of: HmmOfMm
  readonly state: Struct<{ hmm: string }>
}

/** `struct hmm_range`: what a device is faulting on. */
export interface HmmRange extends Range {
  readonly name: string
  readonly mirror: HmmMirror
  readonly state: Struct<{
    hmm: string
    /** Whether no invalidation of it is under way; one of another range keeps it from becoming valid again. */
    valid: boolean
    /** The invalidations of it that there have been since it was registered. */
    seq: number
  }>
}

/** Makes an address space that nobody mirrors, with memory for some `struct hmm`. */
export const hmmOfMm = (mm: NotifiedMm, structs: number): HmmOfMm => {
  const none: ReadonlyArray<string> = []
  const made: HmmOfMm = {
    mm,
    pointer: struct(`${mm.name}.hmm`, { hmm: "" }),
    structs: Array.from({ length: structs }, (_, index): Hmm => {
      const name = `hmm${index}`
      return {
        name,
        notifier: mmuNotifier(mm.subs, name, "hmm", {
          release: () => hmmRelease(made, hmmNamed(made, name)),
          invalidateRangeStart: (range) => hmmInvalidateRangeStart(made, hmmNamed(made, name), range),
          invalidateRangeEnd: () => hmmInvalidateRangeEnd(made, hmmNamed(made, name)),
        }),
        mirrorsSem: rwSem(`${name}.mirrors_sem`),
        rangesLock: spinLock(`${name}.ranges_lock`),
        wq: waitQueue(`${name}.wq`),
        state: struct(name, { kref: 0, life: "unused", notifiers: 0, mirrors: none, ranges: none }),
      }
    }),
    mirrors: new Map(),
    ranges: new Map(),
  }
  return made
}

/** Makes a mirror that is not registered. */
export const hmmMirror = (of: HmmOfMm, name: string, ops: HmmMirrorOps): HmmMirror => {
  const mirror = { name, of, state: struct(`${name}.mirror`, { hmm: "" }), ...ops }
  of.mirrors.set(name, mirror)
  return mirror
}

/** Makes a range that is not registered. */
export const hmmRange = (mirror: HmmMirror, name: string, { start, end }: Range): HmmRange => {
  const range = { name, mirror, start, end, state: struct(name, { hmm: "", valid: false, seq: 0 }) }
  mirror.of.ranges.set(name, range)
  return range
}

/** The struct behind a name. */
export const hmmNamed = ({ structs }: HmmOfMm, name: string): Hmm => {
  const found = structs.find((hmm) => hmm.name === name)
  assert(found !== undefined, `there is no struct hmm called ${name}`)
  return found
}

/** The address space as it is when mirrors have registered one after the other. Before anything runs. */
export const haveRegistered = (of: HmmOfMm, mirrors: ReadonlyArray<HmmMirror>): void => {
  const [hmm] = of.structs
  if (hmm === undefined || mirrors.length === 0) return
  hmm.state.life = "allocated"
  hmm.state.kref = mirrors.length
  hmm.state.mirrors = mirrors.map(({ name }) => name)
  for (const { state } of mirrors) state.hmm = hmm.name
  of.pointer.hmm = hmm.name
  of.mm.subs.state.published = true
  of.mm.state.count += 2
  hmm.notifier.state.users = 1
  listAddHead(of.mm.subs, hmm.notifier)
}

/** `kref_get_unless_zero` */
const krefGetUnlessZero = ({ name, state }: Hmm): Effect.Effect<boolean> =>
  step("kref_get_unless_zero", [name], () => {
    if (state.kref === 0) return false
    state.kref++
    return true
  })

/** `hmm_put`: the last reference may be one that a callback has, inside the SRCU section; so nothing waits here. */
const hmmPut = procedure(function* (of: HmmOfMm, hmm: Hmm) {
  const last = yield* step("hmm_put", [hmm.name], () => {
    hmm.state.kref--
    return hmm.state.kref === 0
  })
  if (last) yield* hmmFree(of, hmm)
})

/** `hmm_free` */
const hmmFree = procedure(function* (of: HmmOfMm, hmm: Hmm) {
  yield* step("hmm_free", [hmm.name], () => {
    if (of.pointer.hmm === hmm.name) of.pointer.hmm = ""
  })
  yield* mmuNotifierUnregisterNoRelease(of.mm, hmm.notifier)
  yield* mmuNotifierCallSrcu(
    of.mm,
    hmm.notifier,
    step("hmm_free_rcu", [hmm.name], () => {
      const { writer, readers } = hmm.mirrorsSem.state
      assert(writer === "" && readers.length === 0, `${hmm.name} is freed while somebody holds its mirrors_sem`)
      of.mm.state.count--
      hmm.state.life = "freed"
    }),
  )
})

/**
 * `hmm_get_or_create`, `mmap_lock` held for writing.
 *
 * @returns its name, or `null` when a signal came while all locks were being taken
 */
const hmmGetOrCreate = procedure(function* (of: HmmOfMm) {
  const existing = yield* step("hmm_get_or_create", [of.mm.name], () => {
    const found = of.structs.find(({ name }) => name === of.pointer.hmm)
    if (found === undefined || found.state.kref === 0) return null
    found.state.kref++
    return found.name
  })
  if (existing !== null) return existing
  const made = yield* step("kmalloc(struct hmm)", [of.mm.name], () => {
    const unused = of.structs.find(({ state }) => state.life === "unused")
    assert(unused !== undefined, `there is no memory for another struct hmm of ${of.mm.name}`)
    unused.state.life = "allocated"
    unused.state.kref = 1
    return unused.name
  })
  const registered = yield* __mmuNotifierRegister(of.mm, hmmNamed(of, made).notifier)
  return yield* step("hmm_get_or_create: mm->hmm", [of.mm.name, made, registered], () => {
    if (registered !== "registered") {
      hmmNamed(of, made).state.life = "freed"
      return null
    }
    of.mm.state.count++
    of.pointer.hmm = made
    return made
  })
})

/**
 * `hmm_mirror_register`, `mmap_lock` held for writing.
 *
 * @returns false when there was no memory, or a signal (-ENOMEM)
 */
export const hmmMirrorRegister = procedure(function* (mirror: HmmMirror) {
  const name = yield* hmmGetOrCreate(mirror.of)
  if (name === null) return false
  const hmm = hmmNamed(mirror.of, name)
  yield* downWrite(hmm.mirrorsSem, "down_write(mirrors_sem)", [name, mirror.name])
  yield* step("hmm_mirror_register", [name, mirror.name], () => {
    mirror.state.hmm = name
    hmm.state.mirrors = [mirror.name, ...hmm.state.mirrors]
  })
  yield* upWrite(hmm.mirrorsSem, "up_write(mirrors_sem)", [name, mirror.name])
  return true
})

/** `hmm_mirror_unregister`: when it returns no callback of the mirror runs or will. Not to be called in one. */
export const hmmMirrorUnregister = procedure(function* (mirror: HmmMirror) {
  const name = yield* step("hmm_mirror_unregister", [mirror.name], () => mirror.state.hmm)
  const hmm = hmmNamed(mirror.of, name)
  yield* downWrite(hmm.mirrorsSem, "down_write(mirrors_sem)", [name, mirror.name])
  yield* step("list_del(mirror)", [name, mirror.name], () => {
    hmm.state.mirrors = hmm.state.mirrors.filter((other) => other !== mirror.name)
  })
  yield* upWrite(hmm.mirrorsSem, "up_write(mirrors_sem)", [name, mirror.name])
  yield* hmmPut(mirror.of, hmm)
})

/** The mirrors, with the semaphore held for reading from here on: the list stays as it is. Within a step. */
const takeMirrors = ({ mirrorsSem, state }: Hmm): ReadonlyArray<string> => {
  addReader(mirrorsSem)
  return state.mirrors
}

const mirrorsOf = ({ mirrors }: HmmOfMm, names: ReadonlyArray<string>): ReadonlyArray<HmmMirror> =>
  names.flatMap((name) => mirrors.get(name) ?? [])

/** `down_read(&hmm->mirrors_sem)` */
const downReadMirrors = (hmm: Hmm): Effect.Effect<ReadonlyArray<string>> =>
  guardedStep(
    "down_read(mirrors_sem)",
    [hmm.name],
    () => hmm.mirrorsSem.state.writer === "",
    () => takeMirrors(hmm),
    readWait(hmm.mirrorsSem),
  )

/** `down_read_trylock(&hmm->mirrors_sem)` */
const tryDownReadMirrors = (hmm: Hmm): Effect.Effect<ReadonlyArray<string> | null> =>
  step("down_read_trylock(mirrors_sem)", [hmm.name], () =>
    hmm.mirrorsSem.state.writer === "" ? takeMirrors(hmm) : null,
  )

/** `hmm_release`: no range is registered any more, as each has a user's reference to the address space. */
const hmmRelease = procedure(function* (of: HmmOfMm, hmm: Hmm) {
  if (!(yield* krefGetUnlessZero(hmm))) return
  yield* step("hmm_release", [hmm.name], () => hmm.state.ranges.length)
  const mirrors = yield* downReadMirrors(hmm)
  for (const { release } of mirrorsOf(of, mirrors)) yield* release()
  yield* upRead(hmm.mirrorsSem, "up_read(mirrors_sem)", [hmm.name])
  yield* hmmPut(of, hmm)
})

/** `notifiers_decrement`: the last one makes every range valid and wakes who waits for that. */
const notifiersDecrement = (of: HmmOfMm, hmm: Hmm, caller: string): Effect.Effect<void> =>
  underLock(hmm.rangesLock, "notifiers_decrement", [hmm.name, caller], () => {
    hmm.state.notifiers--
    if (hmm.state.notifiers !== 0) return
    for (const range of rangesOf(of, hmm)) range.state.valid = true
    wakeSleepers(hmm.wq)
  })

/** The ranges that are registered. Within a step. */
export const rangesOf = ({ ranges }: HmmOfMm, { state }: Hmm): ReadonlyArray<HmmRange> =>
  state.ranges.flatMap((name) => ranges.get(name) ?? [])

/** Whether HMM takes them to overlap: one that ends where a range starts counts too, which costs a retry. */
const hmmOverlaps = (update: Range, range: Range): boolean => !(update.end < range.start || update.start >= range.end)

/**
 * `hmm_invalidate_range_start`: when it returns true no mirror maps the range, and nobody who looked there before will
 * map it. False (-EAGAIN) when the range is not blockable and somebody would have to sleep: it does not count then, as
 * no end will be announced.
 */
const hmmInvalidateRangeStart = procedure(function* (of: HmmOfMm, hmm: Hmm, nrange: NotifierRange) {
  // It is going; those that it was for have dropped all.
  if (!(yield* krefGetUnlessZero(hmm))) return true
  yield* underLock(hmm.rangesLock, "hmm_invalidate_range_start", [hmm.name, nrange.start, nrange.end], () => {
    hmm.state.notifiers++
    for (const range of rangesOf(of, hmm)) {
      if (!hmmOverlaps(nrange, range)) continue
      range.state.valid = false
      range.state.seq++
    }
  })
  const synced = yield* syncMirrors(of, hmm, nrange)
  if (!synced) yield* notifiersDecrement(of, hmm, "hmm_invalidate_range_start")
  yield* hmmPut(of, hmm)
  return synced
})

const syncMirrors = procedure(function* (of: HmmOfMm, hmm: Hmm, nrange: NotifierRange) {
  const mirrors = nrange.blockable ? yield* downReadMirrors(hmm) : yield* tryDownReadMirrors(hmm)
  if (mirrors === null) return false
  let synced = true
  for (const { syncCpuDevicePagetables } of mirrorsOf(of, mirrors)) {
    synced = (yield* syncCpuDevicePagetables(nrange)) || nrange.blockable
    if (!synced) break
  }
  yield* upRead(hmm.mirrorsSem, "up_read(mirrors_sem)", [hmm.name])
  return synced
})

/** `hmm_invalidate_range_end` */
const hmmInvalidateRangeEnd = procedure(function* (of: HmmOfMm, hmm: Hmm) {
  if (!(yield* krefGetUnlessZero(hmm))) return
  yield* notifiersDecrement(of, hmm, "hmm_invalidate_range_end")
  yield* hmmPut(of, hmm)
})

/**
 * `hmm_range_register`: begins to watch a range, and keeps the process from exiting.
 *
 * @returns false when the process is exiting (-EFAULT)
 */
export const hmmRangeRegister = procedure(function* (range: HmmRange) {
  const { mirror, name, state } = range
  const hmm = hmmNamed(mirror.of, yield* step("mirror->hmm", [mirror.name], () => mirror.state.hmm))
  if (!(yield* mmgetNotZero(mirror.of.mm))) return false
  yield* underLock(hmm.rangesLock, "hmm_range_register", [name], () => {
    state.hmm = hmm.name
    state.seq = 0
    hmm.state.kref++
    hmm.state.ranges = [name, ...hmm.state.ranges]
    state.valid = hmm.state.notifiers === 0
  })
  return true
})

/** `hmm_range_unregister`: lets go of the process as well, so that it may be here that it exits. */
export const hmmRangeUnregister = procedure(function* (range: HmmRange) {
  const { mirror, name, state } = range
  const hmm = hmmNamed(mirror.of, yield* step("range->hmm", [name], () => state.hmm))
  yield* underLock(hmm.rangesLock, "hmm_range_unregister", [name], () => {
    hmm.state.ranges = hmm.state.ranges.filter((other) => other !== name)
    state.valid = false
    state.hmm = ""
    state.seq = 0
  })
  yield* mmput(mirror.of.mm)
  yield* hmmPut(mirror.of, hmm)
})

/**
 * `hmm_range_wait_until_valid`, without its time-out: sleeps while the range is being invalidated. As published it
 * returns whether the range is valid; the count is what the correction adds.
 *
 * @returns the count to give to `hmmRangeValid`, read before the wait
 */
export const hmmRangeWaitUntilValid = procedure(function* (range: HmmRange) {
  const { name, state } = range
  const { hmm, seq } = yield* step("hmm_range_wait_until_valid", [name], () => ({ hmm: state.hmm, seq: state.seq }))
  yield* waitEvent(hmmNamed(range.mirror.of, hmm).wq, "hmm_range_wait_until_valid", [name], () => state.valid)
  return seq
})

/** `hmm_range_valid`: whether what was read of the page table still is so. Under the driver's lock. */
export const hmmRangeValid = ({ name, state }: HmmRange, seq: number): Effect.Effect<boolean> =>
  step("hmm_range_valid", [name, seq], () => state.valid && state.seq === seq)
