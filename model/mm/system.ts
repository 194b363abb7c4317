import { type DeviceMemory, devPagemap } from "../deviceMemory/pgmap.ts"
import type { Inode } from "../file/inode.ts"
import { type RwSem, rwSem } from "../sync/rwsem.ts"
import { type Folios, folios } from "./folio.ts"
import type { LruBatch } from "./lruDrain.ts"
import type { Mm } from "./mm.ts"
import { type SwapArea, swapArea } from "./swap.ts"

/** The memory of one machine: what its address spaces and files share. */
export interface System {
  readonly folios: Folios
  readonly swap: SwapArea
  /**
   * `cpu_fbatches.lru_add` of the CPUs that matter: pages that are on their way to the LRU. Elsewhere they are on it at
   * once.
   */
  readonly lruBatches: Array<LruBatch>
  /** All address spaces by name, in the order in which reverse mapping meets them. */
  readonly mms: Map<string, Mm>
  readonly inodes: Map<string, Inode>
  /** The root anon_vma's lock: all the processes here descend from one. */
  readonly anonVmaLock: RwSem
  /** How many pages an mmu_gather holds before it is flushed (MAX_GATHER_BATCH). */
  readonly gatherBatch: number
  /** How many pages one page table covers (PTRS_PER_PTE). */
  readonly pagesPerTable: number
  /** MMU_GATHER_MERGE_VMAS: gathers go on from one area to the next. */
  readonly mergesVmas: boolean
  /** Whether unmapping looks at entries of the upper level in steps of their own, for races with those who change them. */
  readonly looksAtPmds: boolean
  /**
   * Whether private anonymous memory gets huge pages, each of them as many pages as a page table covers
   * (`transparent_hugepage=always`).
   */
  readonly thp: boolean
  /** Whether there is hugetlbfs; its pages are as large as huge pages of `thp`, which it needs. */
  readonly hugetlb: boolean
  /** How many pages a load from a file may map at once (`fault_around_bytes`); 1 is none but its own. */
  readonly faultAround: number
}

/** What a system may be made with. */
export interface SystemSize {
  readonly folios: number
  /** How many of the folios, the first ones, lie in ZONE_MOVABLE or CMA. */
  readonly movable?: number
  readonly swapSlots?: number
  readonly gatherBatch?: number
  readonly pagesPerTable?: number
  readonly mergesVmas?: boolean
  readonly looksAtPmds?: boolean
  readonly thp?: boolean
  readonly hugetlb?: boolean
  readonly faultAround?: number
  /** How many lives of a frame are told apart, where fibers go on for ever; all, if nothing is said. */
  readonly lives?: number | undefined
  /** Memory of devices, besides the system's. */
  readonly devices?: ReadonlyArray<DeviceMemory>
  /** Who is charged for memory: one group per process, and one per file. */
  readonly cgroups: ReadonlyArray<string>
}

/** How many pages a page table covers, if nothing is said. */
const pagesPerTable = 2

/** Makes a system with all its memory free. */
export const system = (size: SystemSize): System => ({
  folios: folios(
    size.folios,
    size.cgroups,
    size.movable,
    size.devices?.map(devPagemap),
    size.lives,
    size.thp === true ? (size.pagesPerTable ?? pagesPerTable) : 1,
  ),
  lruBatches: [],
  swap: swapArea(size.swapSlots ?? 0),
  mms: new Map(),
  inodes: new Map(),
  anonVmaLock: rwSem("anon_vma"),
  gatherBatch: size.gatherBatch ?? 8,
  pagesPerTable: size.pagesPerTable ?? pagesPerTable,
  mergesVmas: size.mergesVmas ?? true,
  looksAtPmds: size.looksAtPmds ?? false,
  thp: size.thp ?? false,
  hugetlb: size.thp === true && size.hugetlb === true,
  faultAround: size.faultAround ?? 1,
})
