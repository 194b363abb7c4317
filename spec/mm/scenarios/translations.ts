/** Who gives up pages, while others look at, clean or use what TLBs still have of them. */
import { changeHugePmdNuma } from "../../../model/mm/hugePmd.ts"
import { operation } from "../operations.ts"
import { page } from "../pages.ts"
import { raceOf } from "./race.ts"

export const zapWritebackStore = raceOf({
  name: "zap-writeback-store",
  summary: "a page of a file is zapped and written back while a CPU that has its translation stores to it",
  pages: ["shared"],
  operations: [operation("madvise-dontneed"), operation("store"), operation("writeback")],
})

/** One page table stands for a huge entry: both calls have `mmap_lock` for read only. */
export const dontneedHugePmd = raceOf({
  name: "dontneed-huge-pmd",
  summary: "MADV_DONTNEED looks at a huge entry while NUMA balancing changes it",
  pages: ["anon"],
  operations: [
    operation("madvise-dontneed"),
    {
      id: "numa-hint-huge",
      actor: "cpu",
      pages: ["anon"],
      run: ({ parent }) => changeHugePmdNuma(parent, { start: page, end: page + 1 }),
    },
  ],
  devices: 1,
  looksAtPmds: true,
})
