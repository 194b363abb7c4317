/** Address spaces (include/linux/mm_types.h: struct mm_struct). */
import type * as Effect from "effect/Effect"
import { type Cell, cell, guardedStep, type Struct, self, step, struct } from "../../checker/program/index.ts"
import { type NotifierSubscriptions, notifierSubscriptions } from "../notifier/interval.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { downgradeWrite, downRead, downWrite, type RwSem, rwSem, tryDownRead, upRead } from "../sync/rwsem.ts"
import { type FairRwSem, fairRwSem } from "../sync/rwsemFair.ts"
import { type SpinLock, spinLock } from "../sync/spinlock.ts"
import type { Pte } from "./pte.ts"
import { at, pagesOf, type Range } from "./range.ts"
import type { MmContext } from "./switch.ts"
import type { System } from "./system.ts"
import { type SecondaryTlb, type Tlb, tlb } from "./tlb.ts"
import type { Userfaultfd } from "./userfaultfd.ts"
import type { Vma } from "./vma.ts"

/** A page table: the entry of the upper level that points to it, its lives, its lock. */
export interface PageTable {
  readonly state: Struct<{
    /** Whether the upper level (pmd) points to it. */
    linked: boolean
    /** Whether its memory is a page table's. */
    live: boolean
    /** Counts its lives: what a walker without locks holds may belong to an earlier one. */
    generation: number
    /** Earlier lives that are over, but whose memory stays a page table's, an empty one, for those inside (pte_free_defer). */
    deferred: ReadonlyArray<number>
  }>
  /** The lock of its entries. */
  readonly lock: SpinLock
}

/** What faults and others in an area of hugetlbfs go by, besides the page tables' locks. */
export interface HugetlbLocks {
  /** `hugetlb_vma_lock_read`, `hugetlb_vma_lock_write`: `resv_map->rw_sema`, of a private area. */
  readonly vmaLock: FairRwSem
  /** `hugetlb_fault_mutex_table`, by huge page: no two of them share one here. */
  readonly faultMutexes: ReadonlyArray<Mutex>
}

/** An address space of `pages` pages, addressed by their number `va`. */
export interface Mm {
  readonly name: string
  readonly pages: number
  readonly system: System
  readonly mmapLock: RwSem
  readonly vma: ReadonlyArray<Cell<Vma | null>>
  /** The per-VMA lock, by page: those who handle a fault there, and whether a writer of `mmap_lock` has locked it. */
  readonly vmaLock: ReadonlyArray<Struct<{ readers: ReadonlyArray<string>; writer: boolean }>>
  readonly tables: ReadonlyArray<PageTable>
  readonly pte: ReadonlyArray<Cell<Pte>>
  /**
   * Of each page table, whether its entries are one huge entry of the upper level, the table itself being kept for when that is
   * split (`pmd_trans_huge`, or a huge entry that is not present). None where there are no huge pages.
   */
  readonly huge: ReadonlyArray<Cell<boolean>>
  /** The locks of its area of hugetlbfs, of which it has one at most; `null` where the system has no hugetlbfs. */
  readonly hugetlb: HugetlbLocks | null
  readonly state: Struct<{
    /** `mm_users`: whether anybody runs in it. */
    users: number
    /** MMF_UNSTABLE: the OOM reaper has begun; nothing anonymous is mapped any more. */
    unstable: boolean
    /** MMF_OOM_SKIP */
    oomSkip: boolean
    /** MMF_HAS_PINNED: some page of it has been pinned. */
    hasPinned: boolean
    /** `write_protect_seq`: odd while fork copies the page tables. */
    writeProtectSeq: number
    /** Who has cleared entries and still owes the flush of the TLBs (`tlb_flush_pending` counts them). */
    gathers: ReadonlyArray<string>
    /** `tlb_flush_batched`: pages whose entries were cleared with the flush put off, since it was last made sure of. */
    flushBatched: ReadonlyArray<number>
    /** Who walks the page tables without locks, interrupts off. */
    walkers: ReadonlyArray<string>
    /** Who takes page tables away with no more than a read lock (khugepaged): the end of the address space waits for them. */
    collapsers: ReadonlyArray<string>
  }>
  /** MM_ANONPAGES, MM_FILEPAGES and MM_SHMEMPAGES together, MM_SWAPENTS: in pages. */
  readonly rss: Struct<{ anon: number; file: number; swap: number }>
  /** One TLB per CPU that runs the process. */
  readonly tlbs: ReadonlyMap<string, Tlb>
  /** Those of the devices that are bound to it, by name. */
  readonly secondaryTlbs: Map<string, SecondaryTlb>
  /** Which CPUs have it loaded, where they come and go; without it, all of them, always. */
  context: MmContext | null
  /** Who is told of what is missing in its registered areas; one at most. */
  userfaultfd: Userfaultfd | null
  readonly subscriptions: NotifierSubscriptions
}

