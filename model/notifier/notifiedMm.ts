/**
 * An address space as small as today's mmu notifiers need it: one area that maps a file privately, pages that are there
 * until somebody takes them away, and the locks under which that is announced: the area's (madvise), the file's
 * (truncation), the anonymous area's (reclaim), and `mmap_lock` for reading (the OOM reaper).
 */
import type * as Effect from "effect/Effect"
import {
  type Cell,
  cell,
  checkpoint,
  enterLoop,
  guardedStep,
  procedure,
  type Struct,
  self,
  step,
  struct,
} from "../../checker/program/index.ts"
import { type Folios, type Frame, folioAlloc, folioPut, folios } from "../mm/folio.ts"
import { at, pagesOf, type Range } from "../mm/range.ts"
import { holding } from "../sync/holding.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { downRead, expectNoWriter, type RwSem, readWait, rwSem, tryDownRead, upRead } from "../sync/rwsem.ts"
import type { Srcu } from "../sync/srcu.ts"
import {
  type NotifierCaller,
  type NotifierEvent,
  type NotifierRange,
  notifierRange,
  notifierRangeOf,
} from "./events.ts"
import { __mmuNotifierRelease, listed, type MmuSubscriptions, mmuSubscriptions } from "./mmuNotifier.ts"
import {
  archInvalidateSecondaryTlbs,
  clearFlushYoung,
  clearYoung,
  invalidateRangeEnd,
  invalidateRangeStart,
  testYoung,
} from "./mmuNotifierRange.ts"

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
  /** The device to which a page is exclusive (a device-exclusive entry in its place), by name; empty if to none. */
  readonly exclusive: ReadonlyArray<Cell<string>>
  /** The lock of the folio at an address: the fiber that holds it, as far as who wants pages exclusively takes it. */
  readonly folioLock: ReadonlyArray<Cell<string>>
  /** Whether some device has a TLB that is to be flushed with those of the CPUs, which are not modelled. */
  readonly secondaryTlbs: boolean
  readonly subs: MmuSubscriptions
}

interface Options {
  readonly signals?: boolean
  readonly secondaryTlbs?: boolean
  /** Pages that nobody has yet. */
  readonly spare?: number
}

/** Makes an address space whose pages are all there. */
export const notifiedMm = (
  name: string,
  pages: number,
  users: number,
  srcu: Srcu,
  { signals = false, secondaryTlbs = false, spare = 0 }: Options = {},
): NotifiedMm => {
  const all = folios(pages + spare, [name])
  const whole = pagesOf({ start: 0, end: pages })
  return {
    name,
    pages,
    state: struct(name, { users, count: 1, exiting: false }),
    mmapLock: rwSem(`${name}.mmap_lock`, "mmap_lock"),
    vmaLock: rwSem(`${name}.vma`, "vma_lock"),
    iMmapRwsem: rwSem("i_mmap_rwsem"),
    anonVmaRwsem: rwSem("anon_vma.rwsem", "anon_vma"),
    allLocksMutex: mutex("mm_all_locks_mutex"),
    signals,
    folios: all,
    pte: whole.map((va) => cell<Frame | null>(`${name}.pte${va}`, folioAlloc(all, name))),
    young: whole.map((va) => cell(`${name}.young${va}`, false)),
    exclusive: whole.map((va) => cell(`${name}.exclusive${va}`, "")),
    folioLock: whole.map((va) => cell(`${name}.folio${va}.lock`, "")),
    secondaryTlbs,
    subs: mmuSubscriptions(name, srcu),
  }
}

/** `zap_pte_range`: takes the pages of a range away, and frees them once no TLB has them. */
const zap = procedure(function* (mm: NotifiedMm, range: Range) {
  const args = [mm.name, range.start, range.end]
  const taken = yield* step("zap_pte_range", args, () => {
    const pages: ReadonlyArray<Frame> = pagesOf(range).flatMap((va) => at(mm.pte, va).value ?? [])
    for (const va of pagesOf(range)) {
      at(mm.pte, va).value = null
      at(mm.exclusive, va).value = ""
    }
    if (mm.secondaryTlbs) return pages
    // Without TLBs nobody can tell when between here and there they are freed.
    for (const page of pages) folioPut(mm.folios, page)
    return []
  })
  if (!mm.secondaryTlbs) return
  yield* archInvalidateSecondaryTlbs(mm, range)
  yield* step("free_pages_and_swap_cache", args, () => {
    for (const page of taken) folioPut(mm.folios, page)
  })
})

