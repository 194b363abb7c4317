/**
 * Huge pages of a file (mm/hugetlb.c) whose page table several processes share, as of Linux 5.16: there `i_mmap_rwsem`
 * also keeps the sharing as it is, which today's hugetlb VMA lock does. A process has one area, the whole file, and the
 * entry of the upper level (pud) that points to its page table.
 */
import {
  type Arena,
  arena,
  assert,
  type Cell,
  cell,
  type Slot,
  type Struct,
  struct,
} from "../../checker/program/index.ts"
import { type Mutex, mutex } from "../sync/mutex.ts"
import { type RwSem, rwSem } from "../sync/rwsem.ts"
import type { Content } from "./folio.ts"
import { at, type Range } from "./range.ts"

/** Which life of a page or a page table is meant. */
export type Life = { readonly slot: number; readonly generation: number }

/** An entry of the page table: the page that it maps, or that is being migrated. */
export type HugePte = { readonly page: Life; readonly migration: boolean } | null

/** A huge page. Whether it is mapped once or by way of a table that many share, its map count is the same. */
export type HugePage = Slot<{ refcount: number; mapcount: number; lock: string; content: Content }>

/** A page table that processes share: how many do, and its entries. */
export interface PmdTable {
  readonly slot: Slot<{ sharers: number }>
  readonly pte: ReadonlyArray<Cell<HugePte>>
}

/** What a CPU has cached of a process: where its page table is, and translations. */
export interface HugeTlb {
  readonly walk: Cell<Life | null>
  readonly entries: ReadonlyArray<Cell<Life | null>>
}

/** A process that maps the file. */
export interface HugeMm {
  readonly name: string
  readonly mmapLock: RwSem
  /** Whether its area is there, and whether others may share its page table (VM_MAYSHARE). */
  readonly vma: Struct<{ mapped: boolean; mayShare: boolean }>
  readonly pud: Cell<Life | null>
  readonly tlbs: ReadonlyMap<string, HugeTlb>
  /** What a device that mirrors the process maps, and the range that is announced to it. */
  readonly mirror: ReadonlyArray<Cell<Life | null>>
  readonly window: Cell<Range | null>
}

/** A file of huge pages, and who maps it. */
export interface HugeFile {
  readonly pages: number
  readonly cache: ReadonlyArray<Cell<Life | null>>
  readonly iMmapRwsem: RwSem
  /** `hugetlb_fault_mutex_table`, of each page. */
  readonly faultMutex: ReadonlyArray<Mutex>
  readonly mms: ReadonlyMap<string, HugeMm>
  readonly hugePages: Arena<{ refcount: number; mapcount: number; lock: string; content: Content }>
  /** Whether faults are given what is free; else it is kept for migration. */
  readonly fills: boolean
  readonly tables: Arena<{ sharers: number }>
  readonly ptes: ReadonlyArray<PmdTable["pte"]>
}

const positions = (count: number) => Array.from({ length: count }, (_, i) => i)

/**
 * Makes a file of `pages` pages. All its processes map it by one page table; or, where it is a hole, none has a table.
 *
 * @param content what is in its pages, and in those of the pool
 * @param hole whether it is one, and then the pool has as many pages; else it has one, which is migration's
 */
