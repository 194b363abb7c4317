/**
 * The self tests of transparent huge pages, run where there are such, of four pages each: half of one can be at its beginning, in its
 * middle and at its end. With private memory only: the kernel collects no huge page of coherent memory for migration.
 */
import type { Selftest } from "./selftest.ts"
import {
  device,
  exit,
  fork,
  i,
  load,
  madvise,
  minusI,
  mmap,
  mprotect,
  mremap,
  munmap,
  pages,
  plus,
  rounds,
  store,
  zero,
} from "./verbs.ts"

/** How many pages a huge page has here. */
export const hugePages = 4

const gpu = device(0)
const childGpu = device(0, "child")
/** A huge page, all of it. */
const thp = pages(0, hugePages)
const whole = { cpages: hugePages }
const moved = { ...whole, data: i }
const zeroes = { ...whole, data: zero }

/** What a snapshot says of each page. */
const each = <Kind>(kind: Kind): ReadonlyArray<Kind> => Array.from({ length: hugePages }, () => kind)

/** A huge page with data, in the device's memory. */
const migrated = [mmap(thp, "private"), store(thp), gpu.migrateToDev(thp, moved)]

/** The huge zero page. */
const zeroPage = [mmap(thp, "private", "r"), load(pages(0, 1), zero)]

/** A child stores by its own device, sees what it stored and ends; the parent has what was there before fork. */
const childWrites = [
  childGpu.open,
  childGpu.write(thp, minusI, { ...whole, faults: 1 }),
  load(thp, minusI, "child"),
  childGpu.close,
  exit,
  load(thp),
]