/** What is done between a start and an end, under a lock that keeps `register` away. */
const invalidates = (
  lock: (mm: NotifiedMm) => RwSem,
  lockName: string,
  event: NotifierEvent,
  by: NotifierCaller,
  change: (mm: NotifiedMm, pages: Range) => Effect.Effect<void> = zap,
) =>
  procedure(function* (mm: NotifiedMm, pages: Range) {
    const range = notifierRange(event, by, pages)
    yield* downRead(lock(mm), `${lockName}_lock_read`, [mm.name])
    yield* invalidateRangeStart(mm, range)
    yield* change(mm, pages)
    yield* invalidateRangeEnd(mm, range)
    yield* upRead(lock(mm), `${lockName}_unlock_read`, [mm.name])
  })

/** `madvise(MADV_DONTNEED)`, under the lock of the area alone. */
export const madviseDontneed = invalidates(({ vmaLock }) => vmaLock, "vma", "CLEAR", "zap_page_range_single")

/** A truncation of the file. */
export const truncate = invalidates(({ iMmapRwsem }) => iMmapRwsem, "i_mmap", "CLEAR", "unmap_mapping_range")

/** Reclaim: `try_to_unmap_one` of a page that nobody wants back. */
export const reclaim = invalidates(({ anonVmaRwsem }) => anonVmaRwsem, "anon_vma", "CLEAR", "try_to_unmap_one")

/** Writeback: `page_mkclean_one`, which leaves the page where it is; what a device may do to it is not modelled. */
export const pageMkclean = invalidates(
  ({ iMmapRwsem }) => iMmapRwsem,
  "i_mmap",
  "PROTECTION_PAGE",
  "page_mkclean_one",
  (mm, { start, end }) => step("page_mkclean_one", [mm.name, start, end], () => undefined),
)

/** How a range is announced and what is there taken away. */
interface Announced {
  readonly start: (mm: NotifiedMm, range: NotifierRange) => Effect.Effect<boolean>
  readonly zap: (mm: NotifiedMm, range: Range) => Effect.Effect<void>
  readonly end: (mm: NotifiedMm, range: NotifierRange) => Effect.Effect<void>
}

/** `oom_reap_task`: takes the pages away without sleeping in callbacks, and tries again when one refuses. */
export const oomReapTaskBy = ({ start, zap, end }: Announced) =>
  procedure(function* (mm: NotifiedMm, attempts: number) {
    const whole = { start: 0, end: mm.pages }
    const range: NotifierRange = { ...notifierRange("CLEAR", "__oom_reap_task_mm", whole), blockable: false }
    for (let attempt = 0; attempt < attempts; attempt++) {
      yield* checkpoint("oom_reap_task", attempt)
      if (!(yield* tryDownRead(mm.mmapLock, "mmap_read_trylock", [mm.name]))) continue
      const started = yield* start(mm, range)
      if (started) {
        yield* zap(mm, range)
        yield* end(mm, range)
      } else yield* step("__oom_reap_task_mm: -EAGAIN", [mm.name], () => undefined)
      yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
      if (started) return true
    }
    return false
  })

export const oomReapTask = oomReapTaskBy({ start: invalidateRangeStart, zap, end: invalidateRangeEnd })

/** `folio_referenced_one`: whether the process or a device used the page; the page table is asked first. */
export const folioReferenced = procedure(function* (mm: NotifiedMm, va: number) {
  const young = yield* ptepTestAndClearYoung(mm, va)
  const secondary = yield* clearFlushYoung(mm, va)
  return yield* step("folio_referenced_one", [mm.name, va], () => young || secondary)
})

const ptepTestAndClearYoung = (mm: NotifiedMm, va: number): Effect.Effect<boolean> =>
  step("ptep_test_and_clear_young", [mm.name, va], () => {
    const bit = at(mm.young, va)
    const was = bit.value
    bit.value = false
    return was
  })

/** `damon_ptep_mkold`: from here on it counts whether somebody uses the page. */
export const damonPtepMkold = procedure(function* (mm: NotifiedMm, va: number) {
  const young = yield* ptepTestAndClearYoung(mm, va)
  const secondary = yield* clearYoung(mm, va)
  return yield* step("damon_ptep_mkold", [mm.name, va], () => young || secondary)
})

/** `damon_young_pmd_entry`: whether somebody has. */
export const damonYoung = procedure(function* (mm: NotifiedMm, va: number) {
  const young = (yield* step("pte_young", [mm.name, va], () => at(mm.young, va).value)) || (yield* testYoung(mm, va))
  return yield* step("damon_young_pmd_entry", [mm.name, va], () => young)
})

