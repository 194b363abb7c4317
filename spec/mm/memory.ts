/**
 * What the processes have stored, and may therefore expect to find: recorded from outside, in the same instant as the
 * steps. The value of memory as its users see it, against which the model's pages, caches and disks are held.
 */
import { type Cell, cell, type Monitor, type Plain, type Taken } from "../../checker/index.ts"
import { contentInFile, type Inode } from "../../model/file/inode.ts"
import { flushed as flushedFirst } from "../../model/mm/batchedFlush.ts"
import { type Content, type Frame, folioOf, zeroes } from "../../model/mm/folio.ts"
import { type Mm, pageTableLock } from "../../model/mm/mm.ts"
import { isRmapped, rmappedPage } from "../../model/mm/pte.ts"
import { at, pagesOf } from "../../model/mm/range.ts"
import { isAnon, mmOf } from "../../model/mm/rmap.ts"
import type { System } from "../../model/mm/system.ts"
import type { Vma } from "../../model/mm/vma.ts"
import { isFree } from "../../model/sync/spinlock.ts"
import type { Holders } from "./holders.ts"

/** Nothing is promised: the page was given up, and others may have stored there at the same time. */
export const anything = "?"

/** What is to be found: what was stored, `anything`, or, `null`, what lies behind: the file, or zeroes. */
export type Expected = Content | null

type Move = { readonly from: number; readonly to: number; readonly moved: boolean }

/** The record. */
export interface Memory {
  /** Says what is at a page when the race begins. Within a step. */
  readonly expect: (mm: Mm, va: number, content: Content) => void
  /** What a process may expect at a page; `anything` too. Within a step or property. */
  readonly expected: (mm: Mm, va: number) => Content
  /** Likewise of a page of a file. */
  readonly expectedInFile: (file: Inode, index: number) => Content
  readonly monitors: ReadonlyArray<Monitor>
}

const missing = (mm: string): never => {
  throw new RangeError(`there is no process ${mm}`)
}

