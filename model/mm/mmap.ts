/** mmap (mm/mmap.c, mm/vma.c). */
import { procedure, step } from "../../checker/program/index.ts"
import { Errno } from "../errno.ts"
import type { Inode } from "../file/inode.ts"
import { isWhole } from "./hugetlb.ts"
import { type Mm, mmapWriteLock, mmapWriteUnlock, writeLockVmas } from "./mm.ts"
import { doMunmap } from "./mremap.ts"
import { at, isWithin, pagesOf, type Range } from "./range.ts"
import { anonymous, type Protection } from "./vma.ts"
import { vmaMerge } from "./vmaMerge.ts"

/** What is to be mapped: private or shared; anonymous where there is no file. Shared anonymous memory is given a shmem file. */
export interface Mapping {
  readonly prot: Protection
  readonly shared: boolean
  /** MAP_HUGETLB, of private anonymous memory where there is hugetlbfs: the range is of whole huge pages. */
  readonly hugetlb?: true
  readonly file?: { readonly inode: Inode; readonly pgoff: number }
}

/**
 * `mmap` with MAP_FIXED: maps a range, over whatever was mapped there.
 *
 * @throws Errno EINVAL for a range without pages or a place in the file that is none, ENOMEM for one beyond the address space
 */
export const mmap = procedure(function* (mm: Mm, range: Range, { prot, shared, file, hugetlb }: Mapping) {
  if (range.start >= range.end) return yield* new Errno({ call: "mmap", errno: "EINVAL" })
  if (file !== undefined && !(Number.isInteger(file.pgoff) && file.pgoff >= 0)) {
    return yield* new Errno({ call: "mmap", errno: "EINVAL" })
  }
  if (!isWithin(mm.pages, range)) return yield* new Errno({ call: "mmap", errno: "ENOMEM" })
  const inHugetlbfs = hugetlb === true
  if (inHugetlbfs && (mm.hugetlb === null || !isWhole(mm, range)))
    return yield* new Errno({ call: "mmap", errno: "EINVAL" })
  if (inHugetlbfs && (shared || file !== undefined)) throw new TypeError("shared hugetlb memory is not modelled")
  if (shared && file === undefined) throw new TypeError("shared anonymous memory needs a shmem file")
  yield* mmapWriteLock(mm)
  yield* doMunmap(mm, range)
  yield* step("__mmap_region", [mm.name, range.start, range.end], () => {
    for (const [position, va] of pagesOf(range).entries()) {
      const pgoff = file === undefined ? va : file.pgoff + position
      const accounted = prot === "rw" && !shared
      const name = file?.inode.name ?? null
      at(mm.vma, va).value = { ...anonymous, prot, shared, file: name, pgoff, accounted, hugetlb: inHugetlbfs }
    }
    writeLockVmas(mm, range)
    vmaMerge(mm, range)
  })
  yield* mmapWriteUnlock(mm)
})
