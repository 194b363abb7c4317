/**
 * The part of Linux 2.6.24 that the mmu notifiers of February 2008 hook into: one process that maps one file, shared and
 * for writing. Its locks are those of the time: `mmap_sem`, `i_mmap_lock` (a spinlock), the page table's lock, and the
 * page lock. TLBs are left out: nothing in this design depends on them.
 */
import type * as Effect from "effect/Effect"
import { type Cell, cell, guardedStep, type Struct, self, struct } from "../../../checker/program/index.ts"
import {
  type Content,
  type Folios,
  type Frame,
  folioAlloc,
  folioOf,
  folioPut,
  folios,
  isLive,
  zeroes,
} from "../../mm/folio.ts"
import { type Pte, present } from "../../mm/pte.ts"
import { at } from "../../mm/range.ts"
import { type RwSem, rwSem } from "../../sync/rwsem.ts"
import { isFree, type SpinLock, spinLock } from "../../sync/spinlock.ts"
import { type NotifierList, notifierList } from "./list.ts"
import type { MmuNotifier } from "./mmuNotifier.ts"
import type { RmapNotifier } from "./rmapNotifier.ts"

/** The process. */
export interface Mm {
  readonly pages: number
  /** `mm_users` */
  readonly state: Struct<{ users: number }>
  readonly mmapSem: RwSem
  /** Whether there is an area, by page: it maps the file's page of the same number. */
  readonly vma: ReadonlyArray<Cell<boolean>>
  readonly pte: ReadonlyArray<Cell<Pte>>
  readonly ptl: SpinLock
}

/** The file. */
export interface File {
  readonly state: Struct<{ size: number }>
  readonly cache: ReadonlyArray<Cell<Frame | null>>
  readonly disk: ReadonlyArray<Cell<Content>>
  /** `mapping_cap_account_dirty`: a first store to a clean page takes a fault, and `page_mkclean` makes it so again. */
  readonly accountsDirty: boolean
  readonly iMmapLock: SpinLock
}

/** The machine. */
export interface Machine {
  readonly folios: Folios
  readonly mm: Mm
  readonly file: File
  /** `PageRmapExternal`, by page frame: something outside of the kernel may map the page. */
  readonly rmapExternal: ReadonlyArray<Cell<boolean>>
  /** Fibers inside `rcu_read_lock`, and inside `srcu_read_lock`. */
  readonly readers: Struct<{ rcu: ReadonlyArray<string>; srcu: ReadonlyArray<string> }>
  /** Fibers that have called `schedule`. */
  readonly sleeping: Struct<{ names: ReadonlyArray<string> }>
  /** `mm->mmu_notifier.head` */
  readonly mmuNotifiers: NotifierList<MmuNotifier>
  /** `mmu_rmap_notifier_list`, which belongs to no process. */
  readonly rmapNotifiers: NotifierList<RmapNotifier>
}

const nobody: ReadonlyArray<string> = []

/** Makes a machine whose process maps the whole file, and has accessed all of it. */
export const machine = (pages: number, accountsDirty: boolean): Machine => {
  const numbers = Array.from({ length: pages }, (_, index) => index)
  const made: Machine = {
    folios: folios(pages, ["file"]),
    mm: {
      pages,
      state: struct("mm", { users: 1 }),
      mmapSem: rwSem("mmap_sem"),
      vma: numbers.map((va) => cell(`vma${va}`, true)),
      pte: numbers.map((va) => cell<Pte>(`pte${va}`, null)),
      ptl: spinLock("ptl"),
    },
    file: {
      state: struct("file", { size: pages }),
      cache: numbers.map((index) => cell<Frame | null>(`file.cache${index}`, null)),
      disk: numbers.map((index) => cell<Content>(`file.disk${index}`, zeroes)),
      accountsDirty,
      iMmapLock: spinLock("i_mmap_lock"),
    },
    rmapExternal: numbers.map((pfn) => cell(`PageRmapExternal${pfn}`, false)),
    readers: struct("readers", { rcu: nobody, srcu: nobody }),
    sleeping: struct("sleeping", { names: nobody }),
    mmuNotifiers: notifierList("mm.mmu_notifier"),
    rmapNotifiers: notifierList("mmu_rmap_notifier_list"),
  }
  for (const va of numbers) handleFault(made, va, false)
  return made
}

