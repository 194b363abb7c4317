/**
 * An address space as small as today's mmu notifiers need it: one area that maps a file privately, pages that are there
 * until somebody takes them away, and the locks under which that is announced: the area's (madvise), the file's
 * (truncation), the anonymous area's (reclaim), and `mmap_lock` for reading (the OOM reaper).
 */
import * as Effect from "effect/Effect"
import { type Cell, cell, checkpoint, guardedStep, type Struct, step, struct } from "../../checker/program/index.ts"
import { type Folios, type Frame, folioAlloc, folioPut, folios } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { downRead, type RwSem, rwSem, tryDownRead, upRead } from "../sync/rwsem.ts"
import type { Srcu } from "../sync/srcu.ts"
import { type NotifierCaller, type NotifierEvent, type NotifierRange, notifierRange } from "./events.ts"
import { __mmuNotifierRelease, listed, type MmuSubscriptions, mmuSubscriptions } from "./mmuNotifier.ts"
import { clearFlushYoung, invalidateRangeEnd, invalidateRangeStart } from "./mmuNotifierRange.ts"

/** An address space with its notifiers. */
export interface NotifiedMm {
  readonly name: string
  readonly pages: number
  /** `mm_users` and `mm_count`, of which all users together have one; and whether exit has come to freeing pages. */
  readonly state: Struct<{ users: number; count: number; exiting: boolean }>
  readonly mmapLock: RwSem
  readonly vmaLock: RwSem
  readonly iMmapRwsem: RwSem
  readonly anonVmaRwsem: RwSem
  /** `mm_all_locks_mutex`, of all address spaces. */
  readonly allLocksMutex: Mutex
  /** Whether who takes all locks may be interrupted by a signal. */
  readonly signals: boolean
  readonly folios: Folios
  readonly pte: ReadonlyArray<Cell<Frame | null>>
  /** The accessed bits of the page table. */
  readonly young: ReadonlyArray<Cell<boolean>>
  readonly subs: MmuSubscriptions
}

/** Makes an address space whose pages are all there. */
export const notifiedMm = (
  name: string,
  pages: number,
  users: number,
  srcu: Srcu,
  { signals = false }: { readonly signals?: boolean } = {},
): NotifiedMm => {
  const all = folios(pages, [name])
  const whole = pagesOf({ start: 0, end: pages })
  return {
    name,
    pages,
    state: struct(name, { users, count: 1, exiting: false }),
    mmapLock: rwSem(`${name}.mmap_lock`),
    vmaLock: rwSem(`${name}.vma`),
    iMmapRwsem: rwSem("i_mmap_rwsem"),
    anonVmaRwsem: rwSem("anon_vma.rwsem"),
    allLocksMutex: mutex("mm_all_locks_mutex"),
    signals,
    folios: all,
    pte: whole.map((va) => cell<Frame | null>(`${name}.pte${va}`, folioAlloc(all, name))),
    young: whole.map((va) => cell(`${name}.young${va}`, false)),
    subs: mmuSubscriptions(name, srcu),
  }
}

/** `zap_pte_range`: takes the pages of a range away and frees them. */
const zap = (mm: NotifiedMm, range: Range): Effect.Effect<void> =>
  step("zap_pte_range", [mm.name, range.start, range.end], () => {
    for (const va of pagesOf(range)) {
      const pte = at(mm.pte, va)
      if (pte.value !== null) folioPut(mm.folios, pte.value)
      pte.value = null
    }
  })

/** What is done between a start and an end, under a lock that keeps `register` away. */
const invalidates = (lock: (mm: NotifiedMm) => RwSem, lockName: string, event: NotifierEvent, by: NotifierCaller) =>
  Effect.fnUntraced(function* (mm: NotifiedMm, pages: Range) {
    const range = notifierRange(event, by, pages)
    yield* downRead(lock(mm), `${lockName}_lock_read`, [mm.name])
    yield* invalidateRangeStart(mm, range)
    yield* zap(mm, pages)
    yield* invalidateRangeEnd(mm, range)
    yield* upRead(lock(mm), `${lockName}_unlock_read`, [mm.name])
  })