export const thpCases: ReadonlyArray<Selftest> = [
  ...[false, true].map(
    (first): Selftest => ({
      number: 6,
      id: first ? "anon_write_child-thp-migrated" : "anon_write_child-thp",
      fixture: "hmm",
      does: `a huge page with data${first ? " is migrated to the device" : ""}; fork; the child, with a file of its own, has WRITE other data`,
      expects: "0, all pages, 1 fault; the child reads the old data before and the new behind it, the parent the old",
      script: [
        mmap(thp, "private"),
        store(thp),
        ...(first ? [gpu.migrateToDev(thp, whole)] : []),
        fork,
        load(thp, i, "child"),
        ...childWrites,
      ],
    }),
  ),
  {
    number: 6,
    id: "anon_write_child-thp-private",
    fixture: "hmm",
    does: "the same of a huge page that is in the device's memory when the child's WRITE comes, and that nobody has read since fork; not in the kernel's file",
    expects: "0, all pages, 1 fault; the child reads the new data, the parent the old",
    script: [...migrated, fork, ...childWrites],
  },
  {
    number: 8,
    id: "anon_write_huge-thp",
    fixture: "hmm",
    does: "a huge page is never touched; WRITE",
    expects: "0, all pages, 1 fault; the process reads what was written",
    script: [mmap(thp, "private"), gpu.write(thp, i, { ...whole, faults: 1 }), load(thp)],
  },
  {
    number: 22,
    id: "compound-thp",
    fixture: "hmm",
    does: "a huge page with data (hugetlb.ts has that of hugetlbfs); SNAPSHOT; it becomes read-only; SNAPSHOT",
    expects: "WRITE|PMD for every page; READ|PMD",
    script: [
      mmap(thp, "private"),
      store(thp),
      gpu.snapshot(thp, each("WRITE|PMD")),
      mprotect(thp, "r"),
      gpu.snapshot(thp, each("READ|PMD")),
    ],
  },
  {
    number: 22,
    id: "compound-migrated",
    fixture: "hmm",
    does: "a huge page in the device's memory; SNAPSHOT; half of it becomes read-only; SNAPSHOT; not in the kernel's file",
    expects: "DEV_PRIVATE_LOCAL|WRITE|PMD for every page; then no PMD, and READ for the half",
    script: [
      ...migrated,
      gpu.snapshot(thp, each("DEV_PRIVATE_LOCAL|WRITE|PMD")),
      mprotect(pages(0, 2), "r"),
      gpu.snapshot(thp, [
        "DEV_PRIVATE_LOCAL|READ",
        "DEV_PRIVATE_LOCAL|READ",
        "DEV_PRIVATE_LOCAL|WRITE",
        "DEV_PRIVATE_LOCAL|WRITE",
      ]),
      load(thp),
    ],
  },
  {
    number: 29,
    id: "migrate_anon_huge_empty-thp",
    fixture: "hmm",
    does: "a read-only place for a huge page is never touched; MIGRATE_TO_DEV",
    expects: "0, all pages; zeroes",
    script: [
      mmap(thp, "private", "r"),
      gpu.migrateToDev(thp, zeroes),
      gpu.snapshot(thp, each("DEV_PRIVATE_LOCAL|READ|PMD")),
    ],
  },
  {
    number: 30,
    id: "migrate_anon_huge_zero-thp",
    fixture: "hmm",
    does: "the huge zero page; MIGRATE_TO_DEV; the process reads",
    expects: "0, all pages; zeroes",
    script: [...zeroPage, gpu.migrateToDev(thp, zeroes), load(thp, zero)],
  },
  {
    number: 31,
    id: "migrate_anon_huge_free-thp",
    fixture: "hmm",
    does: "a huge page with data; MIGRATE_TO_DEV; MADV_FREE",
    expects: "0, all pages; madvise succeeds",
    script: [...migrated, madvise(thp, "MADV_FREE")],
  },
  {
    number: 32,
    id: "migrate_anon_huge_fault-thp",
    fixture: "hmm",
    does: "a huge page with data; MIGRATE_TO_DEV; the process reads",
    expects: "0, all pages; the data",
    script: [...migrated, load(thp), gpu.snapshot(thp, each("WRITE|PMD"))],
  },
  ...[0, 1, 2].map(
    (offset): Selftest => ({
      number: 33,
      id: `migrate_partial_unmap_fault-thp-${offset}`,
      fixture: "hmm",
      does: `a huge page with data; MIGRATE_TO_DEV; munmap of half of it, from page ${offset} on; the process reads the rest`,
      expects: "0, all pages; the data",
      script: [
        ...migrated,
        munmap(pages(offset, offset + 2)),
        load(pages(0, offset)),
        load(pages(offset + 2, hugePages)),
      ],
    }),
  ),
  ...[true, false].flatMap((before) =>
    [true, false].flatMap((dontUnmap) =>
      [8, 9].map((to): Selftest => {
        const moves = mremap(thp, to, dontUnmap)
        const there = pages(to, to + hugePages)
        const asBefore = (va: number) => i(va - to)
        return {
          number: 34,
          id: `migrate_remap_fault-thp-${before ? "before" : "after"}${dontUnmap ? "-dontunmap" : ""}-${to}`,
          fixture: "hmm",
          does: `a huge page with data; mremap ${dontUnmap ? "with MREMAP_DONTUNMAP " : ""}to page ${to}, and MIGRATE_TO_DEV ${before ? "behind it" : "before it"}; the process reads there`,
          expects: "0, all pages; the data",
          script: [
            mmap(pages(0, 13), "private"),
            munmap(pages(hugePages, 13)),
            store(thp),
            ...(before
              ? [moves, gpu.migrateToDev(there, { ...whole, data: asBefore })]
              : [gpu.migrateToDev(thp, moved), moves]),
            load(there, asBefore),
          ],
        }
      }),
    ),
  ),
  {
    number: 35,
    id: "migrate_anon_huge_err-thp",
    fixture: "hmm",
    does: "a huge page with data, and the driver's next huge allocation fails; MIGRATE_TO_DEV; the process reads one page; all anew, and the next huge allocation on the way back fails; MIGRATE_TO_SYS; the process reads",
    expects: "0, all pages, page by page; the data",
    script: [
      mmap(thp, "private"),
      store(thp),
      gpu.failAlloc,
      gpu.migrateToDev(thp, moved),
      gpu.snapshot(thp, each("DEV_PRIVATE_LOCAL|WRITE")),
      load(pages(2, 3)),
      munmap(thp),
      ...migrated,
      gpu.failAlloc,
      gpu.migrateToSys(thp, whole),
      gpu.snapshot(thp, each("WRITE")),
      load(thp),
    ],
  },
  {
    number: 35,
    id: "migrate_anon_huge_err-fault",
    fixture: "hmm",
    does: "a huge page in the device's memory, and the driver's next huge allocation fails; the process reads one page; not in the kernel's file",
    expects: "the data; that page is in system memory, and every other one in the device's by itself",
    script: [
      ...migrated,
      gpu.failAlloc,
      load(pages(2, 3)),
      gpu.snapshot(thp, ["DEV_PRIVATE_LOCAL|WRITE", "DEV_PRIVATE_LOCAL|WRITE", "WRITE", "DEV_PRIVATE_LOCAL|WRITE"]),
      load(thp),
    ],
  },
  {
    number: 36,
    id: "migrate_anon_huge_zero_err-thp",
    fixture: "hmm",
    does: "the huge zero page, and the driver's next huge allocation fails; MIGRATE_TO_DEV; the process reads one page; all anew, and the next huge allocation on the way back fails; MIGRATE_TO_SYS; the process reads",
    expects: "0, all pages, page by page; zeroes",
    script: [
      ...zeroPage,
      gpu.failAlloc,
      gpu.migrateToDev(thp, zeroes),
      load(pages(2, 3), zero),
      munmap(thp),
      ...zeroPage,
      gpu.migrateToDev(thp, zeroes),
      gpu.failAlloc,
      gpu.migrateToSys(thp, whole),
      load(thp, zero),
    ],
  },
  {
    number: 36,
    id: "migrate_anon_huge_zero_err-empty",
    fixture: "hmm",
    does: "a place for a huge page is never touched, and the driver's next huge allocation fails; MIGRATE_TO_DEV; not in the kernel's file",
    expects: "0, all pages, page by page; zeroes",
    script: [
      mmap(thp, "private"),
      gpu.failAlloc,
      gpu.migrateToDev(thp, zeroes),
      gpu.snapshot(thp, each("DEV_PRIVATE_LOCAL|WRITE")),
    ],
  },
  {
    number: 37,
    id: "benchmark_thp_migration-thp",
    fixture: "hmm",
    does: "buffers of half a huge page and of two, with data; once and then once more: MIGRATE_TO_DEV and MIGRATE_TO_SYS",
    expects: "every call returns 0; all pages are moved each way, and keep the data",
    script: [2, 8].flatMap((size) => [
      mmap(pages(0, size), "private"),
      rounds(2, (round) => [
        store(pages(0, size), plus(round)),
        gpu.migrateToDev(pages(0, size), { cpages: size, data: plus(round) }),
        gpu.migrateToSys(pages(0, size), { cpages: size }),
        load(pages(0, size), plus(round)),
      ]),
      munmap(pages(0, size)),
    ]),
  },
]