/** Makes the record. */
export const recordMemory = (system: System, mms: ReadonlyArray<Mm>, holders: Holders): Memory => {
  const cells = new Map(
    mms.map((mm) => [mm.name, mm.vma.map((_, va) => cell<Expected>(`memory.${mm.name}${va}`, null))]),
  )
  const inFile = new Map(
    [...system.inodes.values()].map((file) => [
      file.name,
      file.disk.map((disk, index) => cell<Content>(`memory.${file.name}${index}`, disk.value)),
    ]),
  )
  /** Who has taken pages from under running threads, and not yet flushed: what is stored there now may be lost. */
  const racing = new Map(
    mms.map((mm) => [mm.name, mm.vma.map((_, va) => cell<ReadonlyArray<string>>(`racing.${mm.name}${va}`, []))]),
  )
  /** A move under way: until the old translations are flushed, what is stored at the old place is to be found at the new one. */
  const moves = new Map(mms.map((mm) => [mm.name, cell<Move | null>(`memory.moving.${mm.name}`, null)]))
  /** The fork under way has failed: there will be no child to expect anything. */
  const incomplete = cell("memory.incomplete", false)

  const own = (mm: string, va: number): Cell<Expected> => at(cells.get(mm) ?? [], va)
  const moving = (mm: string): Cell<Move | null> => moves.get(mm) ?? missing(mm)
  const racers = (mm: string, va: number): Cell<ReadonlyArray<string>> => at(racing.get(mm) ?? [], va)
  const filed = (file: string, index: number): Cell<Content> => at(inFile.get(file) ?? [], index)

  const storedInFile = (file: string, index: number, content: Content) => {
    const there = filed(file, index)
    if (there.value !== anything) there.value = content
  }
  const stored = (mmName: string, va: number, content: Content) => {
    const vma = at(mmOf(system, mmName).vma, va).value
    if (vma?.shared && vma.file !== null) {
      storedInFile(vma.file, vma.pgoff, content)
      return
    }
    const move = moving(mmName).value
    const page = move?.from === va && move.moved ? move.to : va
    if (racers(mmName, page).value.length === 0) own(mmName, page).value = content
  }
  /** What a process would find at a page of its own now: its private page's content, or what lies behind. */
  const found = (mm: Mm, va: number): Expected => {
    const pte = at(mm.pte, va).value
    const onItsWay = pte?.kind === "swap" || pte?.kind === "migration" || !isFree(pageTableLock(mm, va))
    if (onItsWay) return anything
    if (!isRmapped(pte)) return null
    const folio = folioOf(system.folios, pte.page)
    return isAnon(folio) ? folio.content : null
  }
  /** Whether two processes have a page of their own each. */
  const isSplit = (one: Mm, other: Mm, va: number): boolean => {
    const pages = [one, other].map((mm) => rmappedPage(at(mm.pte, va).value))
    return pages.every((page) => page !== null) && pages[0]?.pfn !== pages[1]?.pfn
  }
  const beginRace = (fiber: string, mm: string, va: number) => {
    own(mm, va).value = anything
    const cell = racers(mm, va)
    if (!cell.value.includes(fiber)) cell.value = [...cell.value, fiber].sort()
  }
  /** The TLBs were flushed: from here on everybody sees the same. */
  const endRace = (fiber: string, mmName: string, start: number, end: number, lazy: (va: number) => boolean) => {
    const mm = mmOf(system, mmName)
    for (const va of pagesOf({ start, end })) {
      const cell = racers(mmName, va)
      if (!cell.value.includes(fiber)) continue
      cell.value = cell.value.filter((name) => name !== fiber)
      if (cell.value.length === 0) own(mmName, va).value = lazy(va) ? anything : found(mm, va)
    }
  }
  const flushed = ({ fiber, args }: Taken) => {
    const mm = mmOf(system, String(args[0]))
    const isLazy = (va: number) => {
      const pte = at(mm.pte, va).value
      return (
        pte?.kind === "present" &&
        isAnon(folioOf(system.folios, pte.page)) &&
        !folioOf(system.folios, pte.page).swapBacked
      )
    }
    endRace(fiber, mm.name, Number(args[1]), Number(args[2]), isLazy)
    const move = moving(mm.name).value
    if (move !== null && move.from === args[1]) {
      moveMemory(mm.name, move.from, move.to)
      own(mm.name, move.from).value = null
      moving(mm.name).value = null
    }
  }
  /** What lies behind a page that is no copy; nothing is promised where the file is being changed, or beyond its end. */
  const behind = ({ file, pgoff }: Vma): Content =>
    file === null ? zeroes : (inFile.get(file)?.[pgoff]?.value ?? anything)
  /** A private copy of a page of a file is the process's own from here on, and holds what the file does. */
  const copied = (args: ReadonlyArray<Plain>) => {
    const mm = mmOf(system, String(args[0]))
    const va = Number(args[1])
    const kept = own(mm.name, va)
    const vma = at(mm.vma, va).value
    if (kept.value !== null || vma?.file == null) return
    const [copy, original] = [found(mm, va), behind(vma)]
    kept.value = copy === null || copy === anything || original === anything ? copy : original
  }
  const vmaCopied = (args: ReadonlyArray<Plain>) => {
    const [mm, from, to] = args
    own(String(mm), Number(to)).value = anything
    moving(String(mm)).value = { from: Number(from), to: Number(to), moved: false }
  }
  const moveMemory = (mm: string, from: number, to: number) => {
    const move = moving(mm)
    if (move.value?.moved) return
    own(mm, to).value = own(mm, from).value
    own(mm, from).value = anything
    if (move.value !== null) move.value = { ...move.value, moved: true }
  }

  /** Through a reference: to the file where it was got through a shared mapping, else to a page of the process's own. */
  const written = ({ fiber, args }: Taken) => {
    const one = holders.held.get(fiber)?.value
    if (!one) return
    const folio = folioOf(system.folios, one.page as Frame)
    const file = system.inodes.get(folio.mapping)
    if (file !== undefined && one.shared) storedInFile(file.name, folio.offset, String(args[1]))
    // A page that was truncated is nobody's but its holders'.
    else if (one.attached && folio.mapping !== "") stored(one.mm, one.va, String(args[1]))
  }

  const monitor: Monitor = {
    user_store: ({ args, result }) => {
      if (result !== null) stored(String(args[0]), Number(args[1]), String(result))
    },
    sva_store: ({ args, result }) => {
      if (result === "done") stored(String(args[0]), Number(args[1]), String(args[2]))
    },
    device_store: ({ args, result }) => {
      if (result === true) stored("parent", Number(args[1]), String(args[2]))
    },
    gpu_store: ({ args, result }) => {
      if (result === true) stored("parent", Number(args[1]), String(args[2]))
    },
    gpu_atomic: ({ args, result }) => {
      if (result === true) stored("parent", Number(args[1]), String(args[2]))
    },
    dma_write: written,
    "__access_remote_vm: copy_to_user_page": written,
    zap_pte_range: ({ fiber, args, result }) => {
      if (result === "nothing" || result === flushedFirst) return
      const vma = at(mmOf(system, String(args[0])).vma, Number(args[1])).value
      if (vma !== null && !vma.shared) beginRace(fiber, String(args[0]), Number(args[1]))
    },
    madvise_free_pte_range: ({ fiber, args, result }) => {
      if (result !== flushedFirst) beginRace(fiber, String(args[0]), Number(args[1]))
    },
    tlb_flush_mmu_tlbonly: flushed,
    tlb_finish_mmu: flushed,
    copy_vma: ({ args }) => vmaCopied(args),
    move_ptes: ({ args, result }) => {
      if (result !== flushedFirst) moveMemory(String(args[0]), Number(args[1]), Number(args[2]))
    },
    vm_area_dup: ({ args, result }) => {
      for (const va of pagesOf({ start: Number(args[1]), end: Number(args[2]) })) {
        own(String(args[0]), va).value = result === true ? anything : null
      }
    },
    // What a device stores to a page that is pinned from here on is not the child's.
    copy_pte_range: ({ args, result }) => {
      // A page that a device has for itself is locked: fork fails.
      if (result === "-EBUSY") incomplete.value = true
      if (result !== "used") return
      for (const mm of mms) {
        if (mm.name !== args[0]) own(mm.name, Number(args[1])).value = found(mm, Number(args[1]))
      }
    },
    dup_mm: () => {
      incomplete.value = false
    },
    folio_prealloc: ({ result }) => {
      if (result === null) incomplete.value = true
    },
    flush_tlb_mm: ({ args }) => {
      if (incomplete.value) return
      const parent = String(args[0])
      for (const mm of mms) {
        if (mm.name === parent || mm.state.users === 0) continue
        for (const [va, vma] of mm.vma.entries()) {
          const child = own(mm.name, va)
          if (vma.value === null || child.value !== anything) continue
          child.value = isSplit(mmOf(system, parent), mm, va) ? found(mm, va) : own(parent, va).value
        }
      }
    },
    i_size_write: ({ args }) => {
      for (const [index, page] of (inFile.get(String(args[0])) ?? []).entries()) {
        if (index >= Number(args[1])) page.value = anything
      }
    },
    filemap_invalidate_lock: ({ args }) => {
      for (const page of inFile.get(String(args[0])) ?? []) page.value = anything
    },
    filemap_invalidate_unlock: ({ args }) => {
      const file = system.inodes.get(String(args[0]))
      for (const [index, page] of (inFile.get(String(args[0])) ?? []).entries()) {
        if (page.value !== anything || file === undefined) continue
        page.value = contentInFile(system.folios, file, index)
      }
    },
    "wp_page_copy: set_pte_at": ({ args }) => copied(args),
    finish_fault: ({ args }) => copied(args),
    ext4_ext_remove_space: ({ args }) => {
      for (const index of pagesOf({ start: Number(args[1]), end: Number(args[2]) })) {
        filed(String(args[0]), index).value = zeroes
      }
    },
  }
  return {
    expect: (mm, va, content) => {
      own(mm.name, va).value = content
    },
    expected: (mm, va) => {
      const value = own(mm.name, va).value
      if (value !== null) return value
      const vma = at(mm.vma, va).value
      return vma === null ? zeroes : behind(vma)
    },
    expectedInFile: (file, index) => filed(file.name, index).value,
    monitors: [monitor],
  }
}