/** `madvise(MADV_DONTNEED)`, under the lock of the area alone. */
export const madviseDontneed = invalidates(({ vmaLock }) => vmaLock, "vma", "CLEAR", "zap_page_range_single")

/** A truncation of the file. */
export const truncate = invalidates(({ iMmapRwsem }) => iMmapRwsem, "i_mmap", "CLEAR", "unmap_mapping_range")

/** Reclaim: `try_to_unmap_one` of a page that nobody wants back. */
export const reclaim = invalidates(({ anonVmaRwsem }) => anonVmaRwsem, "anon_vma", "CLEAR", "try_to_unmap_one")

/** `oom_reap_task`: takes the pages away without sleeping in callbacks, and tries again when one refuses. */
export const oomReapTask = Effect.fnUntraced(function* (mm: NotifiedMm, attempts: number) {
  const range: NotifierRange = {
    ...notifierRange("CLEAR", "__oom_reap_task_mm", { start: 0, end: mm.pages }),
    blockable: false,
  }
  for (let attempt = 0; attempt < attempts; attempt++) {
    yield* checkpoint("oom_reap_task", attempt)
    if (!(yield* tryDownRead(mm.mmapLock, "mmap_read_trylock", [mm.name]))) continue
    const started = yield* invalidateRangeStart(mm, range)
    if (started) {
      yield* zap(mm, range)
      yield* invalidateRangeEnd(mm, range)
    } else yield* step("__oom_reap_task_mm: -EAGAIN", [mm.name], () => undefined)
    yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
    if (started) return true
  }
  return false
})

/** `folio_referenced_one`: whether the process or a device used the page; the page table is asked first. */
export const folioReferenced = Effect.fnUntraced(function* (mm: NotifiedMm, va: number) {
  const young = yield* step("ptep_test_and_clear_young", [mm.name, va], () => {
    const bit = at(mm.young, va)
    const was = bit.value
    bit.value = false
    return was
  })
  const secondary = yield* clearFlushYoung(mm, va)
  return yield* step("folio_referenced_one", [mm.name, va], () => young || secondary)
})

/** `mmget_not_zero`: becomes a user, unless exit has begun. */
export const mmgetNotZero = (mm: NotifiedMm): Effect.Effect<boolean> =>
  step("mmget_not_zero", [mm.name], () => {
    if (mm.state.users > 0) mm.state.users++
    return mm.state.users > 0
  })

/** `mmput`: the last user takes the address space down. */
export const mmput = Effect.fnUntraced(function* (mm: NotifiedMm) {
  const last = yield* step("mmput", [mm.name], () => {
    mm.state.users--
    return mm.state.users === 0
  })
  if (last) yield* exitMmap(mm)
})

/** `exit_mmap` and the `mmdrop` behind it. */
const exitMmap = Effect.fnUntraced(function* (mm: NotifiedMm) {
  const whole = { start: 0, end: mm.pages }
  const range = notifierRange("UNMAP", "unmap_vmas", whole)
  yield* __mmuNotifierRelease(mm)
  yield* invalidateRangeStart(mm, range)
  yield* step("unmap_vmas", [mm.name], () => {
    mm.state.exiting = true
  })
  yield* zap(mm, whole)
  yield* invalidateRangeEnd(mm, range)
  yield* mmdrop(mm)
})

/** `mmdrop`: with the last reference the subscriptions go, which must have none on their list. */
export const mmdrop = (mm: NotifiedMm): Effect.Effect<boolean> =>
  step("mmdrop", [mm.name], () => {
    mm.state.count--
    return mm.state.count === 0 && listed(mm.subs).length > 0
  })

/** `get_user_pages`, of a page that is there: what the page table maps. */
export const getUserPage = (mm: NotifiedMm, va: number): Effect.Effect<Frame | null> =>
  guardedStep(
    "get_user_pages",
    [mm.name, va],
    () => mm.mmapLock.state.writer === "",
    () => {
      at(mm.young, va).value = true
      return at(mm.pte, va).value
    },
  )