/** `mmget_not_zero`: becomes a user, unless exit has begun. */
export const mmgetNotZero = (mm: NotifiedMm): Effect.Effect<boolean> =>
  step("mmget_not_zero", [mm.name], () => {
    if (mm.state.users > 0) mm.state.users++
    return mm.state.users > 0
  })

/** `mmput`: the last user takes the address space down. */
export const mmput = procedure(function* (mm: NotifiedMm) {
  const last = yield* step("mmput", [mm.name], () => {
    mm.state.users--
    return mm.state.users === 0
  })
  if (last) yield* exitMmap(mm)
})

/** `exit_mmap` and the `mmdrop` behind it. */
const exitMmap = procedure(function* (mm: NotifiedMm) {
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

/**
 * `get_user_pages`, of a page that is there: what the page table maps. A page that is exclusive to a device is got back
 * first.
 */
export const getUserPage = procedure(function* (mm: NotifiedMm, va: number) {
  const head = yield* enterLoop("get_user_pages")
  for (;;) {
    yield* head()
    const found = yield* guardedStep(
      "get_user_pages",
      [mm.name, va],
      () => mm.mmapLock.state.writer === "",
      () => {
        expectNoWriter(mm.mmapLock)
        if (at(mm.exclusive, va).value !== "") return "exclusive"
        at(mm.young, va).value = true
        return at(mm.pte, va).value
      },
      readWait(mm.mmapLock),
    )
    if (found !== "exclusive") return found
    yield* removeDeviceExclusiveEntry(mm, va)
  }
})

/** `remove_device_exclusive_entry`, on a fault of somebody else: every device drops the page, and then it is as it was. */
const removeDeviceExclusiveEntry = procedure(function* (mm: NotifiedMm, va: number) {
  const range = notifierRange("CLEAR", "remove_device_exclusive_entry", { start: va, end: va + 1 })
  yield* downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
  yield* folioLock(mm, va)
  yield* invalidateRangeStart(mm, range)
  yield* step("restore_exclusive_pte", [mm.name, va], () => {
    at(mm.exclusive, va).value = ""
  })
  yield* folioUnlock(mm, va)
  yield* invalidateRangeEnd(mm, range)
  yield* upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
})

/** `folio_lock` */
const folioLock = (mm: NotifiedMm, va: number): Effect.Effect<void> =>
  guardedStep(
    "folio_lock",
    [mm.name, va],
    () => at(mm.folioLock, va).value === "",
    () => {
      at(mm.folioLock, va).value = self()
    },
    {
      on: `the lock of folio ${va}`,
      kind: "folio_lock",
      sleeps: true,
      hindrances: () => holding(at(mm.folioLock, va).value),
    },
  )

/** `folio_unlock` */
export const folioUnlock = (mm: NotifiedMm, va: number): Effect.Effect<void> =>
  step("folio_unlock", [mm.name, va], () => {
    at(mm.folioLock, va).value = ""
  })

/**
 * `make_device_exclusive`: leaves a device-exclusive entry where the page is, so that whoever else wants it asks for it.
 * With `mmap_lock` held for reading. The folio stays locked if there is one: the caller unlocks it when the device has it.
 *
 * @param owner the device, which may ignore the event
 */
export const makeDeviceExclusive = procedure(function* (mm: NotifiedMm, va: number, owner: string) {
  const range = notifierRangeOf(owner, "EXCLUSIVE", "make_device_exclusive", { start: va, end: va + 1 })
  yield* folioLock(mm, va)
  yield* invalidateRangeStart(mm, range)
  const page = yield* step("make_device_exclusive", [mm.name, va, owner], () => {
    const found = at(mm.pte, va).value
    if (found !== null) at(mm.exclusive, va).value = owner
    return found
  })
  yield* invalidateRangeEnd(mm, range)
  if (page === null) yield* folioUnlock(mm, va)
  return page
})

/**
 * `migrate_vma_setup`: takes a page out of the page table, for a device that moves it to memory of its own. With
 * `mmap_lock` held for reading.
 *
 * @param owner the device, which may ignore the event
 */
export const migrateVmaSetup = procedure(function* (mm: NotifiedMm, va: number, owner: string) {
  const range = notifierRangeOf(owner, "MIGRATE", "migrate_vma_collect", { start: va, end: va + 1 })
  yield* invalidateRangeStart(mm, range)
  const page = yield* step("migrate_vma_collect_pmd", [mm.name, va], () => {
    const pte = at(mm.pte, va)
    const found = pte.value
    pte.value = null
    return found
  })
  yield* invalidateRangeEnd(mm, range)
  return page
})