/** Makes an address space with nothing mapped. One that is for a child of fork has no users yet. */
export const addressSpace = (
  of: System,
  name: string,
  pages: number,
  cpus: ReadonlyArray<string>,
  users: 0 | 1 = 1,
): Mm => {
  const all = pagesOf({ start: 0, end: pages })
  const none: ReadonlyArray<string> = []
  const noPages: ReadonlyArray<number> = []
  // Where there already is a page table no huge page is mapped.
  const linked = users === 1 && !of.thp
  const tables = Array.from({ length: Math.ceil(pages / of.pagesPerTable) }, (_, i) => ({
    state: struct(`${name}.table${i}`, { linked, live: linked, generation: 0, deferred: noPages }),
    lock: spinLock(`${name}.ptl${i}`, "pte_lock"),
  }))
  const mm: Mm = {
    name,
    pages,
    system: of,
    mmapLock: rwSem(`${name}.mmap_lock`, "mmap_lock"),
    vma: all.map((va) => cell<Vma | null>(`${name}.vma${va}`, null)),
    vmaLock: all.map((va) => struct(`${name}.vma_lock${va}`, { readers: none, writer: false })),
    tables,
    pte: all.map((va) => cell<Pte>(`${name}.pte${va}`, null)),
    huge: of.thp ? tables.map((_, i) => cell(`${name}.pmd${i}`, false)) : [],
    hugetlb: of.hugetlb
      ? {
          vmaLock: fairRwSem(`${name}.hugetlb_vma_lock`, "hugetlb_vma_lock"),
          faultMutexes: tables.map((_, i) => mutex(`${name}.hugetlb_fault_mutex${i}`, "hugetlb_fault_mutex")),
        }
      : null,
    state: struct(name, {
      users,
      unstable: false,
      oomSkip: false,
      hasPinned: false,
      writeProtectSeq: 0,
      gathers: none,
      flushBatched: noPages,
      walkers: none,
      collapsers: none,
    }),
    rss: struct(`${name}.rss`, { anon: 0, file: 0, swap: 0 }),
    tlbs: new Map(cpus.map((cpu) => [cpu, tlb(`${name}.${cpu}`, all)])),
    secondaryTlbs: new Map(),
    context: null,
    userfaultfd: null,
    subscriptions: notifierSubscriptions(name),
  }
  of.mms.set(name, mm)
  return mm
}

/** The page table that a page's entry lies in. */
export const tableOf = (mm: Mm, va: number): PageTable => {
  const table = mm.tables[Math.floor(va / mm.system.pagesPerTable)]
  if (table === undefined) throw new RangeError(`there is no page ${va}`)
  return table
}

/** `ptl`: the lock of a page's entry. */
export const pageTableLock = (mm: Mm, va: number): SpinLock => tableOf(mm, va).lock

/** Whether there is a page table for the page (`!pmd_none`). */
export const hasTable = (mm: Mm, va: number): boolean => tableOf(mm, va).state.linked

/** Whether the entry of a page is a piece of a huge one. Within a step. */
export const isHuge = (mm: Mm, va: number): boolean => mm.huge[Math.floor(va / mm.system.pagesPerTable)]?.value === true

/** The pages that the page table of a page covers, or a huge entry in its place. */
export const spanOf = ({ system: { pagesPerTable }, pages }: Mm, va: number): Range => {
  const start = va - (va % pagesPerTable)
  return { start, end: Math.min(start + pagesPerTable, pages) }
}