/** `put_page`: one that goes takes its flags along. Within a step. */
export const putPage = ({ folios, rmapExternal }: Machine, frame: Frame): void => {
  folioPut(folios, frame)
  if (!isLive(folios, frame)) at(rmapExternal, frame.pfn).value = false
}

/** Whether the process has ended. Within a step or guard. */
export const isGone = ({ state }: Mm): boolean => state.users <= 0

/** A device's use of the process is over (`mmput`, not the last one: the process waits for it). Within a step. */
export const dropUser = ({ mm }: Machine): void => {
  mm.state.users--
}

/** `lock_page`, with a reference: waits until it is free. */
export const lockPage = ({ folios }: Machine, frame: Frame): Effect.Effect<void> =>
  guardedStep(
    "lock_page",
    [frame.pfn],
    () => folios.arena.slots[frame.pfn]?.lock === "",
    () => {
      folioOf(folios, frame).lock = self()
    },
  )

/** The page that an entry maps, for writing if need be; `null` where a fault is needed. Within a step. */
export const mappedFor = ({ mm }: Machine, va: number, write: boolean): Frame | null => {
  const pte = at(mm.pte, va).value
  return pte?.kind === "present" && (!write || pte.access === "write") ? pte.page : null
}

/** `handle_mm_fault`. Within a step, as one that locks the page and the page table. */
const handleFault = (of: Machine, va: number, write: boolean): Frame | "-EFAULT" | "-ENOMEM" => {
  const { mm, file } = of
  if (!at(mm.vma, va).value || va >= file.state.size) return "-EFAULT"
  const cached = at(file.cache, va)
  const frame = cached.value ?? folioAlloc(of.folios, "file")
  if (frame === null) return "-ENOMEM"
  const folio = folioOf(of.folios, frame)
  if (cached.value === null) {
    cached.value = frame
    folio.content = at(file.disk, va).value
  }
  const pte = at(mm.pte, va)
  if (pte.value === null) {
    folio.refcount++
    folio.mapcount++
  }
  // vma_wants_writenotify: where nobody accounts for dirty pages, the first load makes an entry for stores too.
  pte.value = present(frame, write || !file.accountsDirty ? "write" : "read", { dirty: write, young: true })
  if (write) folio.dirty = true
  return frame
}

/**
 * `follow_page`, and the fault where it finds nothing, `mmap_sem` held for read meanwhile. A device is no thread of the
 * process: where this finds a page it is a user of the process (`get_task_mm`), which cannot end until `dropUser`.
 *
 * @param get whether the caller wants a reference to the page (FOLL_GET)
 */
export const getUserPages = (
  of: Machine,
  va: number,
  write: boolean,
  get: boolean,
): Effect.Effect<Frame | "-EFAULT" | "-ENOMEM"> =>
  guardedStep(
    "get_user_pages",
    [va, write ? "write" : "read"],
    () => {
      const cached = at(of.file.cache, va).value
      const canFault = cached === null || folioOf(of.folios, cached).lock === ""
      return of.mm.mmapSem.state.writer === "" && isFree(of.mm.ptl) && (canFault || mappedFor(of, va, write) !== null)
    },
    () => {
      if (isGone(of.mm)) return "-EFAULT"
      const frame = mappedFor(of, va, write) ?? handleFault(of, va, write)
      if (typeof frame === "string") return frame
      if (get) folioOf(of.folios, frame).refcount++
      of.mm.state.users++
      return frame
    },
  )
