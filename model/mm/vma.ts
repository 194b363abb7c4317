/** Virtual memory areas (include/linux/mm_types.h: struct vm_area_struct), told page by page. */
import type { Access } from "./pte.ts"
import type { Range } from "./range.ts"

/** PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE */
export type Protection = "none" | "r" | "rw"

/**
 * The VMA of a page. An area is a run of pages whose values differ in `pgoff` alone, which counts up: areas that could
 * be merged are, and those that could not differ in their anon_vmas if in nothing else.
 */
export type Vma = {
  readonly prot: Protection
  /** VM_SHARED */
  readonly shared: boolean
  /** The inode that backs it, by name; `null` for private anonymous memory. Shared anonymous memory has a shmem inode. */
  readonly file: string | null
  /** `vm_pgoff` of this page: in the file, or, of anonymous memory, the address at which it was mapped first. */
  readonly pgoff: number
  /**
   * The anon_vmas that it is on (`anon_vma_chain`), by name: its own last, those of its forebears before. Empty until
   * the first anonymous page.
   */
  readonly anonVmas: ReadonlyArray<string>
  /** VM_WIPEONFORK: a child finds it empty. */
  readonly wipeOnFork: boolean
  /** VM_LOCKED: not reclaimed. */
  readonly locked: boolean
  /** VM_ACCOUNT: private memory that may be stored to, or once might, is accounted for; what is not merges with none such. */
  readonly accounted: boolean
  /** VM_HUGETLB: MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB; hugetlb.ts has what becomes of it. */
  readonly hugetlb: boolean
  /** VM_UFFD_MISSING: what is missing is for userspace to fill in (userfaultfd.ts). */
  readonly uffdMissing: boolean
  /** Taken out of the address space by munmap: no fault finds it, reverse mapping still does. */
  readonly detached: boolean
}

/** A private anonymous area, readable and writable. */
export const anonymous: Vma = {
  prot: "rw",
  shared: false,
  file: null,
  pgoff: 0,
  anonVmas: [],
  wipeOnFork: false,
  locked: false,
  accounted: true,
  hugetlb: false,
  uffdMissing: false,
  detached: false,
}

/** `is_cow_mapping`, of a mapping that may become writable. */
export const isCow = (vma: Vma): boolean => !vma.shared

/** Whether an access is allowed (`access_error`). */
export const allows = (vma: Vma, write: boolean): boolean => (write ? vma.prot === "rw" : vma.prot !== "none")

/** What a page table entry of the area may allow at most (`vm_page_prot`, `maybe_mkwrite`). */
export const mostAccess = (vma: Vma): Access => (vma.prot === "rw" ? "write" : vma.prot === "r" ? "read" : "none")

/** Whether two neighbouring pages are of one kind, and the second continues what the first maps (`is_mergeable_vma`). */
export const continues = (vma: Vma, next: Vma): boolean =>
  vma.pgoff + 1 === next.pgoff &&
  vma.prot === next.prot &&
  vma.shared === next.shared &&
  vma.file === next.file &&
  vma.wipeOnFork === next.wipeOnFork &&
  vma.locked === next.locked &&
  vma.accounted === next.accounted &&
  vma.hugetlb === next.hugetlb &&
  vma.uffdMissing === next.uffdMissing &&
  vma.detached === next.detached

/** Whether two neighbouring pages belong to one area. */
export const sameVma = (vma: Vma, next: Vma): boolean =>
  continues(vma, next) && vma.anonVmas.join() === next.anonVmas.join()

/** A range, by area, as `for_each_vma_range` meets it: the areas cut to the range, those that are missing left out. */
export const areasIn = (vmaAt: (va: number) => Vma | null, range: Range): ReadonlyArray<Range> => {
  const areas: Array<Range> = []
  let before: Vma | null = null
  for (let va = range.start; va < range.end; va++) {
    const vma = vmaAt(va)
    const last = areas.at(-1)
    if (vma !== null && before !== null && last !== undefined && sameVma(before, vma)) {
      areas[areas.length - 1] = { start: last.start, end: va + 1 }
    } else if (vma !== null) areas.push({ start: va, end: va + 1 })
    before = vma
  }
  return areas
}