export const hugeFile = (
  pages: number,
  processes: { readonly [name: string]: ReadonlyArray<string> },
  content: Content,
  hole = false,
): HugeFile => {
  const none = () => null
  const hugePages = arena("hpage", hole ? pages : pages + 1, { refcount: 0, mapcount: 0, lock: "", content })
  const tables = arena("pmd", 1 + Object.keys(processes).length, { sharers: 0 })
  const ptes = tables.slots.map(({ index }) =>
    positions(pages).map((va) => cell<HugePte>(`pmd${index}.pte${va}`, none())),
  )
  const mms = new Map(
    Object.entries(processes).map(([name, cpus]): [string, HugeMm] => [
      name,
      {
        name,
        mmapLock: rwSem(`${name}.mmap_lock`, "mmap_lock"),
        vma: struct(`${name}.vma`, { mapped: true, mayShare: true }),
        pud: cell<Life | null>(`${name}.pud`, null),
        tlbs: new Map(
          cpus.map((cpu) => [
            cpu,
            {
              walk: cell<Life | null>(`${name}.${cpu}.walk`, null),
              entries: positions(pages).map((va) => cell<Life | null>(`${name}.${cpu}.tlb${va}`, null)),
            },
          ]),
        ),
        mirror: positions(pages).map((va) => cell<Life | null>(`${name}.mirror${va}`, null)),
        window: cell<Range | null>(`${name}.window`, null),
      },
    ]),
  )
  const file: HugeFile = {
    pages,
    cache: positions(pages).map((va) => cell<Life | null>(`cache${va}`, null)),
    iMmapRwsem: rwSem("i_mmap_rwsem"),
    faultMutex: positions(pages).map((va) => mutex(`hugetlb_fault_mutex${va}`, "hugetlb_fault_mutex")),
    mms,
    hugePages,
    fills: hole,
    tables,
    ptes,
  }
  if (hole) return file
  const table = allocTable(file)
  for (const { pud } of mms.values()) pud.value = table
  tableAt(file, table).slot.sharers = mms.size
  for (const va of positions(pages)) {
    const page = needHugePage(file)
    at(file.cache, va).value = page
    mapPage(file, tableAt(file, table), va, page)
  }
  return file
}

const lifeOf = ({ index, generation }: { readonly index: number; readonly generation: number }): Life => ({
  slot: index,
  generation,
})

/** Whether both are the same life. */
export const sameLife = (a: Life | null, b: Life | null): boolean =>
  a === b || (a?.slot === b?.slot && a?.generation === b?.generation)

/** Whether that life of a page or table is not over. */
export const isLive = (
  { slots }: { readonly slots: ReadonlyArray<{ readonly live: boolean; readonly generation: number }> },
  { slot, generation }: Life,
): boolean => slots[slot]?.live === true && slots[slot]?.generation === generation

/** The memory of a page, whoever has it by now. */
export const hugePageAt = ({ hugePages }: HugeFile, { slot }: Life): HugePage => at(hugePages.slots, slot)

/** The memory of a page table, whoever has it by now. */
export const tableAt = ({ tables, ptes }: HugeFile, { slot }: Life): PmdTable => {
  const [table, pte] = [tables.slots[slot], ptes[slot]]
  if (table === undefined || pte === undefined) throw new RangeError(`there is no page table ${slot}`)
  return { slot: table, pte }
}

/** A process by its name. */
export const hugeMm = ({ mms }: HugeFile, name: string): HugeMm => {
  const mm = mms.get(name)
  if (mm === undefined) throw new RangeError(`there is no process ${name}`)
  return mm
}

/** `alloc_huge_page`: a page of the pool, with one reference, if there is one. Within a step. */
export const allocHugePage = ({ hugePages }: HugeFile): Life | null => {
  const page = hugePages.allocate()
  if (page === undefined) return null
  page.refcount = 1
  return lifeOf(page)
}

/** A page for the file or for migration, likewise, which is there always. Within a step. */
export const needHugePage = (file: HugeFile): Life => {
  const page = allocHugePage(file)
  assert(page !== null, "there is no huge page left")
  return page
}

/** `put_page`: the last reference gives the page back to the pool. Within a step. */
export const putHugePage = (file: HugeFile, life: Life): void => {
  const page = hugePageAt(file, life)
  page.refcount--
  if (page.refcount === 0) file.hugePages.free(page)
}

/** A page table for one process. Within a step. */
export const allocTable = (file: HugeFile): Life => {
  const slot = file.tables.allocate()
  assert(slot !== undefined, "there are as many page tables as processes")
  slot.sharers = 1
  return lifeOf(slot)
}

/** Within a step. */
export const mapPage = (file: HugeFile, table: PmdTable, va: number, page: Life): void => {
  at(table.pte, va).value = { page, migration: false }
  const huge = hugePageAt(file, page)
  huge.mapcount++
  huge.refcount++
}

/** The CPUs that run a process drop what they have of its pages, and of its page table. Within a step. */
export const dropHugeTranslations = (mm: HugeMm): void => {
  for (const { walk, entries } of mm.tlbs.values()) {
    walk.value = null
    for (const entry of entries) entry.value = null
  }
}