/** Whether the memory of that life of a page table is a page table's still. Within a step or property. */
export const isTable = ({ state }: PageTable, generation: number): boolean =>
  (state.live && state.generation === generation) || state.deferred.includes(generation)

/** `mmap_read_lock` */
export const mmapReadLock = (mm: Mm): Effect.Effect<void> => downRead(mm.mmapLock, "mmap_read_lock", [mm.name])
/** `mmap_read_trylock` */
export const mmapReadTrylock = (mm: Mm): Effect.Effect<boolean> =>
  tryDownRead(mm.mmapLock, "mmap_read_trylock", [mm.name])
/** `mmap_read_unlock` */
export const mmapReadUnlock = (mm: Mm): Effect.Effect<void> => upRead(mm.mmapLock, "mmap_read_unlock", [mm.name])
/** `mmap_write_lock` */
export const mmapWriteLock = (mm: Mm): Effect.Effect<void> => downWrite(mm.mmapLock, "mmap_write_lock", [mm.name])
/** `mmap_write_unlock`, which ends the write locks of all VMAs. */
export const mmapWriteUnlock = (mm: Mm): Effect.Effect<void> =>
  step("mmap_write_unlock", [mm.name], () => {
    vmaEndWriteAll(mm)
    mm.mmapLock.state.writer = ""
  })
/** `mmap_write_downgrade`, which ends the write locks of all VMAs. */
export const mmapWriteDowngrade = (mm: Mm): Effect.Effect<void> =>
  downgradeWrite(mm.mmapLock, "mmap_write_downgrade", [mm.name], () => vmaEndWriteAll(mm))

const vmaEndWriteAll = (mm: Mm): void => {
  for (const lock of mm.vmaLock) lock.writer = false
}

/**
 * `vma_start_write` of the areas in a range: waits for the faults that are being handled there; no more begin until
 * `mmap_lock` is given back.
 */
export const vmaStartWrite = (mm: Mm, range: Range): Effect.Effect<void> =>
  guardedStep(
    "vma_start_write",
    [mm.name, range.start, range.end],
    () => canStartWrite(mm, range),
    () => writeLockVmas(mm, range),
    {
      on: "the locks of areas",
      kind: "vma_lock",
      sleeps: true,
      hindrances: () =>
        pagesOf(range).flatMap((va) => vmaLockOf(mm, va).readers.map((fiber) => ({ fiber, how: "holds for reading" }))),
    },
  )

/**
 * The write lock of the areas in a range, of which no fault is being handled: areas that are new have it from the
 * beginning (`vma_link`), so that no fault is handled there either until `mmap_lock` is given back. Within a step.
 */
export const writeLockVmas = (mm: Mm, range: Range): void => {
  for (const va of pagesOf(range)) vmaLockOf(mm, va).writer = true
}

/** Whether no fault is being handled in a range. Within a step or guard. */
export const canStartWrite = (mm: Mm, range: Range): boolean =>
  pagesOf(range).every((va) => vmaLockOf(mm, va).readers.length === 0)

/** The per-VMA lock of a page. */
export const vmaLockOf = (mm: Mm, va: number): Mm["vmaLock"][number] => at(mm.vmaLock, va)

/** `vma_end_read` */
export const vmaEndRead = (mm: Mm, va: number): Effect.Effect<void> =>
  step("vma_end_read", [mm.name, va], () => {
    const lock = vmaLockOf(mm, va)
    lock.readers = lock.readers.filter((reader) => reader !== self())
  })

/** `vma_lookup`: the VMA of a page; `null` where there is none, and beyond the address space. Within a step. */
export const findVma = (mm: Mm, va: number): Vma | null => {
  const vma = mm.vma[va]?.value ?? null
  return vma?.detached === true ? null : vma
}

/** Changes what is said of the pages in a range that have a VMA. Within a step. */
export const changeVmas = (mm: Mm, range: Range, change: (vma: Vma) => Vma | null): void => {
  for (const va of pagesOf(range)) {
    const vma = at(mm.vma, va)
    if (vma.value !== null) vma.value = change(vma.value)
  }
}
