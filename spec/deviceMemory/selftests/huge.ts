/**
 * The self tests of transparent huge pages, run where there are none (`transparent_hugepage=never`): what they expect of the
 * data and the counts is the same. thp.ts has them where there are.
 */
import type { Selftest } from "./selftest.ts"
import { buffer, device, i, load, madvise, mmap, munmap, pages, store, whole, zero } from "./verbs.ts"

const gpu = device(0)
const moved = { ...whole, data: i }
const zeroes = { ...whole, data: zero }

/** Pages with data, in the device's memory. */
const migrated = [mmap(buffer, "private"), store(buffer), gpu.migrateToDev(buffer, moved)]

export const huge: ReadonlyArray<Selftest> = [
  {
    number: 8,
    id: "anon_write_huge",
    fixture: "hmm",
    does: "pages are never touched; WRITE",
    expects: "0, all pages, 1 fault; the process reads what was written",
    script: [mmap(buffer, "private"), gpu.write(buffer, i, { ...whole, faults: 1 }), load(buffer)],
  },
  {
    number: 29,
    id: "migrate_anon_huge_empty",
    fixture: "hmm",
    does: "read-only pages are never touched; MIGRATE_TO_DEV",
    expects: "0, all pages; zeroes",
    script: [mmap(buffer, "private", "r"), gpu.migrateToDev(buffer, zeroes)],
  },
  {
    number: 30,
    id: "migrate_anon_huge_zero",
    fixture: "hmm",
    does: "read-only pages, of which the process has read one; MIGRATE_TO_DEV; the process reads",
    expects: "0, all pages; zeroes",
    script: [
      mmap(buffer, "private", "r"),
      load(pages(0, 1), zero),
      gpu.migrateToDev(buffer, zeroes),
      load(buffer, zero),
    ],
  },
  {
    number: 31,
    id: "migrate_anon_huge_free",
    fixture: "hmm",
    does: "pages with data; MIGRATE_TO_DEV; MADV_FREE",
    expects: "0, all pages; madvise succeeds",
    script: [...migrated, madvise(buffer, "MADV_FREE")],
  },
  {
    number: 32,
    id: "migrate_anon_huge_fault",
    fixture: "hmm",
    does: "pages with data; MIGRATE_TO_DEV; the process reads",
    expects: "0, all pages; the data",
    script: [...migrated, load(buffer)],
  },
  {
    number: 35,
    id: "migrate_anon_huge_err",
    fixture: "hmm",
    does: "pages with data; MIGRATE_TO_DEV; the process reads one; all anew, and MIGRATE_TO_SYS",
    expects: "0, all pages, page by page; the data",
    script: [
      ...migrated,
      load(pages(1, 2)),
      munmap(buffer),
      ...migrated,
      gpu.migrateToSys(buffer, whole),
      load(pages(1, 2)),
    ],
  },
  {
    number: 36,
    id: "migrate_anon_huge_zero_err",
    fixture: "hmm",
    does: "read-only pages are never touched; MIGRATE_TO_DEV; the process reads one; all anew, one read before",
    expects: "0, all pages, page by page; zeroes",
    script: [
      mmap(buffer, "private", "r"),
      gpu.migrateToDev(buffer, zeroes),
      load(pages(1, 2), zero),
      munmap(buffer),
      mmap(buffer, "private", "r"),
      load(pages(0, 1), zero),
      gpu.migrateToDev(buffer, zeroes),
      load(buffer, zero),
    ],
  },
]
